"""A night sky over a bay, in short curved strokes along a field of vortices."""

import numpy as np

from . import paint
from .fields import colour, fractal, mix, pixels, shrink, smoothstep

SCALE = 2
# Centre (x, y), radius and spin of each vortex, in units of the picture's width.
VORTICES = (
    (0.40, 0.27, 0.135, 1.0),
    (0.63, 0.36, 0.10, -1.0),
    (0.17, 0.42, 0.07, 1.0),
    (0.86, 0.22, 0.08, -1.0),
)
# Centre, radius of the halo.
STARS = (
    (0.10, 0.12, 0.060),
    (0.25, 0.09, 0.035),
    (0.60, 0.10, 0.045),
    (0.75, 0.14, 0.030),
    (0.90, 0.09, 0.085),
    (0.28, 0.46, 0.040),
    (0.80, 0.42, 0.045),
    (0.49, 0.50, 0.030),
    (0.06, 0.29, 0.030),
    (0.94, 0.36, 0.030),
)


def flow(x: np.ndarray, y: np.ndarray):
    """Unit direction of the strokes at points in units of the width."""
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
    norm = np.hypot(u, v) + 1e-6
    return u / norm, v / norm


def guide(height: int, width: int) -> np.ndarray:
    """The colours under the strokes, (h, w, 3)."""
    x, y = (axis / width for axis in pixels(height, width))
    tone = mix(colour("13235c"), colour("3f78b4"), smoothstep(0.0, 0.62, y))
    swirl = np.zeros_like(x)
    for cx, cy, radius, spin in VORTICES:
        dx, dy = x - cx, y - cy
        reach = np.hypot(dx, dy) / radius
        arms = 0.5 + 0.5 * np.cos(spin * 2 * np.arctan2(dy, dx) - 9 * reach)
        swirl = np.maximum(swirl, arms * smoothstep(1.6, 0.3, reach))
    tone = mix(tone, colour("a8d3dc"), 0.85 * swirl)
    for cx, cy, radius in STARS:
        reach = np.hypot(x - cx, y - cy) / radius
        rings = 0.5 + 0.5 * np.cos(reach * 11)
        tone = mix(
            tone, colour("e9d36b"), smoothstep(1.25, 0.4, reach) * (0.4 + 0.6 * rings)
        )
        tone = mix(tone, colour("fff3b8"), smoothstep(0.42, 0.2, reach))
    return tone


def night_sky(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * 0.78) * SCALE
    rng = np.random.default_rng(11)
    canvas = paint.blank(height, width, colour("101a40"))
    below = guide(height, width)
    for count, length, breadth in (
        (2500, 0.12, 0.016),
        (9000, 0.06, 0.009),
        (12000, 0.04, 0.006),
    ):
        x, y = rng.uniform(0, width, count), rng.uniform(0, height, count)
        tones = paint.pick(below, x, y)
        tones = tones * rng.normal(1, 0.12, (count, 1)) + rng.normal(
            0, 0.03, (count, 3)
        )
        lengths = width * length * rng.uniform(0.6, 1.3, count)
        paths = paint.trace(lambda a, b: flow(a / width, b / width), x, y, lengths, 12)
        widths = width * breadth * rng.uniform(0.7, 1.3, count)
        paint.lay(canvas, paths, widths, np.clip(tones, 0, 1), rng)
    return shrink(paint.relit(canvas, strength=0.35, sigma=1.0), SCALE)
