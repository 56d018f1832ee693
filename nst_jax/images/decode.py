"""From an opened picture file to float32 sRGB: samples, colour profile, rotation.

Pillow reads 16-bit colour as 8 bits; imagecodecs decodes those files.
"""

import os
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

_ORIENTATION = 274
_PHOTOMETRIC = 262
_MIN_IS_WHITE = 0
# Raw modes, without byte order, that Pillow would cut to 8 bits.
_WIDE_COLOUR = ("RGB;16", "RGBA;16", "LA;16")


class Unfit(Exception):
    """A reason to refuse a picture, still without the file's name."""


def decode(
    image: Image.Image, path: str | os.PathLike
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour ``(h, w, 1 | 3 | 4)`` for gray, RGB, CMYK, and alpha ``(h, w)``.

    Colour is uint8 or uint16 over the full range, or float32 in [0, 1].
    """
    raw = _raw_mode(image)
    if image.mode == "F":
        return _decode_float(image), None
    if image.mode.startswith("I;16") and raw.startswith("I;16"):
        return _decode_gray16(image)
    if image.format in ("PNG", "TIFF") and raw in _WIDE_COLOUR:
        return _decode_colour16(Path(path).read_bytes(), str(image.format))
    if image.mode.startswith("I"):
        raise Unfit("integers without a known range; save it with 8 or 16 bits")
    return _decode_8(image)


def _raw_mode(image: Image.Image) -> str:
    """How samples lie in the file ("RGB;16"), without the byte order."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    raw = arguments[0] if isinstance(arguments, tuple) else arguments
    return str(raw).rstrip("BLN")


def _decode_float(image: Image.Image) -> np.ndarray:
    values = np.asarray(image, np.float32)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise Unfit("float values must be finite and in [0, 1]; rescale the picture")
    return values[..., None]


def _decode_gray16(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    values = np.asarray(image).astype(np.uint16)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_IS_WHITE:
        values = np.uint16(65535) - values
    hidden = image.info.get("transparency")
    alpha = None if hidden is None else (values != hidden).astype(np.float32)
    return values[..., None], alpha


def _decode_colour16(data: bytes, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
    decode = {"PNG": imagecodecs.png_decode, "TIFF": imagecodecs.tiff_decode}[kind]
    return _split_alpha(decode(data))


def _decode_8(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    if image.has_transparency_data:
        # Straight to RGBA, else the transparent colour of a palette is lost.
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
    elif image.mode not in ("L", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values = np.asarray(image)
    if image.mode in ("LA", "RGBA"):
        return _split_alpha(values)
    return (values[..., None] if values.ndim == 2 else values), None


def _split_alpha(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if values.shape[-1] == 3:
        return values, None
    return values[..., :-1], _unit(values[..., -1])


def _unit(values: np.ndarray) -> np.ndarray:
    """Integers over their full range, or floats as they are, to float32 in [0, 1]."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def to_srgb(
    colour: np.ndarray, profile: bytes | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decoded colour as float32 sRGB ``(h, w, 3)``, and notes on what went wrong."""
    if profile:
        try:
            return _through_profile(colour, profile), ()
        except (RuntimeError, ValueError, TypeError) as error:
            note = f"the embedded colour profile was ignored ({first_line(error)})"
            return _without_profile(colour), (note,)
    return _without_profile(colour), ()


def _through_profile(colour: np.ndarray, profile: bytes) -> np.ndarray:
    if colour.shape[-1] == 1 and profile[16:20] == b"RGB ":
        colour = np.repeat(colour, 3, axis=-1)
    channels = colour.shape[-1]
    pixels = imagecodecs.cms_transform(
        np.ascontiguousarray(colour[..., 0] if channels == 1 else colour),
        profile,
        imagecodecs.cms_profile("srgb"),
        colorspace={1: "gray", 3: "rgb", 4: "cmyk"}[channels],
        outcolorspace="rgb",
        # With integers the library goes through a coarse table, up to 5 % off, but
        # for RGB from 8 to 16 bits: 0.4 of an 8-bit step, and 20 x faster than float.
        outdtype="uint16" if colour.dtype == np.uint8 and channels == 3 else "float32",
    )
    if pixels.shape != (*colour.shape[:2], 3) or not np.isfinite(pixels).all():
        raise ValueError("it gives no usable colours")
    return np.clip(_unit(pixels), 0.0, 1.0)


def _without_profile(colour: np.ndarray) -> np.ndarray:
    values = _unit(colour)
    if values.shape[-1] == 4:
        return (1.0 - values[..., :3]) * (1.0 - values[..., 3:])
    return np.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels ``(h, w, 3)`` seen over white through alpha ``(h, w)``."""
    return pixels * alpha[..., None] + (1.0 - alpha[..., None])


def orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """The EXIF orientation, 1 to 8, and notes on what went wrong."""
    try:
        return image.getexif().get(_ORIENTATION, 1), ()
    except Exception as error:  # as above: the parser raises nearly everything
        return 1, (f"damaged EXIF data, taken as upright ({first_line(error)})",)


def upright(values: np.ndarray, turn: int) -> np.ndarray:
    """Undo the EXIF orientation ``turn`` (1 to 8; anything else means upright)."""
    if turn in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if turn in (2, 3, 6, 7) else values


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0]
