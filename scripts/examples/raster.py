"""A small z-buffer rasteriser for planar faces and round particles.

Screen depth is kept as ``q``, which is affine on the screen for a planar face and
larger when nearer: 1/z under perspective, -z under parallel projection.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

EMPTY = -1
Projection = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Buffer(NamedTuple):
    """For every pixel: depth ``q`` and the ``index`` of what is seen, or EMPTY."""

    q: np.ndarray
    index: np.ndarray


def empty(height: int, width: int) -> Buffer:
    """A buffer in which nothing is seen yet."""
    shape = height, width
    return Buffer(np.full(shape, -np.inf, np.float32), np.full(shape, EMPTY, np.int32))


def draw_faces(buffer: Buffer, faces: list[np.ndarray], project: Projection) -> None:
    """Draw convex planar faces, each (corners, 3), into the buffer (in place)."""
    starts = np.cumsum([0, *(len(corners) for corners in faces)])
    projected = np.stack(project(np.concatenate(faces)))
    for index, (start, end) in enumerate(pairwise(starts)):
        x, y, q = projected[:, start:end]
        if np.isfinite(q).all():
            _draw_face(buffer, index, x, y, q)


def _draw_face(buffer: Buffer, index: int, x, y, q) -> None:
    height, width = buffer.q.shape
    left, right = max(int(x.min()), 0), min(int(x.max()) + 1, width)
    top, bottom = max(int(y.min()), 0), min(int(y.max()) + 1, height)
    if left >= right or top >= bottom:
        return
    area = _cross(x[1] - x[0], y[1] - y[0], x[-1] - x[0], y[-1] - y[0])
    if abs(area) < 1e-6:
        return
    rows = np.arange(top, bottom)[:, None] + 0.5
    columns = np.arange(left, right) + 0.5
    inside = np.ones((bottom - top, right - left), bool)
    for start in range(len(x)):
        end = (start + 1) % len(x)
        edge = x[end] - x[start], y[end] - y[start]
        side = _cross(*edge, columns - x[start], rows - y[start])
        inside &= side * np.sign(area) >= 0
    corners = np.array([[x[i], y[i], 1.0] for i in (0, 1, -1)])
    slope_x, slope_y, base = np.linalg.solve(corners, q[[0, 1, -1]])
    depth = slope_x * columns + slope_y * rows + base
    window = slice(top, bottom), slice(left, right)
    seen = inside & (depth > buffer.q[window])
    buffer.q[window][seen] = depth[seen]
    buffer.index[window][seen] = index


def _cross(ax, ay, bx, by):
    return ax * by - ay * bx


def draw_particles(
    buffer: Buffer,
    centres: np.ndarray,
    radii: Callable[[np.ndarray], np.ndarray],
    first: int,
    project: Projection,
) -> None:
    """Draw particles (n, 3) as discs; ``radii`` is called with q, gives pixels."""
    x, y, q = project(centres)
    size = radii(q)
    order = np.argsort(q, kind="stable")
    reach = int(np.ceil(size.max())) if len(size) else 0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            near = order[np.hypot(dx, dy) <= size[order]]
            _splat(buffer, near, x[near] + dx, y[near] + dy, q[near], first)


def _splat(buffer: Buffer, indices, x, y, q, first: int) -> None:
    height, width = buffer.q.shape
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row, q, indices = column[inside], row[inside], q[inside], indices[inside]
    # From far to near: of several assignments to one pixel the last one stays.
    seen = q > buffer.q[row, column]
    buffer.q[row[seen], column[seen]] = q[seen]
    buffer.index[row[seen], column[seen]] = first + indices[seen]
