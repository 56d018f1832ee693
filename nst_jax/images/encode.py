"""From a float sRGB picture to the bytes of a picture file: profile, samples, format.

Pillow writes 8 bits; 16 bits of colour are written by imagecodecs.
"""

import io
import zlib
from typing import Any, Literal, NamedTuple

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from nst_jax.images.decode import first_line, on_white

SETTINGS_KEY = "nst-jax"
DESCRIPTION = 270  # ImageDescription, the same tag in EXIF and TIFF
WIDE = ("PNG", "TIFF")  # formats of 16 bits
_SIGNATURE_AND_HEADER = 8 + 25  # bytes of a PNG before its second chunk


class Encoding(NamedTuple):
    """How samples are stored.

    Attributes:
        bits: 8, or 16 in PNG and TIFF.
        profile: ICC profile that the colours are converted to and that the file gets;
            None: sRGB, and no profile.
    """

    bits: Literal[8, 16] = 8
    profile: bytes | None = None


PLAIN = Encoding()


# --- samples ----------------------------------------------------------------------


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Clip to [0, 1] and round to the nearest of the 256 levels.

    Raises:
        TypeError: if the array does not hold floats.
        ValueError: if a value is NaN.
    """
    return _to_levels(pixels, 8)


def _to_levels(pixels: np.ndarray, bits: int) -> np.ndarray:
    pixels = np.asarray(pixels)
    if pixels.dtype.kind != "f":
        raise TypeError(f"expected floats in [0, 1], got {pixels.dtype}")
    if np.isnan(pixels).any():
        raise ValueError("the picture holds NaN")
    dtype = {8: np.uint8, 16: np.uint16}[bits]
    return np.rint(np.clip(pixels, 0.0, 1.0) * (2.0**bits - 1)).astype(dtype)


def samples(
    kind: str, pixels: np.ndarray, alpha: np.ndarray | None, encoding: Encoding
) -> np.ndarray:
    """Whole numbers for a file: ``(h, w, 3)``, or ``(h, w, 4)`` with alpha.

    Args:
        kind: of the format, as Pillow calls it. A JPEG gets alpha over white.
        pixels: float ``(h, w, 3)``; clipped to [0, 1].
        alpha: float ``(h, w)``; likewise.
        encoding: see there.

    Raises:
        TypeError: if an array does not hold floats.
        ValueError: for a wrong shape, NaN, or bits that the format lacks.
    """
    if encoding.bits == 16 and kind not in WIDE:
        raise ValueError(f"{kind} holds 8 bits; 16 need {' or '.join(WIDE)}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.size == 0:
        raise ValueError(f"expected shape (h, w, 3), got {pixels.shape}")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ValueError(f"alpha has shape {alpha.shape}, the picture {pixels.shape}")
    if alpha is not None and kind == "JPEG":
        pixels, alpha = on_white(np.clip(pixels, 0, 1), np.clip(alpha, 0, 1)), None
    if encoding.profile is not None:
        pixels = _in_profile(pixels, encoding.profile)
    colour = _to_levels(pixels, encoding.bits)
    if alpha is None:
        return colour
    return np.dstack([colour, _to_levels(alpha, encoding.bits)])


# --- colour profiles --------------------------------------------------------------


def profile_trouble(profile: bytes) -> str | None:
    """Why colours cannot be written in a profile, or None if they can."""
    if profile[16:20] != b"RGB ":
        space = profile[16:20].decode("latin-1").strip() or "nothing"
        return f"it is for {space}, and the picture is RGB"
    try:
        _in_profile(np.zeros((1, 1, 3), np.float32), profile)
    except (RuntimeError, ValueError, TypeError) as error:
        return first_line(error)
    return None


def _in_profile(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """sRGB pixels in the colours of a profile, float32, clipped to [0, 1]."""
    if pixels.dtype.kind != "f" or not np.isfinite(pixels).all():
        return pixels  # refused where they are rounded
    converted = imagecodecs.cms_transform(
        np.ascontiguousarray(np.clip(pixels, 0, 1), np.float32),
        imagecodecs.cms_profile("srgb"),
        profile,
        colorspace="rgb",
        outcolorspace="rgb",
        outdtype="float32",
    )
    if converted.shape != pixels.shape or not np.isfinite(converted).all():
        raise ValueError("it gives no usable colours")
    return np.clip(converted, 0.0, 1.0)


# --- formats ----------------------------------------------------------------------


def file_bytes(
    kind: str,
    values: np.ndarray,
    *,
    settings: str | None,
    quality: int,
    profile: bytes | None,
) -> bytes:
    """A picture file of ``samples``; the rest as in ``images.io.save``."""
    if values.dtype == np.uint16:
        return {"PNG": _png16, "TIFF": _tiff16}[kind](values, settings, profile)
    buffer = io.BytesIO()
    options = _options(kind, settings, quality, profile)
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def _options(
    kind: str, settings: str | None, quality: int, profile: bytes | None
) -> dict:
    options: dict = {
        "PNG": {},
        "TIFF": {"compression": "tiff_adobe_deflate"},
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "WEBP": {"quality": quality},
    }[kind]
    if profile is not None:
        options = options | {"icc_profile": profile}
    if settings is None:
        return options
    if kind == "PNG":
        return options | {"pnginfo": _png_text(settings)}
    exif = Image.Exif()
    exif[DESCRIPTION] = _described(settings)
    return options | {"exif": exif}


def _png_text(settings: str) -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_itxt(SETTINGS_KEY, settings)
    return text


def _described(settings: str) -> bytes:
    # As bytes: Pillow would replace what is not ASCII. The key tells our text from a
    # camera's.
    return f"{SETTINGS_KEY}\n{settings}".encode()


def _png16(values: np.ndarray, settings: str | None, profile: bytes | None) -> bytes:
    """A PNG of 16 bits, with the chunks that imagecodecs does not write put in."""
    data = bytes(imagecodecs.png_encode(values))
    more = io.BytesIO()
    if profile is not None:
        # Name, end of the name, method 0 (PNG specification, section 11.3.3.3).
        named = b"ICC Profile\0\0" + zlib.compress(profile)
        PngImagePlugin.putchunk(more, b"iCCP", named)
    if settings is not None:
        for name, text, *_ in _png_text(settings).chunks:
            PngImagePlugin.putchunk(more, name, text)
    head = data[:_SIGNATURE_AND_HEADER]
    return head + more.getvalue() + data[_SIGNATURE_AND_HEADER:]


def _tiff16(values: np.ndarray, settings: str | None, profile: bytes | None) -> bytes:
    # Not compressed: the last bits of 16 hardly shrink, and libtiff would leave a
    # random byte behind a strip of odd length.
    # The annotation says str; the encoder takes bytes as they are.
    description: Any = None if settings is None else _described(settings)
    data = imagecodecs.tiff_encode(
        values,
        photometric="rgb",
        extrasample="unassalpha" if values.shape[-1] == 4 else None,
        iccprofile=profile,
        description=description,
    )
    return bytes(data)
