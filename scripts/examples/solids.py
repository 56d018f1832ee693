"""Solids as signed distance fields, and rays marched through them.

Each solid carries a bounding sphere: a ray is marched through a solid only where
it meets that sphere, which keeps whole pictures affordable in NumPy.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]


class Solid(NamedTuple):
    """``distance`` maps points (n, 3) relative to ``centre`` to distances (n,)."""

    centre: np.ndarray
    bound: float
    distance: Distance
    material: str


class Hits(NamedTuple):
    """For each ray the distance travelled (inf: nothing met) and the solid's number."""

    travel: np.ndarray
    solid: np.ndarray


def length(points: np.ndarray) -> np.ndarray:
    """Euclidean norm over the last axis."""
    return np.sqrt(np.einsum("...i,...i->...", points, points))


def smooth_union(first: np.ndarray, second: np.ndarray, reach: float) -> np.ndarray:
    """Union of two distances with a fillet (polynomial smooth minimum)."""
    share = np.clip(0.5 + 0.5 * (second - first) / reach, 0, 1)
    return second + (first - second) * share - reach * share * (1 - share)


def ball(radius: float) -> Distance:
    """A ball."""
    return lambda p: length(p) - radius


def apple(radius: float) -> Distance:
    """A spindle torus: a ball with dimples at both poles, slightly narrower below."""

    def distance(p):
        around = np.hypot(p[:, 0], p[:, 2]) * (1 - 0.10 * p[:, 1] / radius)
        body = np.hypot(around - 0.37 * radius, p[:, 1] * 0.90) - 0.63 * radius
        bend = 0.10 * np.clip(p[:, 1], 0, None)
        stem = np.hypot(p[:, 0] - bend, p[:, 2]) - 0.035 * radius
        stem = np.maximum(stem, np.abs(p[:, 1] - 0.65 * radius) - 0.25 * radius)
        return np.minimum(body, stem) * 0.85

    return distance


def pear(radius: float) -> Distance:
    """A large ball below and a small one above, joined, with a stem."""

    def distance(p):
        low = length(p) - radius
        high = length(p - [0.08 * radius, 1.05 * radius, 0]) - 0.48 * radius
        body = smooth_union(low, high, 0.7 * radius)
        bend = 0.10 * radius + 0.15 * (p[:, 1] - 1.4 * radius)
        stem = np.hypot(p[:, 0] - bend, p[:, 2]) - 0.045 * radius
        stem = np.maximum(stem, np.abs(p[:, 1] - 1.7 * radius) - 0.3 * radius)
        return np.minimum(body, stem) * 0.9

    return distance


def lemon(radius: float, turn: float) -> Distance:
    """An egg along a horizontal axis with a nipple at both ends."""
    axis = np.array([np.cos(turn), 0.12, np.sin(turn)])
    axis = axis / np.sqrt(axis @ axis)

    def distance(p):
        along = p @ axis
        around = length(p - along[:, None] * axis)
        body = np.hypot(along / 1.28, around) - radius
        tips = np.hypot(np.abs(along) - 1.32 * radius, around) - 0.13 * radius
        return smooth_union(body, tips, 0.28 * radius) * 0.75

    return distance


def bunch(offsets: np.ndarray, radii: np.ndarray) -> Distance:
    """Several balls, as a bunch of grapes."""

    def distance(p):
        nearest = np.full(len(p), np.inf, np.float32)
        for offset, radius in zip(offsets, radii, strict=True):
            nearest = np.minimum(nearest, length(p - offset) - radius)
        return nearest

    return distance


def turned(heights, radii, wall: float) -> Distance:
    """A hollow vessel turned on a wheel.

    Args:
        heights: rising heights of the outline.
        radii: outer radius at those heights.
        wall: thickness of the wall; the inside is open at the top.
    """
    fine = np.linspace(heights[0], heights[-1], 200)
    outline = np.interp(fine, heights, radii)
    window = np.hanning(25) / np.hanning(25).sum()
    outline = np.convolve(np.pad(outline, 12, mode="edge"), window, mode="valid")

    def distance(p):
        around, up = np.hypot(p[:, 0], p[:, 2]), p[:, 1]
        radius = np.interp(up, fine, outline).astype(np.float32)
        shell = np.abs(around - radius + wall / 2) - wall / 2
        floor = np.maximum(around - radius, up - heights[0] - 2 * wall)
        body = np.minimum(shell, floor)
        rim = np.maximum(up - heights[-1], heights[0] - up)
        return np.maximum(body * 0.6, rim)

    return distance


def handle(middle, radii, thickness: float, start: float) -> Distance:
    """The ear of a jug: an elliptic ring in the plane z = 0, where x > ``start``."""

    def distance(p):
        x, y = (p[:, 0] - middle[0]) / radii[0], (p[:, 1] - middle[1]) / radii[1]
        ring = np.abs(np.hypot(x, y) - 1) * min(radii)
        # Flattened: wider across than thick.
        gap = np.hypot(ring, p[:, 2] / 1.5) - thickness
        return np.maximum(gap * 0.8, start - p[:, 0])

    return distance


def union(*parts: Distance) -> Distance:
    """Several distances as one solid."""
    return lambda p: np.minimum.reduce([part(p) for part in parts])


def _span(solid: Solid, start, ray) -> tuple[np.ndarray, np.ndarray]:
    """Where each ray enters and leaves the bounding sphere; nothing if it does not."""
    offset = start - solid.centre
    along = np.einsum("ni,ni->n", offset, ray)
    root = along**2 - np.einsum("ni,ni->n", offset, offset) + solid.bound**2
    half = np.sqrt(np.maximum(root, 0))
    enter, leave = np.maximum(-along - half, 0), -along + half
    return enter, np.where(root > 0, leave, -1)


def march(solids, start: np.ndarray, ray: np.ndarray, steps: int = 70) -> Hits:
    """First solid that each ray meets; start and unit rays are (n, 3)."""
    travel = np.full(len(ray), np.inf, np.float32)
    number = np.full(len(ray), -1, np.int32)
    for index, solid in enumerate(solids):
        enter, leave = _span(solid, start, ray)
        live = np.nonzero(leave > enter)[0]
        gone = enter[live]
        for _ in range(steps):
            if len(live) == 0:
                break
            points = start[live] + gone[:, None] * ray[live] - solid.centre
            gap = solid.distance(points)
            met = (gap < 0.002) & (gone < travel[live])
            travel[live[met]], number[live[met]] = gone[met], index
            gone = gone + np.maximum(gap, 0.002)
            keep = ~met & (gone < np.minimum(leave[live], travel[live]))
            live, gone = live[keep], gone[keep]
    return Hits(travel, number)


def visibility(solids, points, toward, *, sharpness: float, steps: int = 28):
    """Share of a soft light seen from each point (n,); ``toward`` (n, 3) ends at it.

    The penumbra comes from the narrowest gap along the way, weighed by distance
    (Quilez's soft shadows).
    """
    reach = length(toward)
    ray = toward / reach[:, None]
    seen = np.ones(len(points), np.float32)
    for solid in solids:
        # A wider sphere, since light is lost already near the solid.
        wide = solid._replace(bound=solid.bound * 1.25)
        enter, leave = _span(wide, points, ray)
        live = np.nonzero(np.minimum(leave, reach) > enter)[0]
        gone = np.maximum(enter[live], 0.02)
        for _ in range(steps):
            if len(live) == 0:
                break
            local = points[live] + gone[:, None] * ray[live] - solid.centre
            gap = solid.distance(local)
            share = np.clip(0.5 + 0.5 * sharpness * gap / gone, 0, 1)
            seen[live] = np.minimum(seen[live], share * share * (3 - 2 * share))
            gone = gone + np.clip(gap, 0.03, 0.6)
            keep = (gone < leave[live]) & (seen[live] > 0.005)
            live, gone = live[keep], gone[keep]
    return seen


def normals(solid: Solid, points: np.ndarray, step: float) -> np.ndarray:
    """Unit normals of one solid at points (n, 3), by tetrahedral differences."""
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    local = points - solid.centre
    gaps = [solid.distance(local + step * corner) for corner in corners]
    total = np.stack(gaps, axis=1) @ corners
    return total / (length(total)[:, None] + 1e-9)


def openness(solids, points, normal) -> np.ndarray:
    """Share (n,) of the surroundings that is not blocked near each point."""
    blocked = np.zeros(len(points), np.float32)
    for reach, weight in ((0.12, 0.30), (0.35, 0.27), (0.8, 0.22)):
        probe = points + reach * normal
        gap = np.full(len(points), reach, np.float32)
        for solid in solids:
            near = length(probe - solid.centre) < solid.bound + reach
            local = probe[near] - solid.centre
            gap[near] = np.minimum(gap[near], solid.distance(local))
        blocked += weight * np.clip(1 - gap / reach, 0, 1)
    return 1 - blocked
