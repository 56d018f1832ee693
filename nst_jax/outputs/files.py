"""Where output goes: run folders, and files that appear whole or not at all."""

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nst_jax.images.io import WRITABLE

NUMBERED_UNDER = Path("runs")
# Endings that people give a picture, which would make odd names for folders.
OTHER_PICTURES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".pdf", ".ppm",
    ".svg", ".tga",
)  # fmt: skip
LOCK = ".lock"  # held while a run writes into its folder
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
LARGEST_WEBP = 16383  # pixels of a side: the format has 14 bits for it


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: the whole file appears, or none.

    Raises:
        ValueError: naming the file, if it cannot be written.
    """
    # A file name that is no UTF-8 stands in Python's text as lone surrogates.
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically; as ``write_text``."""
    temporary = temporary_in(path.parent)
    try:
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror})") from error


def temporary_in(folder: Path) -> Path:
    """A new name for a file that is being written."""
    return folder / f".{secrets.token_hex(8)}.tmp"


def clear_temporaries(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left in a folder.

    For one that nobody else writes into.

    Raises:
        OSError: if one cannot be removed.
    """
    for path in folder.glob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_all(writers: Iterable[Callable[[], object]]) -> None:
    """Call each of them; a file that cannot be written keeps no other from it.

    Raises:
        ValueError: of the first that failed, once all were called.
    """
    failures = []
    for write in writers:
        try:
            write()
        except ValueError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def split_output(given: str | None) -> tuple[Path | None, Path | None]:
    """What ``--out`` means: the run folder, and a picture file wanted besides.

    ``out/night`` is a folder. ``out/night.jpg`` is a picture; its run folder is
    ``out/night``.
    """
    if given is None:
        return None, None
    path = Path(os.path.expanduser(given))
    if path.suffix.lower() in WRITABLE:
        return path.with_suffix(""), path
    return path, None


def check_output(given: str | None, *, size: int, overwrite: bool) -> None:
    """Refuse an output that exists or cannot be written, before any work is done.

    Leaves nothing behind: the folder is made by ``claim_folder``.

    Args:
        given: what ``--out`` says, or None.
        size: longer side of the picture in pixels.
        overwrite: whether what exists may be replaced.

    Raises:
        ValueError: if the run folder is a file, or it or the picture exists already
            and ``overwrite`` is not set; if the place cannot be written to; if the
            ending is that of a picture which is not written.
    """
    folder, picture = split_output(given)
    if folder and folder.suffix.lower() in OTHER_PICTURES:
        raise ValueError(
            f"{folder}: pictures are written as {', '.join(WRITABLE)}; for a folder "
            "choose a name without an ending"
        )
    if picture and picture.suffix.lower() == ".webp" and size > LARGEST_WEBP:
        raise ValueError(
            f"{picture}: a WebP has at most {LARGEST_WEBP} pixels on a side, not {size}"
        )
    try:
        for path, wanted in ((folder, "folder"), (picture, "file")):
            if path is not None:
                _check_free(path, wanted, overwrite)
        for path in {folder or NUMBERED_UNDER, picture and picture.parent} - {None}:
            _probe(_nearest_folder(path))
    except OSError as error:
        raise ValueError(
            f"{given or NUMBERED_UNDER}: cannot be written to ({error.strerror}); "
            "choose another --out"
        ) from error


def _check_free(path: Path, wanted: str, overwrite: bool) -> None:
    if not path.exists():
        return
    if path.is_dir() != (wanted == "folder"):
        is_what = "folder" if path.is_dir() else "file"
        raise ValueError(f"{path}: is a {is_what}; a {wanted} goes there")
    if not overwrite:
        raise ValueError(
            f"{path}: exists already; choose another --out or add --overwrite"
        )


def _nearest_folder(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def _probe(folder: Path) -> None:
    """See whether files can be made in a folder; only trying tells."""
    probe = temporary_in(folder)
    probe.write_bytes(b"")
    probe.unlink()


def claim_folder(folder: Path | None) -> Path:
    """Make the run folder, or the next free numbered one if None.

    Raises:
        ValueError: naming the folder, if it cannot be made or written to.
    """
    try:
        if folder is None:
            folder = _next_numbered(NUMBERED_UNDER)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        _probe(folder)
    except OSError as error:
        place = folder or NUMBERED_UNDER
        raise ValueError(
            f"{place}: cannot be written to ({error.strerror}); choose another --out"
        ) from error
    return folder


class FolderLock(ExitStack):
    """Keeps other runs out of a folder, from when ``hold`` is called to the end."""

    held = False

    def hold(self, folder: Path) -> None:
        """Take the lock, if it is not held yet; see ``locked``."""
        if not self.held:
            self.enter_context(locked(folder))
            self.held = True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which exists.

    Raises:
        ValueError: if another run is at work there.
    """
    path = folder / LOCK
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"{folder}: another run is writing there; wait for its end, or choose "
            "another --out"
        ) from error
    # Some network drives know no locks: that is no reason not to run.
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        # Before it is let go, or somebody else's might be removed. Windows keeps a file
        # that is open, and removes this one by itself.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def _next_numbered(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = max(_numbers(parent.iterdir()), default=0)
    while True:
        number += 1
        try:
            (parent / f"{number:04d}").mkdir()
        except FileExistsError:  # another run took it meanwhile
            continue
        return parent / f"{number:04d}"


def _numbers(paths: Iterable[Path]) -> list[int]:
    return [int(path.name) for path in paths if path.name.isdecimal()]
