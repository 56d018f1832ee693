"""Pictures from whatever a caller gives: files or arrays."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.config import Config, StyleConfig, blended, changed
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


# --- styles of a caller -----------------------------------------------------------


def style_sources(style) -> list[Any]:
    """The files or arrays of what a caller gave as style.

    Args:
        style: a file or an array; a mapping with a ``picture`` and other keys of a
            style; or a list of such.

    Raises:
        ValueError: if a mapping has no picture.
    """
    sources = []
    for number, one in enumerate(_several(style), start=1):
        if isinstance(one, Mapping) and "picture" not in one:
            raise ValueError(f"style {number}: picture is missing")
        sources.append(one["picture"] if isinstance(one, Mapping) else one)
    return sources


def style_keys(
    style, weights: Sequence[float] | None, files: Sequence[str | None]
) -> dict[str, Any]:
    """The keys ``style`` or ``styles`` of what a caller gave.

    Args:
        style: see ``style_sources``.
        weights: of the styles, if they are not in mappings.
        files: of the styles; None for an array.

    Raises:
        ValueError: for unknown keys and values of a mapping, and if there are more
            weights than styles, or fewer.
    """
    several = _several(style)
    has_keys = any(isinstance(one, Mapping) for one in several)
    if not isinstance(style, list | tuple) and weights is None and not has_keys:
        return {"style": files[0]}
    if not has_keys:
        return {"styles": blended(files, weights, where="style_weights")}
    if weights is not None:
        raise ValueError(
            "style_weights: a style with keys has its weight there: leave them out"
        )
    return {"styles": tuple(map(_with_keys, several, files))}


def _several(style) -> list[Any]:
    return list(style) if isinstance(style, list | tuple) else [style]


def _with_keys(style, file: str | None) -> StyleConfig:
    keys = dict(style) if isinstance(style, Mapping) else {}
    # An array has no name; any will do to read the other keys.
    keys["picture"] = "array" if file is None else file
    # Beside another one: a weight of 0 is no fault of this one alone.
    styles = changed(Config(), styles=[keys, "other"]).styles
    assert styles is not None
    return replace(styles[0], picture=file)
