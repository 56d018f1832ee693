"""A painter in oil: strokes that follow a flow field, and the relief of the paint."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .fields import blur

Flow = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Canvas(NamedTuple):
    """Paint laid down so far: ``colour`` (h, w, 3) and thickness ``relief`` (h, w)."""

    colour: np.ndarray
    relief: np.ndarray


def blank(height: int, width: int, ground: np.ndarray) -> Canvas:
    """A canvas primed in one colour."""
    primed = np.broadcast_to(ground, (height, width, 3)).astype(np.float32).copy()
    return Canvas(primed, np.zeros((height, width), np.float32))


def trace(flow: Flow, x: np.ndarray, y: np.ndarray, length: np.ndarray, steps: int):
    """Paths of (n, steps) points that run along the flow through each (x, y)."""
    half = length / (steps - 1)
    ahead = _walk(flow, x, y, half, steps - steps // 2)
    behind = _walk(flow, x, y, -half, steps // 2 + 1)[:, :0:-1]
    return np.concatenate([behind, ahead], axis=1)


def _walk(flow: Flow, x, y, stride, count: int) -> np.ndarray:
    points = [np.stack([x, y], axis=-1)]
    for _ in range(count - 1):
        x, y = points[-1][:, 0], points[-1][:, 1]
        u, v = flow(x, y)
        u, v = flow(x + stride / 2 * u, y + stride / 2 * v)
        points.append(np.stack([x + stride * u, y + stride * v], axis=-1))
    return np.stack(points, axis=1)


def lay(
    canvas: Canvas,
    paths: np.ndarray,
    widths: np.ndarray,
    colours: np.ndarray,
    rng: np.random.Generator,
    *,
    body: float = 1.0,
    streak: float = 0.08,
) -> None:
    """Lay strokes one over another, in order, onto the canvas (in place).

    Args:
        canvas: the canvas.
        paths: (n, steps, 2) points in pixels.
        widths: (n,) in pixels.
        colours: (n, 3).
        rng: for the bristles.
        body: thickness of the paint.
        streak: how much the bristles differ in brightness.
    """
    for path, width, tone in zip(paths, widths, colours, strict=True):
        _stroke(canvas, path, float(width), tone, rng, body, streak)


def _stroke(canvas, path, width, tone, rng, body, streak) -> None:
    height, breadth = canvas.relief.shape
    length = float(np.hypot(*np.diff(path, axis=0).T).sum())
    along = np.linspace(0, 1, max(int(length / 0.6), 4), dtype=np.float32)
    across = np.linspace(-1, 1, max(int(width / 0.6), 3), dtype=np.float32)
    steps = np.linspace(0, 1, len(path))
    x, y = np.interp(along, steps, path[:, 0]), np.interp(along, steps, path[:, 1])
    dx, dy = np.gradient(x), np.gradient(y)
    norm = np.hypot(dx, dy) + 1e-6
    # Round at the start, drawn out at the end, as a brush is set down and lifted.
    half = width / 2 * np.minimum(along / 0.12, (1 - along) / 0.35).clip(0, 1) ** 0.5
    column = (x[:, None] - (dy / norm * half)[:, None] * across).astype(np.int32)
    row = (y[:, None] + (dx / norm * half)[:, None] * across).astype(np.int32)
    bristles = rng.normal(size=len(across)).astype(np.float32)
    # Some bristles run dry before the others.
    dry = along[:, None] > 1.15 - 0.35 * np.abs(bristles)
    inside = (column >= 0) & (column < breadth) & (row >= 0) & (row < height) & ~dry
    column, row = column[inside], row[inside]
    ridge = np.broadcast_to(bristles, inside.shape)[inside]
    profile = np.broadcast_to(1 - 0.6 * across**4, inside.shape)[inside]
    canvas.colour[row, column] = tone * (1 + streak * ridge[:, None])
    canvas.relief[row, column] = body * (profile + 0.35 * ridge)


def relit(canvas: Canvas, *, strength: float, sigma: float) -> np.ndarray:
    """The canvas under raking light from the upper left; sRGB in [0, 1]."""
    relief = blur(canvas.relief, sigma)
    slope_y, slope_x = np.gradient(relief)
    light = -(slope_x + slope_y) * strength
    lit = canvas.colour * (1 + np.clip(light, -0.5, 0.6))[..., None]
    gleam = np.clip(light - 0.25, 0, 0.5)[..., None] * 0.5
    return np.clip(lit + gleam, 0, 1).astype(np.float32)
