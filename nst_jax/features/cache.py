"""The cache of weights files: where it is, and how a file gets into it.

A file is made by one process at a time, under a lock beside it, and only if no
intact one is there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import platformdirs
from filelock import FileLock

from nst_jax.features.weights import has_format

CACHE_DIR = "NST_JAX_CACHE_DIR"


def cache_folder() -> Path:
    """Folder of all that is cached: NST_JAX_CACHE_DIR, or else the user's."""
    if given := os.environ.get(CACHE_DIR):
        return Path(os.path.expanduser(given))
    return platformdirs.user_cache_path("nst-jax", appauthor=False)


def cached_path(stem: str) -> Path:
    """Where the weights file with that name or hash is cached, there or not."""
    return cache_folder() / "weights" / f"{stem}.h5"


def is_weights_file(path: Path) -> bool:
    """Whether the file opens as a weights file of this project.

    HDF5 notes the length of a file in its head, so a truncated one does not open.
    """
    try:
        with h5py.File(path, "r") as file:
            return has_format(file)
    except OSError:  # also if there is no file
        return False


def make_once(target: Path, make: Callable[[], None]) -> Path:
    """Have ``make()`` write the target, unless an intact one is there.

    Other processes that want the same target wait until it is made.

    Raises:
        ValueError: if the folder cannot be written to; and what ``make`` raises.
    """
    if is_weights_file(target):
        return target
    with _errors_of(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not is_weights_file(target):
                make()
    return target


@contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except ConnectionError:  # an OSError, but not the folder's
        raise
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise ValueError(
            f"cannot write to the cache folder {folder} ({reason}); make it writable, "
            f"free some room, or set {CACHE_DIR} to another folder"
        ) from error
