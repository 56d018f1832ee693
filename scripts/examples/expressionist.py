"""A red evening sky over a fjord, in long wavering strokes of oil."""

import numpy as np

from . import paint
from .fields import colour, fractal, mix, palette, pixels, sample, shrink, smoothstep

SCALE = 2
ASPECT = 0.8
SHORE = 0.50  # height of the waterline, in widths from the top
SKY = palette("7a1f1d c23a1e e2641f f0952b f4c04a e8752a b8301f e9a136")
WATER = palette("0e2230 17384a 1d5560 2f7a78 122a44 27505c")
LAND = palette("14281f 203c2c 34512e 0f1c22 4a5a2c")


def ridge(x):
    """Upper edge of the far hills, in widths from the top."""
    return (
        0.435
        + 0.030 * np.sin(5.2 * x + 0.6)
        - 0.022 * np.exp(-(((x - 0.74) / 0.13) ** 2))
    )


def bank(x):
    """Upper edge of the near shore, which rises to the left."""
    return (
        0.735
        - 0.27 * np.exp(-(np.abs(x / 0.20) ** 1.5))
        + 0.045 * np.sin(6.5 * x + 1.0)
    )


def sky_level(x, y):
    """A field whose level lines are the waves of the sky."""
    sway = 0.035 * np.sin(5.5 * x + 6 * y) + 0.05 * np.sin(2.6 * x - 3.5 * y + 1)
    hump = 0.10 * np.exp(-((x - 0.72) ** 2 + (y - 0.17) ** 2) / 0.016)
    return y + sway + hump - 0.07 * np.exp(-((x - 0.22) ** 2 + (y - 0.24) ** 2) / 0.012)


def hill_level(x, y):
    """Lines that run along the far hills."""
    return y - ridge(x)


def water_level(x, y):
    """The waves of the fjord."""
    swell = 0.06 * np.exp(-((x - 0.62) ** 2 + (y - 0.63) ** 2) / 0.012)
    return y + 0.020 * np.sin(9 * x + 12 * y) + swell


def shore_level(x, y):
    """Lines that run along the near shore."""
    return y - bank(x) + 0.012 * np.sin(14 * x + 20 * y)


def flow(x, y):
    """Unit direction of the strokes: along the levels of each part, blended."""
    u, v = _along(sky_level, x, y)
    for level, edge in (
        (hill_level, ridge(x)),
        (water_level, SHORE),
        (shore_level, bank(x)),
    ):
        share = smoothstep(-0.012, 0.012, y - edge)
        next_u, next_v = _along(level, x, y)
        u, v = u * (1 - share) + next_u * share, v * (1 - share) + next_v * share
    norm = np.hypot(u, v) + 1e-9
    return u / norm, v / norm


def _along(level, x, y):
    step = 0.002
    u = level(x, y + step) - level(x, y - step)
    v = level(x - step, y) - level(x + step, y)
    norm = np.hypot(u, v) + 1e-9
    return u / norm, v / norm


def _bands(level, tones, pitch: float, seed: int):
    """Colours in bands along the levels, each band its own pick of the palette."""
    place = level / pitch + 1.3 * (fractal(level * 9, 0 * level, 3, seed=seed) - 0.5)
    low = np.floor(place).astype(int)
    rank = tones[np.stack([low, low + 1]) * 5 % len(tones)]
    return mix(rank[0], rank[1], smoothstep(0.25, 0.75, place - low))


def guide(height: int, width: int) -> np.ndarray:
    """The colours under the strokes, (h, w, 3)."""
    x, y = (axis / width for axis in pixels(height, width))
    tone = _bands(sky_level(x, y), SKY, 0.034, 3)
    sun = np.hypot((x - 0.60) / 1.3, y - 0.385)
    tone = mix(tone, colour("f7dd7a"), 0.8 * smoothstep(0.13, 0.03, sun))
    tone = mix(tone, colour("3c4a63"), 0.8 * smoothstep(0.10, 0.0, y))
    hills = _bands(hill_level(x, y), np.concatenate([LAND[:2], WATER[:2]]), 0.02, 4)
    tone = mix(tone, hills, smoothstep(-0.002, 0.004, y - ridge(x)))
    waves = water_level(x, y)
    path = smoothstep(0.17, 0.0, np.abs(x - 0.60 - 0.05 * np.sin(22 * y)))
    gleam = path * smoothstep(0.50, 0.85, 0.5 + 0.5 * np.sin(waves * 260))
    gleam = gleam * smoothstep(0.80, 0.52, y)
    water = mix(_bands(waves, WATER, 0.022, 5), colour("e98a3a"), 0.85 * gleam)
    tone = mix(tone, water, smoothstep(-0.004, 0.004, y - SHORE))
    shore = _bands(shore_level(x, y), LAND, 0.018, 6)
    return mix(tone, shore, smoothstep(-0.002, 0.003, y - bank(x)))


def pines(canvas: paint.Canvas, rng, width: int) -> None:
    """Dark trees on the near shore: upright trunks and drooping boughs."""
    share = np.linspace(0, 1, 5)
    for x in (0.045, 0.085, 0.125, 0.16, 0.22):
        foot, tall = bank(np.float64(x)) + 0.02, rng.uniform(0.22, 0.40)
        count = 220
        up = np.sort(rng.uniform(0, 1, count))
        side = rng.uniform(-1, 1, count)
        reach = (1 - up) * 0.046 * rng.uniform(0.6, 1.1, count) + 0.004
        px = x + 0.006 * np.sin(4 * up)[:, None] + (side * reach)[:, None] * share
        py = foot - (0.06 + 0.94 * up[:, None]) * tall + reach[:, None] * share**2 * 0.9
        tones = LAND[rng.integers(0, 5, count)]
        tones = tones * rng.uniform(0.6, 1.2, (count, 1))
        widths = (0.010 - 0.006 * up) * width
        paint.lay(canvas, np.stack([px, py], axis=-1) * width, widths, tones, rng)


def expressionist(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    rng = np.random.default_rng(21)
    canvas = paint.blank(height, width, colour("3a2420"))
    below = guide(height, width)
    for count, length, breadth in (
        (1500, 0.22, 0.017),
        (3200, 0.17, 0.010),
        (3200, 0.12, 0.006),
    ):
        x, y = rng.uniform(0, width, count), rng.uniform(0, height, count)
        tones = sample(below, x, y) * rng.normal(1, 0.10, (count, 1))
        tones = np.clip(tones + rng.normal(0, 0.035, (count, 3)), 0, 1)
        lengths = width * length * rng.uniform(0.5, 1.4, count)
        paths = paint.trace(lambda a, b: flow(a / width, b / width), x, y, lengths, 28)
        paint.lay(
            canvas,
            paths,
            width * breadth * rng.uniform(0.6, 1.4, count),
            tones,
            rng,
            streak=0.13,
        )
    pines(canvas, rng, width)
    return shrink(paint.relit(canvas, strength=0.4, sigma=1.1), SCALE)
