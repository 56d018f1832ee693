"""A night sky over hills and a village, in short strokes along a field of vortices."""

import numpy as np

from . import paint
from .fields import colour, fractal, mix, pixels, sample, shrink, smoothstep

SCALE = 2
ASPECT = 0.78
# Centre (x, y), radius and spin of each vortex, in widths of the picture.
VORTICES = (
    (0.42, 0.27, 0.135, 1.0),
    (0.65, 0.37, 0.10, -1.0),
    (0.22, 0.43, 0.07, 1.0),
    (0.83, 0.27, 0.07, -1.0),
)
# Centre and radius of the halo of each star; the first is the moon.
STARS = (
    (0.90, 0.10, 0.090),
    (0.24, 0.10, 0.040),
    (0.61, 0.10, 0.045),
    (0.74, 0.13, 0.030),
    (0.33, 0.47, 0.036),
    (0.81, 0.43, 0.045),
    (0.51, 0.48, 0.030),
    (0.06, 0.11, 0.055),
    (0.24, 0.25, 0.030),
    (0.94, 0.33, 0.036),
)
# Left edge, foot, width and height of each house.
HOUSES = (
    (0.505, 0.693, 0.034, 0.026),
    (0.555, 0.688, 0.030, 0.030),
    (0.600, 0.686, 0.036, 0.026),
    (0.655, 0.684, 0.034, 0.034),
    (0.720, 0.688, 0.036, 0.028),
    (0.770, 0.690, 0.030, 0.032),
    (0.820, 0.694, 0.036, 0.026),
    (0.480, 0.722, 0.040, 0.028),
    (0.535, 0.726, 0.036, 0.032),
    (0.585, 0.722, 0.042, 0.028),
    (0.640, 0.728, 0.036, 0.030),
    (0.690, 0.724, 0.042, 0.034),
    (0.745, 0.728, 0.038, 0.028),
    (0.795, 0.724, 0.042, 0.030),
    (0.855, 0.726, 0.038, 0.028),
)


def hills(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper edges of the far and the near hills, in widths from the top."""
    far = 0.565 + 0.030 * np.sin(6.5 * x + 0.8) - 0.030 * x + 0.012 * np.sin(17 * x)
    near = 0.665 + 0.028 * np.sin(4.6 * x + 3.4) + 0.010 * np.sin(11 * x + 1)
    return far, near


def flow(x: np.ndarray, y: np.ndarray):
    """Unit direction of the strokes at points in widths of the picture."""
    u = np.ones_like(x)
    v = 0.45 * np.sin(7 * x + 3 * y)
    for cx, cy, radius, spin in VORTICES:
        dx, dy = x - cx, y - cy
        pull = 5 * np.exp(-(dx**2 + dy**2) / (1.3 * radius) ** 2) * spin / radius
        u, v = u - pull * dy, v + pull * dx
    for cx, cy, radius in STARS:
        dx, dy = x - cx, y - cy
        pull = 9 * np.exp(-(dx**2 + dy**2) / radius**2) / radius
        u, v = u - pull * dy, v + pull * dx
    far, near = hills(x)
    slope = (hills(x + 0.01)[0] - far) / 0.01 + 0.5 * np.sin(40 * (y - far) + 9 * x)
    land = smoothstep(-0.01, 0.01, y - np.minimum(far, near))
    u, v = u * (1 - land) + land, v * (1 - land) + slope * land
    norm = np.hypot(u, v) + 1e-6
    return u / norm, v / norm


def guide(height: int, width: int) -> np.ndarray:
    """The colours under the strokes, (h, w, 3)."""
    x, y = (axis / width for axis in pixels(height, width))
    tone = mix(colour("101d52"), colour("3b73b0"), smoothstep(0.0, 0.58, y))
    for cx, cy, radius, spin in VORTICES:
        dx, dy = x - cx, y - cy
        reach = np.hypot(dx, dy) / radius
        arms = 0.5 + 0.5 * np.cos(spin * 2 * np.arctan2(dy, dx) - 9 * reach)
        tone = mix(tone, colour("a8d3dc"), 0.85 * arms * smoothstep(1.6, 0.3, reach))
        tone = mix(tone, colour("e6e2b0"), 0.5 * arms * smoothstep(0.7, 0.1, reach))
    for cx, cy, radius in STARS:
        reach = np.hypot(x - cx, y - cy) / radius
        halo = smoothstep(1.25, 0.4, reach) * (0.7 + 0.3 * np.cos(reach * 11))
        tone = mix(tone, colour("e8c850"), halo)
        tone = mix(tone, colour("fff3b8"), smoothstep(0.42, 0.2, reach))
    tone = _moon(tone, x, y)
    far, near = hills(x)
    mist = smoothstep(0.05, 0.0, far - y)
    tone = mix(tone, colour("9cc7cf"), 0.55 * mist)
    tone = mix(
        tone, _land(x, y, far, "1c3a5e 2f5f7c"), smoothstep(-0.003, 0.003, y - far)
    )
    return mix(
        tone, _land(x, y, near, "12261f 2f5236"), smoothstep(-0.003, 0.003, y - near)
    )


def _moon(tone, x, y):
    cx, cy, radius = STARS[0]
    disc = smoothstep(0.50, 0.44, np.hypot(x - cx, y - cy) / radius)
    bite = smoothstep(0.40, 0.46, np.hypot(x - cx + 0.2 * radius, y - cy) / radius)
    tone = mix(tone, colour("e0b23c"), disc)
    return mix(tone, colour("fff6cf"), disc * bite)


def _land(x, y, edge, tones: str):
    dark, light = (colour(text) for text in tones.split())
    rows = 0.5 + 0.5 * np.sin(150 * (y - edge) + 12 * fractal(x * 4, y * 4, 3, seed=2))
    return mix(dark, light, rows * smoothstep(0.14, 0.0, y - edge))


def strokes(
    canvas: paint.Canvas, rng, below, count: int, length: float, breadth: float
):
    """One coat of strokes over the whole canvas, in the colours of ``below``."""
    height, width = canvas.relief.shape
    x, y = rng.uniform(0, width, count), rng.uniform(0, height, count)
    tones = sample(below, x, y) * rng.normal(1, 0.12, (count, 1))
    tones = np.clip(tones + rng.normal(0, 0.03, (count, 3)), 0, 1)
    lengths = width * length * rng.uniform(0.6, 1.3, count)
    paths = paint.trace(lambda a, b: flow(a / width, b / width), x, y, lengths, 12)
    paint.lay(canvas, paths, width * breadth * rng.uniform(0.7, 1.3, count), tones, rng)


def village(canvas: paint.Canvas, rng) -> None:
    """A steeple, and houses of a few straight strokes, some with a lit window."""
    for step in np.linspace(-1, 1, 5):
        foot, top = (0.640 + 0.013 * step, 0.70), (0.640 + 0.011 * step, 0.60)
        _dabs(canvas, rng, [(foot, top)], 0.008, colour("4a6788"))
        _dabs(canvas, rng, [(top, (0.640, 0.490))], 0.006, colour("22385c"))
    for left, foot, breadth, tall in HOUSES:
        wall = colour(("3d5f86", "5b7f97", "8aa5a2", "2c4668")[rng.integers(4)])
        columns = left + np.linspace(0, 1, 7) * breadth
        walls = [((x, foot + 0.004), (x, foot - tall)) for x in columns]
        _dabs(canvas, rng, walls, breadth / 5, wall)
        peak = (left + breadth * 0.5, foot - 1.75 * tall)
        eaves = [
            (left + share * breadth, foot - 0.85 * tall)
            for share in np.linspace(-0.15, 1.15, 8)
        ]
        roof = colour(("7a3b30", "523048", "8f4f35", "2b3554")[rng.integers(4)])
        _dabs(canvas, rng, [(eave, peak) for eave in eaves], tall / 5, roof)
        if rng.random() < 0.75:
            x, y = left + breadth * rng.uniform(0.3, 0.7), foot - tall * 0.42
            for shift in (-0.002, 0.002):
                pane = (x + shift, y - 0.006), (x + shift, y + 0.006)
                _dabs(canvas, rng, [pane], 0.006, colour("ffd75e"))


def poplar(canvas: paint.Canvas, rng) -> None:
    """Two dark trees like flames on the left, of strokes that lick upwards."""
    share = np.linspace(0, 1, 12)
    for centre, tall, girth in ((0.165, 0.40, 0.040), (0.115, 0.64, 0.052)):
        for start in np.sort(rng.uniform(0, 0.93, 330)):
            spread = girth * (1 - start) ** 0.85 * min(1, 0.55 + 2 * start)
            side = rng.uniform(-1, 1)
            rise = start + (1 - start) * 0.42 * share
            lick = 0.012 * np.sin(14 * rise + 2.5 * side) * (1 - rise) ** 0.3
            x = centre + side * spread * (1 - 0.85 * share**1.3) + lick
            path = np.stack([x, 0.81 - tall * rise], axis=1)
            tone = colour(
                ("0d1f1c", "17332a", "2d5234", "4a5528", "101a38")[rng.integers(5)]
            )
            breadth = rng.uniform(0.004, 0.010) * (1 - 0.6 * start)
            _paths(canvas, rng, path[None], breadth, tone)


def _dabs(canvas, rng, ends, breadth: float, tone) -> None:
    share = np.linspace(0, 1, 4)[:, None]
    paths = [np.array(a) * (1 - share) + np.array(b) * share for a, b in ends]
    _paths(canvas, rng, np.array(paths), breadth, tone)


def _paths(canvas, rng, paths, breadth: float, tone) -> None:
    width = canvas.relief.shape[1]
    tones = np.clip(tone * rng.normal(1, 0.12, (len(paths), 1)), 0, 1)
    paint.lay(canvas, paths * width, np.full(len(paths), breadth * width), tones, rng)


def night_sky(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    rng = np.random.default_rng(11)
    canvas = paint.blank(height, width, colour("101a40"))
    below = guide(height, width)
    strokes(canvas, rng, below, 2500, 0.12, 0.016)
    strokes(canvas, rng, below, 9000, 0.06, 0.009)
    strokes(canvas, rng, below, 12000, 0.04, 0.006)
    village(canvas, rng)
    poplar(canvas, rng)
    return shrink(paint.relit(canvas, strength=0.35, sigma=1.0), SCALE)
