"""Sun and sky over the town: depth maps that tell what lies in shadow."""

from typing import NamedTuple

import numpy as np

from .town_scene import Scene, draw

SUN = np.array([0.50, 0.55, -0.62])
SUN = SUN / np.linalg.norm(SUN)
SUNLIGHT = np.array([1.0, 0.86, 0.66]) * 3.0
SKYLIGHT = np.array([0.50, 0.66, 1.0]) * 0.85
BOUNCE = np.array([1.0, 0.85, 0.65]) * 0.18


class Lamp(NamedTuple):
    """A depth map along a direction, to tell what lies in shadow."""

    axes: np.ndarray
    low: np.ndarray
    step: float
    depth: np.ndarray


class Lights(NamedTuple):
    """The sun, and directions of the sky with their lamps."""

    sun: Lamp
    sky: list[tuple[np.ndarray, Lamp]]


def hang(scene: Scene, step: float) -> Lights:
    """All the lamps that light the scene; ``step`` is the grain of the shadows in m."""
    sky = [(ray, lamp(scene, ray, 4 * step)) for ray in _hemisphere(16)]
    return Lights(lamp(scene, SUN, step), sky)


def _hemisphere(count: int) -> list[np.ndarray]:
    directions = []
    for index in range(count):
        up = (index + 0.5) / count
        # Turning by the golden angle spreads the directions evenly.
        turn = index * np.pi * (3 - np.sqrt(5))
        flat = np.sqrt(1 - up * up)
        direction = np.array([flat * np.cos(turn), up + 0.05, flat * np.sin(turn)])
        directions.append(direction / np.linalg.norm(direction))
    return directions


def lamp(scene: Scene, direction: np.ndarray, step: float) -> Lamp:
    """Depth map of the scene seen from far along ``direction``; ``step`` in metres."""
    across = np.cross(direction, [0.3, 1, 0.2])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(direction, across), direction])
    corners = np.array(
        [[x, y, z] for x in (-60, 110) for y in (0, 45) for z in (-20, 60)]
    )
    flat = corners @ axes[:2].T
    low = flat.min(axis=0)
    width, height = np.ceil((flat.max(axis=0) - low) / step).astype(int)

    def project(points):
        local = points @ axes.T
        return (local[:, 0] - low[0]) / step, (local[:, 1] - low[1]) / step, local[:, 2]

    buffer = draw(scene, height, width, project, lambda q: 1 / step)
    return Lamp(axes, low, step, buffer.q)


def _lit(source: Lamp, points: np.ndarray, bias: float) -> np.ndarray:
    """Share of the lamp's light, 0 or 1, that reaches each point (n, 3)."""
    local = points @ source.axes.T
    height, width = source.depth.shape
    column = ((local[:, 0] - source.low[0]) / source.step).astype(np.int32)
    row = ((local[:, 1] - source.low[1]) / source.step).astype(np.int32)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
    return np.where(inside, source.depth[row, column] < local[:, 2] + bias, 1.0)


def _sunlit(source: Lamp, points: np.ndarray, bias: float) -> np.ndarray:
    """Like ``_lit``, with the soft edge of a shadow: the mean of four places."""
    shifts = 0.09 * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) @ source.axes[:2]
    return np.mean([_lit(source, points + shift, bias) for shift in shifts], axis=0)


def daylight(lights: Lights, points, normals, leaf) -> np.ndarray:
    """Light (n, 3) that falls on points (n, 3) from sun, sky and the surroundings.

    ``leaf`` (n,) marks leaves, which light shines through.
    """
    start = points + 0.08 * normals
    direct = np.clip(normals @ SUN, 0, 1) * _sunlit(lights.sun, start, 0.15)
    through = direct * 0.8 + 0.12 * _lit(lights.sun, start, 0.3)
    direct = np.where(leaf, through, direct)[:, None]
    soft = np.zeros(len(points))
    for direction, source in lights.sky:
        weight = np.clip(normals @ direction * 0.8 + 0.2, 0, 1)
        soft += weight * _lit(source, start, 0.3) * 2 / len(lights.sky)
    low = np.clip(0.6 - 0.4 * normals[:, 1], 0, 1) * (0.3 + 0.7 * soft)
    return direct * SUNLIGHT + soft[:, None] * SKYLIGHT + low[:, None] * BOUNCE
