"""Resizing that keeps the aspect ratio and does not alias.

Pictures are float32 ``(h, w, 3)`` in [0, 1]; masks and alpha ``(h, w)``. Sizes are
pixels, always in the order height, width.
"""

import math
from numbers import Integral

import numpy as np
from PIL import Image

LANCZOS_SUPPORT = 3


def size_for_longer_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width whose longer side is exactly ``size`` pixels.

    The shorter side is rounded to the nearest pixel (halves up) and is at least 1.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is not positive.
    """
    height, width, size = _positive(height=height, width=width, size=size)
    longer = max(height, width)
    # In integers, so that no side is a pixel off because of a rounded quotient.
    shorter = max(1, (2 * min(height, width) * size + longer) // (2 * longer))
    return (size, shorter) if height >= width else (shorter, size)


def size_for_area(height: int, width: int, area: int) -> tuple[int, int]:
    """Height and width of the same aspect ratio that cover ``area`` pixels.

    Each side is rounded to the nearest pixel (halves up) and is at least 1. For the
    style picture, whose Gram matrices count per position: as many positions as the
    content picture has.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is not positive.
    """
    height, width, area = _positive(height=height, width=width, area=area)
    return (
        max(1, math.floor(math.sqrt(area * height / width) + 0.5)),
        max(1, math.floor(math.sqrt(area * width / height) + 0.5)),
    )


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to ``height`` x ``width`` with a Lanczos filter (support 3).

    The filter is widened when shrinking, so fine patterns become their mean instead
    of false coarse ones. Its overshoot is clipped.

    Args:
        pixels: float32 ``(h, w, 3)`` or ``(h, w)`` in [0, 1].
        height: rows of the result.
        width: columns of the result.

    Returns:
        float32 in [0, 1]; the given array itself if it has that size already.

    Raises:
        TypeError: if the array is not float32 or a size is not an integer.
        ValueError: if the shape is another one or a size is not positive.
    """
    height, width = _positive(height=height, width=width)
    _check_pixels(pixels)
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.clip(resample(pixels, height, width), 0.0, 1.0)


def resample(
    pixels: np.ndarray, height: int, width: int, *, circular: bool = False
) -> np.ndarray:
    """``resize`` for values of any range, such as a picture in the middle of a run.

    Its overshoot is kept, and so are values outside [0, 1].

    Args:
        pixels: float32 ``(h, w, 3)`` or ``(h, w)``.
        height: rows of the result.
        width: columns of the result.
        circular: whether opposite edges are neighbours.

    Raises:
        TypeError: see ``resize``.
        ValueError: see ``resize``.
    """
    height, width = _positive(height=height, width=width)
    _check_pixels(pixels)
    if pixels.shape[:2] == (height, width):
        return pixels
    # Pillow filters float32 only one channel at a time.
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    # What the filter sees beyond the edges: its support, widened when shrinking.
    above, left = (
        _beyond(old, new) if circular else 0
        for old, new in zip(pixels.shape, (height, width), strict=False)
    )
    planes = np.pad(planes, ((above, above), (left, left), (0, 0)), mode="wrap")
    box = (left, above, left + pixels.shape[1], above + pixels.shape[0])
    resized = [
        Image.fromarray(np.ascontiguousarray(planes[..., channel])).resize(
            (width, height), Image.Resampling.LANCZOS, box
        )
        for channel in range(planes.shape[-1])
    ]
    result = np.stack([np.asarray(plane) for plane in resized], axis=-1)
    return result[..., 0] if pixels.ndim == 2 else result


def _beyond(old: int, new: int) -> int:
    return math.ceil(LANCZOS_SUPPORT * max(old / new, 1)) + 1


def fit_longer_side(pixels: np.ndarray, size: int) -> np.ndarray:
    """``resize`` to the size that ``size_for_longer_side`` gives.

    Raises:
        TypeError: see ``resize``.
        ValueError: see ``resize``.
    """
    _check_pixels(pixels)
    height, width = pixels.shape[:2]
    return resize(pixels, *size_for_longer_side(height, width, size))


def fit_area(pixels: np.ndarray, area: int) -> np.ndarray:
    """``resize`` to the size that ``size_for_area`` gives.

    Raises:
        TypeError: see ``resize``.
        ValueError: see ``resize``.
    """
    _check_pixels(pixels)
    height, width = pixels.shape[:2]
    return resize(pixels, *size_for_area(height, width, area))


def _positive(**numbers: int) -> tuple[int, ...]:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral):
            raise TypeError(f"{name} must be an integer, got {number!r}")
        if number < 1:
            raise ValueError(f"{name} must be positive, got {number}")
    return tuple(int(number) for number in numbers.values())


def _check_pixels(pixels: np.ndarray) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.float32:
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise TypeError(f"expected a float32 NumPy array, got {kind}")
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected shape (h, w, 3) or (h, w), got {pixels.shape}")
    if 0 in pixels.shape:
        raise ValueError(f"the picture is empty, shape {pixels.shape}")
