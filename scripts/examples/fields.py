"""Fields that every picture draws on: noise, blur, resampling, colour helpers."""

import numpy as np
from PIL import Image


def smoothstep(low, high, value) -> np.ndarray:
    """Smooth ramp from 0 at ``low`` to 1 at ``high``; either may be the larger."""
    ramp = np.clip((value - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def mix(first, second, share) -> np.ndarray:
    """Colours (..., 3): ``first`` where ``share`` (...) is 0, ``second`` where 1."""
    share = np.asarray(share, np.float32)[..., None]
    return first * (1 - share) + second * share


def colour(text: str) -> np.ndarray:
    """``"e8d5b0"`` as three floats in [0, 1]."""
    return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


def palette(text: str) -> np.ndarray:
    """Several colours, ``"e8d5b0 9a5238"``, as (n, 3) floats in [0, 1]."""
    return np.array([colour(part) for part in text.split()])


def hashed(*keys, seed: int = 0) -> np.ndarray:
    """A pseudo-random number in [0, 1) for each tuple of integer keys."""
    state = np.uint32((seed * 2654435761 + 374761393) % 2**32)
    for key in keys:
        words = np.asarray(key).astype(np.int64).astype(np.uint32)
        state = (state ^ words) * np.uint32(0x85EBCA6B)
        state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        state = state ^ (state >> np.uint32(16))
    return np.asarray(state >> np.uint32(8), np.float32) / np.float32(2**24)


def noise(x: np.ndarray, y: np.ndarray, seed: int = 0) -> np.ndarray:
    """Smooth value noise in [0, 1] with features of size 1."""
    column, row = np.floor(x), np.floor(y)
    u, v = smoothstep(0, 1, x - column), smoothstep(0, 1, y - row)
    top = hashed(column, row, seed=seed) * (1 - u)
    top = top + hashed(column + 1, row, seed=seed) * u
    bottom = hashed(column, row + 1, seed=seed) * (1 - u)
    bottom = bottom + hashed(column + 1, row + 1, seed=seed) * u
    return top * (1 - v) + bottom * v


def fractal(x: np.ndarray, y: np.ndarray, octaves: int, seed: int = 0) -> np.ndarray:
    """Sum of noises, each half as strong and twice as fine; in [0, 1], mean 0.5."""
    total, weight = np.zeros_like(x, dtype=np.float32), 0.0
    for octave in range(octaves):
        scale = 2.0**octave
        # The offset keeps the lattices of the octaves from lining up.
        shifted = x * scale + 17.3 * octave, y * scale + 5.7 * octave
        total = total + noise(*shifted, seed=seed + octave) / scale
        weight += 1 / scale
    return total / weight


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (h, w) or (h, w, c), mirrored at the borders."""
    pad = int(np.ceil(3 * sigma))
    widths = [(pad, pad), (pad, pad)] + [(0, 0)] * (field.ndim - 2)
    wide = np.pad(field, widths, mode="symmetric")
    height, width = wide.shape[:2]
    rows = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(height)) ** 2)
    columns = np.exp(-2 * (np.pi * sigma * np.fft.rfftfreq(width)) ** 2)
    gain = (rows[:, None] * columns).reshape(height, -1, *[1] * (field.ndim - 2))
    spectrum = np.fft.rfft2(wide, axes=(0, 1)) * gain
    soft = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
    return soft[pad : height - pad, pad : width - pad].astype(np.float32)


def sample(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear look-up at pixel coordinates, clamped to the border."""
    height, width = field.shape[:2]
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    u, v = x - column, y - row
    if field.ndim == 3:
        u, v = u[..., None], v[..., None]
    top = field[row, column] * (1 - u) + field[row, column + 1] * u
    bottom = field[row + 1, column] * (1 - u) + field[row + 1, column + 1] * u
    return top * (1 - v) + bottom * v


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of ``factor`` x ``factor`` pixels: the antialiasing."""
    height, width = (side // factor for side in picture.shape[:2])
    cut = picture[: height * factor, : width * factor]
    blocks = cut.reshape(height, factor, width, factor, -1)
    return blocks.mean(axis=(1, 3)).reshape(height, width, *picture.shape[2:])


def pixels(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres ``x`` (to the right) and ``y`` (down), each (h, w)."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + np.float32(0.5)
    return x, y


def film(
    linear: np.ndarray,
    *,
    exposure: float,
    saturation: float,
    grain: float,
    seed: int,
) -> np.ndarray:
    """Develop linear light (h, w, 3) into sRGB in [0, 1], as a camera would.

    Adds the glow of bright places, vignetting, a little softness, the curve of a film
    and its grain. The curve is Narkowicz's fit of ACES (2015): a toe for the blacks, a
    shoulder for the lights.
    """
    height, width = linear.shape[:2]
    grey = linear.mean(axis=-1, keepdims=True)
    light = grey + saturation * (linear - grey)
    light = light + 0.05 * blur(np.maximum(light - 0.9, 0), width / 95)
    x, y = pixels(height, width)
    radius = np.hypot(x / width - 0.5, y / height - 0.5)
    light = blur(light, 0.35) * exposure * (1 - 0.45 * radius**2)[..., None]
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    developed = np.clip(curve, 0, 1) ** (1 / 2.2)
    speckle = np.random.default_rng(seed).normal(size=(height, width, 1))
    bright = developed.mean(axis=-1, keepdims=True)
    strength = grain * (0.4 + 2 * bright * (1 - bright))
    developed = developed + strength * blur(speckle.astype(np.float32), 0.6)
    return np.clip(developed, 0, 1).astype(np.float32)


def to_picture(values: np.ndarray) -> Image.Image:
    """Float sRGB in [0, 1] as an 8-bit picture."""
    return Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))
