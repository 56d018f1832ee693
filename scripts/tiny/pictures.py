"""Pictures for the training: procedural ones, files, and random crops of both.

Everything is drawn from the NumPy generator that is handed in, so that a seed fixes
the whole stream of batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nst_jax.images.io import load

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
# Octaves of scale that crops are taken at: a side of 1/2 to 8 times the crop's.
SCALES = (-1.0, 3.0)


def read_folders(folders: Iterable[Path]) -> dict[str, np.ndarray]:
    """Pictures of some folders (not of folders within them) by file name.

    Returns:
        ``name -> (h, w, 3)`` float32 in [0, 1], sorted by path.

    Raises:
        ValueError: if a folder holds no picture, or a picture cannot be read.
    """
    pictures = {}
    for folder in folders:
        files = [p for p in sorted(folder.glob("*")) if p.suffix.lower() in SUFFIXES]
        if not files:
            raise ValueError(f"{folder}: no pictures ({', '.join(SUFFIXES)}) there")
        pictures |= {path.name: load(path).pixels for path in files}
    return pictures


def procedural(rng: np.random.Generator, count: int, size: int) -> list[np.ndarray]:
    """Noise, regions, gradients and brush strokes in turn: ``(size, size, 3)`` each.

    Float32 in [0, 1].
    """
    kinds = (coloured_noise, regions, strokes, gradients)
    return [kinds[i % len(kinds)](rng, size) for i in range(count)]


def power_noise(rng: np.random.Generator, size: int, exponent: float) -> np.ndarray:
    """Noise ``(size, size)`` of mean 0 and deviation 1 with amplitudes 1/f^exponent."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency**exponent
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return (noise / noise.std()).astype(np.float32)


def coloured_noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """1/f noise, smooth to grainy, mixed into colours at random."""
    exponent = rng.uniform(0.5, 2.0)
    planes = np.stack([power_noise(rng, size, exponent) for _ in range(3)], -1)
    mixing = rng.standard_normal((3, 3)).astype(np.float32) + 0.7
    return _unit(rng.random(3) + rng.uniform(0.08, 0.25) * planes @ mixing)


def gradients(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bands along a bent direction, between a few colours, with a little grain."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle, bend = rng.uniform(0, np.pi), rng.uniform(0, 0.2)
    along = np.cos(angle) * x + np.sin(angle) * y + bend * power_noise(rng, size, 2.0)
    phase = along * np.exp(rng.uniform(np.log(0.5), np.log(30)))
    colours = rng.random((int(rng.integers(3, 7)), 3))
    grain = rng.uniform(0, 0.06) * rng.standard_normal((size, size, 1))
    return _unit(_ramp(phase, colours) + grain)


def regions(rng: np.random.Generator, size: int) -> np.ndarray:
    """Flat and textured patches with sharp borders: a noise landscape cut in levels."""
    levels = int(rng.integers(3, 12))
    height = power_noise(rng, size, rng.uniform(1.3, 2.2))
    index = np.digitize(height, np.quantile(height, np.linspace(0, 1, levels)[1:-1]))
    textures = np.stack([power_noise(rng, size, e) for e in (0.3, 1.0)], -1)
    colours, strength = rng.random((levels, 3)), rng.uniform(0, 0.12, (levels, 2))
    shade = (textures * strength[index]).sum(-1, keepdims=True)
    return _unit(colours[index] + shade)


def strokes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Brush strokes along a smooth field of directions, over a smooth ground."""
    ground = np.stack([power_noise(rng, size, 1.7) for _ in range(3)], -1)
    ground = _unit(rng.uniform(0.2, 0.8, 3) + 0.2 * ground)
    direction = rng.uniform(0.3, 1.5) * power_noise(rng, size, 2.0)
    picture = Image.fromarray((ground * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    length, width = rng.uniform(10, 60), int(rng.integers(2, 12))
    for _ in range(int(3 * size * size / (length * width))):
        column, row = rng.integers(0, size, 2)
        colour = ground[row, column] + rng.normal(0, 0.12, 3) + rng.normal(0, 0.08)
        step = length / 2 * np.exp(1j * direction[row, column])
        ends = (
            column - step.real,
            row - step.imag,
            column + step.real,
            row + step.imag,
        )
        fill = tuple(int(value) for value in _unit(colour) * 255)
        draw.line(ends, fill, int(rng.integers(1, width + 1)))
    return np.asarray(picture, np.float32) / 255


def _ramp(phase: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Colours ``(h, w, 3)`` on a closed ramp; a phase of 1 is one colour further."""
    first = np.floor(phase).astype(int)
    part = (phase - first)[..., None]
    count = len(colours)
    return colours[first % count] * (1 - part) + colours[(first + 1) % count] * part


def _unit(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels, 0, 1).astype(np.float32)


def batches(
    rng: np.random.Generator,
    photos: Sequence[np.ndarray],
    made: Sequence[np.ndarray],
    *,
    batch: int,
    size: int,
) -> Iterator[np.ndarray]:
    """Endless batches ``(batch, size, size, 3)`` of crops, float32 in [0, 1].

    Two crops in three come from ``photos`` if there are any; larger photos come more
    often. A quarter of the crops are blends of two, and a quarter carry white noise,
    because pictures in the making look like that.
    """
    large = [_as_image(picture) for picture in photos]
    small = [_as_image(picture) for picture in made]
    area = np.sqrt([float(p.width * p.height) for p in large])

    def draw() -> np.ndarray:
        if large and rng.random() < 2 / 3:
            source = large[rng.choice(len(large), p=area / area.sum())]
        else:
            source = small[rng.integers(len(small))]
        return jitter(rng, crop(rng, source, size))

    while True:
        yield np.stack([_disturbed(rng, draw) for _ in range(batch)])


def _disturbed(rng: np.random.Generator, draw) -> np.ndarray:
    picture, kind = draw(), rng.random()
    if kind < 0.25:
        mask = power_noise(rng, len(picture), 1.8)[..., None]
        share = 1 / (1 + np.exp(-rng.uniform(1, 8) * mask))
        return _unit(picture * share + draw() * (1 - share))
    if kind < 0.5:
        amplitude = rng.uniform(0, 0.15)
        return _unit(picture + amplitude * rng.standard_normal(picture.shape))
    return picture


def _as_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))


def crop(rng: np.random.Generator, picture: Image.Image, size: int) -> np.ndarray:
    """A random square, shrunk or enlarged to ``size``: float32 in [0, 1].

    Its side is drawn evenly over ``SCALES`` octaves, as far as the picture reaches.
    """
    largest = min(picture.size)
    octaves = min(SCALES[1], np.log2(largest / size))
    side = min(largest, size * 2 ** rng.uniform(min(SCALES[0], octaves), octaves))
    left, top = (rng.uniform(0, length - side) for length in picture.size)
    box = (left, top, left + side, top + side)
    square = picture.resize((size, size), Image.Resampling.BICUBIC, box)
    return np.asarray(square, np.float32) / 255


def jitter(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Flips, a permutation of the channels, contrast and brightness by channel."""
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.5:
        pixels = pixels[::-1]
    pixels = pixels[..., rng.permutation(3)] if rng.random() < 0.5 else pixels
    contrast = rng.uniform(0.6, 1.3) * rng.uniform(0.85, 1.15, 3)
    brightness = rng.uniform(-0.12, 0.12) + rng.uniform(-0.06, 0.06, 3)
    mean = pixels.mean((0, 1))
    return _unit((pixels - mean) * contrast + mean + brightness)
