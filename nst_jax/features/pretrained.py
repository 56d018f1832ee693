"""From what the user calls the weights to a weights file on disk.

A name of ``PRETRAINED`` is looked up in the folder NST_JAX_WEIGHTS_DIR, then in the
cache (NST_JAX_CACHE_DIR, or the user's cache folder), and then downloaded. Files of
other projects are converted once into the cache.
"""

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pooch

from nst_jax.features.cache import cached_path, is_weights_file, make_once

if TYPE_CHECKING:
    from nst_jax.features.download import Progress

WEIGHTS_DIR = "NST_JAX_WEIGHTS_DIR"
IN_WEIGHTS_DIR = f"in {WEIGHTS_DIR}"
CACHED = "cached"
NOT_HERE = "not here"


# The network that comes with the package, and the choice between it and vgg19.
EMBEDDED, AUTO = "vgg19-tiny", "auto"
INCLUDED = "included"


class Pretrained(NamedTuple):
    """Published weights.

    Attributes:
        description: one line for people.
        url: address of the original file.
        size: its size in bytes.
        known_hash: its hash, "sha256:..." or "md5:...".
    """

    description: str
    url: str
    size: int
    known_hash: str

    @property
    def file_name(self) -> str:
        """Name of the original file: the last part of the address."""
        return self.url.rsplit("/", 1)[-1]


class Listed(NamedTuple):
    """Where the weights of a name are; ``state`` is one of the three constants."""

    name: str
    description: str
    size: int
    state: str
    path: Path | None


PRETRAINED: dict[str, Pretrained] = {
    "vgg19": Pretrained(
        "VGG-19, torchvision IMAGENET1K_V1",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        574_673_361,
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
    "vgg16": Pretrained(
        "VGG-16, torchvision IMAGENET1K_V1",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        553_433_881,
        "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "vgg19-caffe": Pretrained(
        "VGG-19, the authors' Caffe release as distributed by Keras",
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        80_134_624,
        # The only hash its publisher gives; HDF5 holds no code.
        "md5:253f8cb515780f3b799900260a226db6",
    ),
}


def choose(spec: str) -> str:
    """What ``auto`` stands for now: vgg19 if it is here, else the embedded network.

    Anything else stands for itself: asking for vgg19 never falls back.

    Raises:
        ValueError: as ``locate``.
    """
    if spec != AUTO:
        return spec
    return "vgg19" if locate("vgg19") else EMBEDDED


def resolve(spec: str, *, progress: "Progress | None" = None) -> Path:
    """Path of a weights file of this project for what the user wrote.

    Args:
        spec: a name of ``PRETRAINED`` or ``EMBEDDED``, or a file: one of this project
            is returned as it is, a .pth, .pt, .safetensors or Keras .h5 file is
            converted into the cache, once for each content (by its SHA-256).
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
        return make_once(target, lambda: _download(name, target, progress))
    if is_weights_file(found):
        return found
    entry = PRETRAINED[name]
    algorithm, expected = entry.known_hash.split(":")
    if pooch.file_hash(str(found), algorithm) != expected:
        raise ValueError(
            f"{found}: damaged, or not the file published as {name}: its {algorithm} "
            f"is not {expected}; get it again from {entry.url}"
        )
    return _converted(found)


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
    ours, original = folder / f"{name}.h5", folder / PRETRAINED[name].file_name
    if ours.is_file() and not is_weights_file(ours):
        raise ValueError(
            f"{ours}: damaged, or not a weights file of this project; delete it, or "
            f"give an original file under its own name ({original.name})"
        )
    return next((path for path in (ours, original) if path.is_file()), None)


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


def _offline_help(name: str, entry: Pretrained, reason: str) -> str:
    return (
        f"weights {name!r}: {entry.file_name} ({entry.size / 1e6:.0f} MB) could not be "
        f"downloaded from {entry.url}: {reason}. Try again with `nst-jax weights fetch "
        f"{name}`, which goes on where it broke off; or download the file elsewhere "
        f"and put it, under the name {entry.file_name}, into a folder that "
        f"{WEIGHTS_DIR} names; or give its path as network.weights."
    )
