"""Pictures from whatever a caller gives: files or arrays."""

import os
from os import PathLike
from pathlib import Path

from nst_jax.images.initial import STARTS
from nst_jax.images.io import Picture, from_array, load
from nst_jax.inputs import is_start_file


def check_start(start: str) -> None:
    """Refuse the name of a start that is neither a file nor known.

    Raises:
        ValueError: as it says.
    """
    if is_start_file(start) and not Path(start).exists():
        raise ValueError(f"start {start!r}: no such file, nor {', '.join(STARTS)}")


def start_picture(start: str | None) -> Picture | None:
    """The starting picture, if ``start`` names a file.

    Raises:
        ValueError: if there is no such file, or it is no picture.
    """
    if start is None or not is_start_file(start):
        return None
    check_start(start)
    return load(start)


def picture_of(source) -> Picture:
    """The picture in a file, or an array (see ``images.io.from_array``).

    Raises:
        ValueError: if it is none.
    """
    if isinstance(source, str | PathLike):
        return load(os.path.expanduser(source))
    return from_array(source)


def file_name(source) -> str | None:
    """The path of a file; None for an array."""
    return str(source) if isinstance(source, str | PathLike) else None
