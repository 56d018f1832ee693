"""A jug, fruit and a cup on a table by a window: marched through distance fields.

Every ray is followed to what it meets and from there to the mirror image in shiny
surfaces. The light comes from a window with cross bars, sampled in four places.
"""

import numpy as np

from . import solids
from .fields import film, pixels, shrink, smoothstep
from .solids import length
from .still_life_objects import ground, objects
from .still_life_surfaces import Look, describe

SCALE = 2
ASPECT = 0.8
EYE = np.array([0.3, 3.3, -9.5], np.float32)
TARGET = np.array([0.15, 1.25, 0.0], np.float32)
FOCUS = 1.22  # focal length in widths of the picture
WALL = 4.2  # depth of the wall behind the table
WINDOW = np.array([-8.0, 5.2, -2.5], np.float32)
WINDOW_HALF = np.array([1.5, 2.1], np.float32)  # half depth (z) and half height (y)
DAYLIGHT = np.array([1.0, 0.94, 0.84], np.float32) * 92
ROOM = np.array([0.30, 0.34, 0.42], np.float32) * 0.20
WARM = np.array([0.16, 0.11, 0.07], np.float32)
GLINT = np.array([1.0, 0.97, 0.92], np.float32)
# Places in the window, in depth and height from its middle, that stand for it all.
CORNERS = ((-0.9, -1.15), (0.9, 1.15), (-0.9, 1.15), (0.9, -1.15))


def meet_ground(start, ray) -> np.ndarray:
    """Distance at which each ray meets table or cloth, inf if it does not."""
    falling = ray[:, 1] < -1e-3
    slope = np.where(falling, ray[:, 1], -1)
    travel = np.maximum((0.36 - start[:, 1]) / slope, 0)
    for _ in range(20):
        point = start + travel[:, None] * ray
        gap = point[:, 1] - ground(point[:, 0], point[:, 2])
        travel = travel + gap / np.maximum(-slope, 0.25) * 0.8
    deep = (start + travel[:, None] * ray)[:, 2] > WALL
    return np.where(falling & ~deep, travel, np.inf).astype(np.float32)


def surfaces(things, start, ray) -> tuple[np.ndarray, np.ndarray]:
    """What each ray meets: its distance (n,) and its number (n,).

    The number is that of the thing; len(things) is the table, one more the wall.
    """
    hits = solids.march(things, start, ray)
    table = meet_ground(start, ray)
    onward = np.maximum(ray[:, 2], 1e-3)
    wall = np.where(ray[:, 2] > 0, (WALL - start[:, 2]) / onward, np.inf)
    travel = np.minimum(np.minimum(hits.travel, table), wall)
    number = np.where(travel == hits.travel, hits.solid, len(things))
    behind = (travel == wall) & (travel < table)
    number = np.where(behind | np.isinf(travel), len(things) + 1, number)
    return np.minimum(travel, 60), number


def window_seen(points, ray, rough) -> np.ndarray:
    """How much of the window, with its cross bars, a mirror at each point shows."""
    gone = (WINDOW[0] - points[:, 0]) / np.minimum(ray[:, 0], -1e-3)
    at = points + gone[:, None] * ray - WINDOW
    across, up, soft = np.abs(at[:, 2]), np.abs(at[:, 1]), rough * 4.0 + 0.05
    inside = smoothstep(soft, -soft, across - WINDOW_HALF[0])
    inside = inside * smoothstep(soft, -soft, up - WINDOW_HALF[1])
    bars = smoothstep(0.0, 0.14 + soft, across)
    bars = bars * smoothstep(0.0, 0.14 + soft, np.abs(at[:, 1] - 0.5))
    return np.where(ray[:, 0] < 0, inside * (0.25 + 0.75 * bars), 0)


def illuminate(things, points, normal, shadows: bool) -> np.ndarray:
    """Diffuse light (n, 3) from the window and the room."""
    start = points + 0.04 * normal
    places = CORNERS if shadows else ((0.0, 0.0),)
    total = np.zeros(len(points), np.float32)
    for depth, height in places:
        offset = np.array([0, height, depth], np.float32)
        toward = WINDOW + offset - start
        reach = length(toward)
        facing = np.clip(np.einsum("ni,ni->n", normal, toward) / reach, 0, 1)
        # A window shines forward: less along the wall it is set in.
        share = facing * np.clip(-toward[:, 0] / reach, 0, 1) / reach**2
        if shadows:
            share = share * solids.visibility(things, start, toward, sharpness=11.0)
        total += share / len(places)
    light = ROOM * (0.75 + 0.25 * normal[:, 1:2])
    # Table and far wall throw back a little warm light.
    warm = np.clip(0.3 - normal[:, 1:2] + 0.4 * normal[:, :1], 0, 1)
    light = light + WARM * warm
    open_share = solids.openness(things, start, normal)[:, None] if shadows else 0.7
    return total[:, None] * DAYLIGHT + light * open_share


def shade(things, start, ray, bounces: int) -> np.ndarray:
    """Linear light (n, 3) that comes back along each ray."""
    travel, number = surfaces(things, start, ray)
    points = start + travel[:, None] * ray
    look = describe(things, number, points)
    away = np.einsum("ni,ni->n", look.normal, ray) > 0
    look = look._replace(normal=np.where(away[:, None], -look.normal, look.normal))
    diffuse = illuminate(things, points, look.normal, shadows=bounces > 0)
    light = look.albedo * diffuse
    if bounces > 0:
        _add_mirrored(light, things, points, ray, look, bounces)
    return light


def _add_mirrored(light, things, points, ray, look: Look, bounces: int) -> None:
    cosine = np.clip(-np.einsum("ni,ni->n", look.normal, ray), 0, 1)
    onward = ray + 2 * cosine[:, None] * look.normal
    glass = 0.04 + 0.6 * (1 - cosine) ** 5
    mirror = np.where(look.gloss > 1, 0.65, glass) * np.minimum(look.gloss, 1)
    shiny = np.nonzero(mirror > 0.01)[0]
    start = points[shiny] + 0.06 * look.normal[shiny]
    seen = shade(things, start, onward[shiny], bounces - 1)
    free = solids.visibility(things, start, WINDOW - start, sharpness=9.0, steps=16)
    rough = look.rough[shiny]
    glint = window_seen(start, onward[shiny], rough) * free * 1.76 / (0.1 + rough)
    light[shiny] += mirror[shiny, None] * (seen + glint[:, None] * GLINT)


def still_life(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    columns, rows = pixels(height, width)
    forward = (TARGET - EYE) / length(TARGET - EYE)
    side = np.cross([0, 1, 0], forward)
    side /= length(side)
    right = (columns.ravel() / width - 0.5) / FOCUS
    up = (height / 2 - rows.ravel()) / (width * FOCUS)
    ray = forward + right[:, None] * side + up[:, None] * np.cross(forward, side)
    ray = (ray / length(ray)[:, None]).astype(np.float32)
    start = np.broadcast_to(EYE, ray.shape)
    light = shade(objects(), start, ray, bounces=1).reshape(height, width, 3)
    light = shrink(light, SCALE)
    return film(light, exposure=1.6, saturation=0.88, grain=0.016, seed=6)
