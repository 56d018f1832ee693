"""A jug, fruit and a cup on a table by a window: marched through distance fields."""

from typing import NamedTuple

import numpy as np

from . import solids
from .fields import blur, colour, film, fractal, hashed, mix, noise, pixels, shrink
from .fields import smoothstep
from .solids import Solid

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


class Look(NamedTuple):
    """Surface of the seen points: linear albedo (n, 3), gloss and its sharpness."""

    albedo: np.ndarray
    normal: np.ndarray
    gloss: np.ndarray
    rough: np.ndarray


def objects() -> list[Solid]:
    """Everything on the table."""
    jug = solids.union(
        solids.turned(
            (0.0, 0.1, 0.5, 1.1, 1.7, 2.3, 2.8, 3.2, 3.45),
            (0.62, 0.70, 1.02, 1.22, 1.12, 0.74, 0.56, 0.62, 0.74),
            0.09,
        ),
        solids.handle((0.78, 2.1), (0.78, 0.98), 0.095, 0.6),
    )
    bowl = solids.turned((0, 0.12, 0.25, 0.5, 0.85), (0.6, 0.6, 0.75, 1.35, 1.62), 0.09)
    cup = solids.turned(
        (0, 0.08, 0.2, 0.9, 1.1, 1.3, 1.6, 2.1),
        (0.55, 0.5, 0.12, 0.1, 0.2, 0.46, 0.58, 0.56),
        0.06,
    )
    rng = np.random.default_rng(3)
    grapes, sizes = _grapes(rng, 34)
    return [
        _solid((-1.75, 0.0, 0.55), 3.9, jug, "jug"),
        _solid((1.1, 0.0, 0.45), 1.95, bowl, "bowl"),
        _solid((2.95, 0.0, 1.9), 2.3, cup, "pewter"),
        _solid((0.55, 1.12, 0.2), 0.75, solids.apple(0.62), "apple"),
        _solid((1.65, 1.15, 0.1), 0.72, solids.apple(0.60), "green apple"),
        _solid((1.05, 1.12, 1.05), 1.35, solids.pear(0.58), "pear"),
        _solid((1.15, 1.45, 0.15), 0.55, solids.ball(0.46), "orange"),
        _solid((-0.55, 0.46, -1.35), 0.75, solids.lemon(0.44, 0.5), "lemon"),
        _solid((0.45, 0.56, -1.75), 0.75, solids.apple(0.58), "apple"),
        _solid((-2.5, 0.50, -1.2), 0.6, solids.ball(0.5), "orange"),
        _solid((2.25, 0.0, -1.2), 1.55, solids.bunch(grapes, sizes), "grapes"),
    ]


def _solid(centre, bound: float, distance, material: str) -> Solid:
    return Solid(np.array(centre, np.float32), bound, distance, material)


def _grapes(rng, count: int):
    along = np.sort(rng.uniform(-1.0, 1.0, count))
    spread = 0.46 * (1.05 - 0.75 * np.abs(along) ** 1.5)
    sizes = rng.uniform(0.17, 0.22, count).astype(np.float32)
    side = rng.uniform(-1, 1, count) * spread
    up = sizes + rng.uniform(0, 1, count) ** 1.3 * spread * 0.9
    return np.stack([along * 1.05, up, side - 0.35 * along], axis=1).astype(np.float32), sizes


def hem(x):
    """Where the far edge of the cloth lies on the table, (n,)."""
    return -0.35 + 1.5 * np.tanh(0.3 * x) + 0.25 * np.sin(1.7 * x + 0.5)


def cloth_share(x, z):
    """1 where the cloth covers the table, 0 elsewhere; (n,)."""
    edge = hem(x) - z
    return smoothstep(-0.03, 0.03, edge)


def ground(x, z):
    """Height of the table with its cloth at (x, z), (n,)."""
    edge = hem(x) - z
    folds = np.sin(2.1 * (x + 0.55 * z) + 2.2 * noise(x * 0.7, z * 0.7, seed=5))
    crease = 0.5 + 0.5 * np.sin(4.3 * (0.8 * x - z) + 3 * noise(x, z, seed=6))
    calm = np.minimum(1, 0.25 + np.abs(x - 0.2) * 0.25)
    height = 0.03 + calm * (0.11 * (folds + 1) * crease + 0.05 * crease)
    return height * smoothstep(-0.02, 0.10, edge)


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


def surfaces(things, start, ray):
    """What each ray meets: distance, and number (len(things): table, +1: wall)."""
    hits = solids.march(things, start, ray)
    table = meet_ground(start, ray)
    wall = np.where(ray[:, 2] > 0, (WALL - start[:, 2]) / np.maximum(ray[:, 2], 1e-3), np.inf)
    travel = np.minimum(np.minimum(hits.travel, table), wall)
    number = np.where(travel == hits.travel, hits.solid, len(things))
    number = np.where((travel == wall) & (travel < table), len(things) + 1, number)
    return travel, np.where(np.isfinite(travel), number, len(things) + 1)


def describe(things, number, points) -> Look:
    """Material of each seen point (n, 3)."""
    count = len(points)
    look = Look(
        np.zeros((count, 3), np.float32),
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
    )
    for index in range(len(things) + 2):
        here = number == index
        if not here.any():
            continue
        p = points[here]
        if index == len(things):
            part = _table(p)
        elif index > len(things):
            part = _wall(p)
        else:
            local, solid = p - things[index].centre, things[index]
            part = _skin(solid.material, local, solids.normals(solid, p))
        for target, value in zip(look, part, strict=True):
            target[here] = value
    return look


def _wall(p):
    stain = fractal(p[:, 0] * 0.5, p[:, 1] * 0.5, 6, seed=81)
    tone = mix(colour("9a8f78"), colour("c2b79c"), stain)
    rough = fractal(p[:, 0] * 5, p[:, 1] * 5, 4, seed=82)
    normal = np.zeros_like(p)
    normal[:, 2] = -1
    # The upper edge of the window cuts the light on the wall along a slant.
    shaft = smoothstep(0.7, -0.9, p[:, 1] - 3.6 + 0.42 * (p[:, 0] + 1.5))
    tone = tone * (0.9 + 0.2 * rough)[:, None]
    return tone**2.2 * (0.3 + 0.9 * shaft)[:, None], normal, 0.0, 0.5


def _table(p):
    x, z, step = p[:, 0], p[:, 2], 0.01
    here = ground(x, z)
    normal = np.stack([here - ground(x + step, z), 0 * x + step, here - ground(x, z + step)], 1)
    normal /= solids.length(normal)[:, None]
    cloth = cloth_share(x, z)
    plank = np.floor(z / 1.25)
    warp = fractal(x * 0.5, z * 3 + 7 * plank, 4, seed=84)
    grain = fractal(x * 1.2 + 5 * plank, (z + 0.3 * warp) * 22, 4, seed=83)
    gap = smoothstep(0.0, 0.02, np.abs((z / 1.25) % 1 - 0.0)) * (0.85 + 0.3 * hashed(plank, seed=85))
    wood = mix(colour("4a2f1e"), colour("8a5f3c"), grain) * gap[:, None]
    weave = 0.92 + 0.08 * np.sin(x * 150) * np.sin(z * 150)
    across = 0.55 * x + 0.84 * z
    stripe = smoothstep(0.06, 0.045, np.abs((across * 0.9) % 1 - 0.5))
    stripe = np.maximum(stripe, smoothstep(0.02, 0.01, np.abs((across * 0.9) % 1 - 0.4)))
    linen = mix(colour("e6dfcf") * weave[:, None], colour("3d5a80"), 0.85 * stripe)
    return mix(wood, linen, cloth) ** 2.2, normal, 0.25 * (1 - cloth), 0.35


def _skin(material: str, p, normal):
    turn = np.arctan2(p[:, 2], p[:, 0])
    spots = fractal(turn * 8, p[:, 1] * 14, 3, seed=90)
    if material in ("apple", "green apple"):
        low, high = ("cf9f3c", "9c2426") if material == "apple" else ("cfc56a", "8f9c45")
        streaks = fractal(turn * 7, p[:, 1] * 2.5, 5, seed=91)
        side = noise(turn * 0.9 + 3, p[:, 1], seed=92)
        tone = mix(colour(low), colour(high), smoothstep(0.25, 0.62, 0.45 * streaks + 0.6 * side))
        stem = (np.hypot(p[:, 0], p[:, 2]) < 0.06) & (p[:, 1] > 0.3)
        tone = np.where(stem[:, None], colour("4b3522"), tone)
        return tone**2.2, normal, 0.5, 0.12
    if material == "pear":
        blush = smoothstep(0.35, 0.75, noise(turn * 0.8, p[:, 1] * 0.6, seed=93))
        tone = mix(colour("b9a63f"), colour("b5692f"), 0.6 * blush)
        tone = mix(tone, colour("7d6a30"), 0.5 * smoothstep(0.6, 0.75, spots))
        return tone**2.2, normal, 0.3, 0.22
    if material in ("orange", "lemon"):
        tone = colour("d9781e") if material == "orange" else colour("dcb92f")
        pores = noise(turn * 26, p[:, 1] * 48, seed=94)
        bump = 0.12 * (np.stack([pores, noise(turn * 26 + 9, p[:, 1] * 48, seed=95), pores[::-1]], 1) - 0.5)
        rough = normal + bump * [1, 1, 0]
        rough /= solids.length(rough)[:, None]
        return (tone * (0.9 + 0.12 * pores)[:, None]) ** 2.2, rough, 0.35, 0.22
    if material == "grapes":
        bloom = fractal(p[:, 0] * 6, p[:, 2] * 6 + p[:, 1] * 5, 3, seed=96)
        tone = mix(colour("2c1a2e"), colour("6a5f7c"), 0.55 * bloom)
        return tone**2.2, normal, 0.5, 0.13
    if material == "jug":
        drip = 1.55 + 0.35 * fractal(turn * 2.5, 0 * turn, 3, seed=97)
        glaze = smoothstep(drip - 0.03, drip + 0.03, p[:, 1])
        rings = 0.93 + 0.07 * np.sin(p[:, 1] * 60 + noise(turn, p[:, 1] * 3, seed=98) * 2)
        clay = colour("b0704a") * (rings * (0.85 + 0.3 * spots))[:, None]
        cloud = fractal(turn * 2, p[:, 1] * 1.5, 4, seed=99)
        green = mix(colour("24474a"), colour("5f8f82"), cloud)
        return mix(clay, green, glaze) ** 2.2, normal, 0.12 + 0.75 * glaze, 0.30 - 0.24 * glaze
    if material == "bowl":
        band = smoothstep(0.05, 0.03, np.abs(p[:, 1] - 0.68)) + smoothstep(0.03, 0.02, np.abs(p[:, 1] - 0.55))
        tone = mix(colour("dcd8cc"), colour("2c4f8a"), np.clip(band, 0, 1))
        return tone**2.2, normal, 0.7, 0.07
    hammered = 0.9 + 0.2 * noise(turn * 6, p[:, 1] * 9, seed=101)
    return (colour("8d8c88") * hammered[:, None]) ** 2.2, normal, 2.2, 0.12


def window_seen(points, ray, rough) -> np.ndarray:
    """How much of the window, with its cross bars, a mirror at each point shows."""
    gone = (WINDOW[0] - points[:, 0]) / np.minimum(ray[:, 0], -1e-3)
    at = points + gone[:, None] * ray - WINDOW
    soft = rough * 4.0 + 0.05
    across = smoothstep(WINDOW_HALF[0] + soft, WINDOW_HALF[0] - soft, np.abs(at[:, 2]))
    upright = smoothstep(WINDOW_HALF[1] + soft, WINDOW_HALF[1] - soft, np.abs(at[:, 1]))
    bars = smoothstep(0.0, 0.14 + soft, np.abs(at[:, 2])) * smoothstep(0.0, 0.14 + soft, np.abs(at[:, 1] - 0.5))
    return np.where(ray[:, 0] < 0, across * upright * (0.25 + 0.75 * bars), 0)


def illuminate(things, number, points, look: Look, shadows: bool) -> np.ndarray:
    """Diffuse light (n, 3) from the window and the room."""
    start = points + 0.04 * look.normal
    total = np.zeros(len(points), np.float32)
    places = [(-0.6, -0.55), (0.6, 0.55), (-0.6, 0.55), (0.6, -0.55)] if shadows else [(0, 0)]
    for depth, height in places:
        offset = np.array([0, height * WINDOW_HALF[1], depth * WINDOW_HALF[0]], np.float32)
        toward = WINDOW + offset - start
        reach = solids.length(toward)
        facing = np.clip(np.einsum("ni,ni->n", look.normal, toward) / reach, 0, 1)
        # A window shines forward: less along the wall it is set in.
        share = facing * np.clip(-toward[:, 0] / reach, 0, 1) / reach**2
        if shadows:
            share = share * solids.visibility(things, start, toward, sharpness=11.0)
        total += share / len(places)
    open_share = solids.openness(things, start, look.normal) if shadows else 0.7
    fill = ROOM * (0.75 + 0.25 * look.normal[:, 1:2])
    warm = np.array([0.16, 0.11, 0.07]) * np.clip(0.3 - look.normal[:, 1:2] + 0.4 * look.normal[:, :1], 0, 1)
    return total[:, None] * DAYLIGHT + (fill + warm) * np.reshape(open_share, (-1, 1))


def shade(things, start, ray, depth: int) -> np.ndarray:
    """Linear light (n, 3) that comes back along each ray."""
    travel, number = surfaces(things, start, ray)
    points = start + np.minimum(travel, 60)[:, None] * ray
    look = describe(things, number, points)
    away = np.einsum("ni,ni->n", look.normal, ray) > 0
    look = look._replace(normal=np.where(away[:, None], -look.normal, look.normal))
    light = look.albedo * illuminate(things, number, points, look, shadows=depth > 0)
    if depth == 0:
        return light
    cosine = np.clip(-np.einsum("ni,ni->n", look.normal, ray), 0, 1)
    bounce = ray + 2 * cosine[:, None] * look.normal
    mirror = 0.04 + 0.6 * (1 - cosine) ** 5
    metal = look.gloss > 1.5
    mirror = np.where(metal, 0.65, mirror) * np.minimum(look.gloss, 1)
    shiny = np.nonzero(mirror > 0.01)[0]
    origin = points[shiny] + 0.06 * look.normal[shiny]
    reflected = shade(things, origin, bounce[shiny], depth - 1)
    toward = WINDOW - origin
    unblocked = solids.visibility(things, origin, toward, sharpness=9.0, steps=16)
    glint = window_seen(origin, bounce[shiny], look.rough[shiny]) * unblocked
    glint = glint * 11.0 * (0.1 / (0.1 + look.rough[shiny])) * 1.6
    light[shiny] += mirror[shiny, None] * (reflected + glint[:, None] * [1.0, 0.97, 0.92])
    return light


def still_life(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    columns, rows = pixels(height, width)
    forward = (TARGET - EYE) / solids.length(TARGET - EYE)
    side = np.cross([0, 1, 0], forward)
    side /= solids.length(side)
    right = (columns.ravel() / width - 0.5) / FOCUS
    up = (height / 2 - rows.ravel()) / (width * FOCUS)
    ray = forward + right[:, None] * side + up[:, None] * np.cross(forward, side)
    ray = (ray / solids.length(ray)[:, None]).astype(np.float32)
    start = np.broadcast_to(EYE, ray.shape)
    light = shade(objects(), start, ray, depth=1).reshape(height, width, 3)
    light = shrink(light, SCALE)
    grey = light.mean(axis=-1, keepdims=True)
    light = grey + 0.88 * (light - grey)
    light = light + 0.05 * blur(np.maximum(light - 1.0, 0), size / 100)
    return film(blur(light, 0.4), exposure=1.6, grain=0.016, seed=6)
