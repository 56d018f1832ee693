"""Pictures from whatever a caller gives: files or arrays."""

import os
from os import PathLike
from pathlib import Path

import numpy as np

from nst_jax.config import Config
from nst_jax.images.initial import STARTS
from nst_jax.images.io import Picture, from_array, load
from nst_jax.inputs import is_start_file, picture_files


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


def content_of(config: Config) -> Picture:
    """The content picture; for a texture a gray one of its size, that nobody looks at.

    Raises:
        ValueError: if there is none, or it is no picture.
    """
    if config.texture is None:
        return load(picture_files(config)["content"])
    width, height = config.texture
    return Picture(np.full((height, width, 3), 0.5, np.float32), None, "texture")


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
