"""Picture files to float32 arrays and back.

A picture is float32 sRGB ``(h, w, 3)`` in [0, 1], upright. Files are judged by their
content, not by their ending, when read; the ending chooses the format when written.
"""

import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nst_jax.images.decode import (
    Unfit,
    decode,
    first_line,
    on_white,
    orientation,
    to_srgb,
    upright,
)
from nst_jax.images.encode import (
    DESCRIPTION,
    PLAIN,
    SETTINGS_KEY,
    Encoding,
    file_bytes,
    samples,
)

# Plugins that only decode: some of Pillow's others start programs (EPS) or play films.
READABLE = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
MIN_SIDE = 16
MAX_ASPECT = 20
# 11585 x 11585. Below Pillow's own refusal at 1.8e8, which therefore stays untouched.
MAX_PIXELS = 2**27


class Picture(NamedTuple):
    """A picture as it was read.

    Attributes:
        pixels: float32 ``(h, w, 3)``, sRGB in [0, 1]; transparent parts over white.
        alpha: float32 ``(h, w)`` in [0, 1]; None if all of it is opaque.
        name: file name without its folder.
        notes: what could not be honoured (a broken colour profile, damaged
            metadata), one sentence each, for the caller to show.
        profile: the embedded ICC profile that the pixels were converted from, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    name: str
    notes: tuple[str, ...] = ()
    profile: bytes | None = None


def load(path: str | os.PathLike) -> Picture:
    """Read a JPEG, PNG, TIFF, WebP, BMP or GIF file (its first frame).

    Gray, palette, CMYK and 1-bit pictures become RGB; 16-bit gray and RGB keep their
    precision; a float TIFF must lie in [0, 1]. EXIF rotation is applied, and an
    embedded colour profile is converted to sRGB. A profile that does not work is left
    out, with a sentence in ``notes``.

    Raises:
        ValueError: naming the file: missing, unreadable, empty, damaged or no picture
            at all; more than ``MAX_PIXELS``, a side below ``MIN_SIDE``, or one side
            more than ``MAX_ASPECT`` times the other; values without a known range.
    """
    with _opened(path) as (image, caught):
        _check_size(*image.size)
        profile = image.info.get("icc_profile")
        colour, alpha = decode(image, path)
        # After the pixels: where Pillow decodes a TIFF it turns it, and says so here.
        turn, notes = orientation(image)
        pixels, more = to_srgb(colour, profile)
    if alpha is not None and alpha.min() == 1.0:
        alpha = None
    if alpha is not None:
        pixels = on_white(pixels, alpha)
        alpha = np.ascontiguousarray(upright(alpha, turn))
    pixels = np.ascontiguousarray(upright(pixels, turn))
    notes += more + tuple(" ".join(str(w.message).split()) for w in caught)
    if more:  # it did not work
        profile = None
    notes = tuple(dict.fromkeys(notes))
    return Picture(pixels, alpha, Path(path).name, notes, profile or None)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple[Image.Image, list]]:
    """A picture and the list that Pillow's warnings about it go to.

    Whatever fails, here or in the block, becomes a ValueError.
    """
    try:
        _check_file(path)
        # Opened here: given a path, Pillow maps some TIFFs into memory and then
        # scrambles the rows of those that are stored on their side.
        with (
            open(path, "rb") as file,
            _user_warnings() as caught,
            Image.open(file, formats=READABLE) as image,
        ):
            yield image, caught
    except Unfit as error:
        raise ValueError(f"{path}: {error}") from None
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except PermissionError as error:
        raise ValueError(f"{path}: no permission to read this file") from error
    except Image.UnidentifiedImageError as error:
        raise ValueError(
            f"{path}: not a picture that can be read (JPEG, PNG, TIFF, WebP, BMP, GIF)"
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path}: too large; at most {MAX_PIXELS} pixels are read"
        ) from error
    except MemoryError as error:
        raise ValueError(f"{path}: too large for the memory of this machine") from error
    # On damaged files decoders raise nearly everything, from struct.error to KeyError.
    except Exception as error:
        raise ValueError(
            f"{path}: truncated or damaged ({first_line(error)})"
        ) from error


@contextmanager
def _user_warnings() -> Iterator[list]:
    with warnings.catch_warnings(record=True) as caught:
        # Not those about large pictures, which MAX_PIXELS judges.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        yield caught


def _check_file(path: str | os.PathLike) -> None:
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise Unfit("a folder, not a picture")
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("not a regular file")
    if status.st_size == 0:
        raise Unfit("the file is empty")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unfit(f"{width} x {height} is too large; at most {MAX_PIXELS} pixels")
    if min(width, height) < MIN_SIDE:
        raise Unfit(f"{width} x {height} is too small; each side needs {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unfit(
            f"{width} x {height} is too narrow; one side may be at most {MAX_ASPECT} "
            "times the other"
        )


def from_array(array: np.ndarray) -> Picture:
    """A picture from an array in memory.

    Args:
        array: ``(h, w, 3)`` or ``(h, w, 4)`` with alpha last; uint8, or floats in
            [0, 1].

    Raises:
        TypeError: for another kind of numbers.
        ValueError: for another shape, values out of range, or a size that ``load``
            refuses too.
    """
    values = np.asarray(array)
    if values.ndim != 3 or values.shape[2] not in (3, 4):
        raise ValueError(f"a picture is (h, w, 3) or (h, w, 4), not {values.shape}")
    if values.dtype == np.uint8:
        values = values.astype(np.float32) / 255
    elif values.dtype.kind != "f":
        raise TypeError(f"a picture holds uint8 or floats, not {values.dtype}")
    values = values.astype(np.float32)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ValueError("a picture of floats must lie in [0, 1]")
    try:
        _check_size(values.shape[1], values.shape[0])
    except Unfit as error:
        raise ValueError(f"picture array: {error}") from None
    if values.shape[2] == 3 or values[..., 3].min() == 1:
        return Picture(values[..., :3], None, "array")
    alpha = values[..., 3]
    return Picture(on_white(values[..., :3], alpha), alpha, "array")


def writable_ending(path: str | os.PathLike) -> str:
    """Name of the format that ``save`` would write ("PNG"), from the ending.

    Raises:
        ValueError: if no format has this ending; lists those that have.
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITABLE:
        raise ValueError(
            f"{path}: unknown ending {ending!r}; pictures are written as "
            f"{', '.join(WRITABLE)}"
        )
    return WRITABLE[ending]


def save(
    path: str | os.PathLike,
    pixels: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    settings: str | None = None,
    quality: int = 95,
    encoding: Encoding = PLAIN,
) -> None:
    """Write a picture atomically: the whole file appears, or none.

    Equal arguments give equal bytes. Pixels are stored as they are, with alpha beside
    them, except in a JPEG, which has no alpha and gets them over white.

    Args:
        path: the file; its ending chooses the format (``WRITABLE``).
        pixels: float ``(h, w, 3)``; clipped to [0, 1].
        alpha: float ``(h, w)``; clipped to [0, 1].
        settings: text kept in the metadata for ``read_settings``: chunk "nst-jax" of
            a PNG, ImageDescription elsewhere. A JPEG has room for 64 kB.
        quality: 1 to 100, for JPEG and WebP.
        encoding: bits and colour profile.

    Raises:
        TypeError: if an array does not hold floats.
        ValueError: naming the file: unknown ending, wrong shape, NaN, bits that the
            format lacks, a picture or a text too large for it, a folder that cannot be
            written to.
    """
    kind = writable_ending(path)
    if isinstance(quality, bool) or quality not in range(1, 101):
        raise ValueError(f"{path}: quality must be from 1 to 100, got {quality!r}")
    pixels, alpha = np.asarray(pixels), None if alpha is None else np.asarray(alpha)
    try:
        values = samples(kind, pixels, alpha, encoding)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    try:
        data = file_bytes(
            kind, values, settings=settings, quality=quality, profile=encoding.profile
        )
    except Exception as error:
        raise ValueError(
            f"{path}: cannot be written as {kind} ({first_line(error)})"
        ) from error
    _write_atomically(Path(path), data)


def _write_atomically(path: Path, data: bytes) -> None:
    # Not tempfile.mkstemp: it makes files that only their owner can read.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise ValueError(f"{path}: cannot write: {error.strerror or error}") from error


def read_settings(path: str | os.PathLike) -> str | None:
    """The text that ``save`` stored in a picture, or None if it holds none.

    Raises:
        ValueError: naming the file, if it is missing, damaged or no picture.
    """
    with _opened(path) as (image, _):
        if image.format == "PNG":
            text = image.info.get(SETTINGS_KEY)
            return None if text is None else str(text)
        description = image.getexif().get(DESCRIPTION)
    return _own_text(description)


def _own_text(description: object) -> str | None:
    # Pillow decodes this tag as Latin-1, which loses no byte.
    if not isinstance(description, str) or not description.startswith(SETTINGS_KEY):
        return None
    try:
        text = description.encode("latin-1").decode()
    except UnicodeError:
        return None
    return text.partition("\n")[2]
