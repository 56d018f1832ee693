"""What the surfaces of the still life look like: skins, glazes, wood, linen."""

from typing import NamedTuple

import numpy as np

from . import solids
from .fields import colour, fractal, hashed, mix, noise, smoothstep
from .still_life_objects import cloth_share, ground


class Look(NamedTuple):
    """Surface of points: linear albedo and normal (n, 3), gloss and roughness (n,).

    A gloss above 1 is a metal's.
    """

    albedo: np.ndarray
    normal: np.ndarray
    gloss: np.ndarray
    rough: np.ndarray


def describe(things, number, points) -> Look:
    """Surface of each seen point; ``number`` as from ``still_life.surfaces``."""
    count = len(points)
    shapes = (count, 3), (count, 3), count, count
    look = Look(*(np.zeros(shape, np.float32) for shape in shapes))
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
            solid = things[index]
            local, normal = p - solid.centre, solids.normals(solid, p, 0.012)
            turn = np.arctan2(local[:, 2], local[:, 0])
            part = SKINS[solid.material](local, turn, normal)
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
    slope_x, slope_z = ground(x + step, z) - here, ground(x, z + step) - here
    normal = np.stack([-slope_x, np.full_like(x, step), -slope_z], axis=1)
    normal /= solids.length(normal)[:, None]
    cloth = cloth_share(x, z)
    tone = mix(_wood(x, z), _linen(x, z), cloth)
    return tone**2.2, normal, 0.25 * (1 - cloth), 0.35


def _wood(x, z):
    plank = np.floor(z / 1.25)
    warp = fractal(x * 0.5, z * 3 + 7 * plank, 4, seed=84)
    grain = fractal(x * 1.2 + 5 * plank, (z + 0.3 * warp) * 22, 4, seed=83)
    joint = smoothstep(0.0, 0.02, (z / 1.25) % 1)
    shade = joint * (0.85 + 0.3 * hashed(plank, seed=85))
    return mix(colour("4a2f1e"), colour("8a5f3c"), grain) * shade[:, None]


def _linen(x, z):
    weave = 0.92 + 0.08 * np.sin(x * 150) * np.sin(z * 150)
    across = (0.50 * x + 0.76 * z) % 1
    broad = smoothstep(0.06, 0.045, np.abs(across - 0.5))
    narrow = smoothstep(0.02, 0.01, np.abs(across - 0.4))
    stripe = 0.85 * np.maximum(broad, narrow)
    return mix(colour("e6dfcf") * weave[:, None], colour("3d5a80"), stripe)


def _apple(p, turn, normal, low="cf9f3c", high="9c2426"):
    streaks = fractal(turn * 7, p[:, 1] * 2.5, 5, seed=91)
    side = noise(turn * 0.9 + 3, p[:, 1], seed=92)
    ripe = smoothstep(0.25, 0.62, 0.45 * streaks + 0.6 * side)
    stem = (np.hypot(p[:, 0], p[:, 2]) < 0.06) & (p[:, 1] > 0.3)
    tone = mix(colour(low), colour(high), ripe)
    tone = np.where(stem[:, None], colour("4b3522"), tone)
    return tone**2.2, normal, 0.5, 0.12


def _green_apple(p, turn, normal):
    return _apple(p, turn, normal, low="cfc56a", high="8f9c45")


def _pear(p, turn, normal):
    blush = smoothstep(0.35, 0.75, noise(turn * 0.8, p[:, 1] * 0.6, seed=93))
    spots = smoothstep(0.6, 0.75, fractal(turn * 8, p[:, 1] * 14, 3, seed=90))
    tone = mix(colour("b9a63f"), colour("b5692f"), 0.6 * blush)
    return mix(tone, colour("7d6a30"), 0.5 * spots) ** 2.2, normal, 0.3, 0.22


def _orange(p, turn, normal, tone="d9781e"):
    pores, other = (noise(turn * 26, p[:, 1] * 48, seed=seed) for seed in (94, 95))
    bump = np.stack([pores - 0.5, other - 0.5, np.zeros_like(pores)], axis=1)
    dented = normal + 0.12 * bump
    dented /= solids.length(dented)[:, None]
    tones = colour(tone) * (0.9 + 0.12 * pores)[:, None]
    return tones**2.2, dented, 0.35, 0.22


def _lemon(p, turn, normal):
    return _orange(p, turn, normal, tone="dcb92f")


def _grapes(p, turn, normal):
    bloom = fractal(p[:, 0] * 6, p[:, 2] * 6 + p[:, 1] * 5, 3, seed=96)
    tone = mix(colour("421c38"), colour("8d7f9c"), 0.55 * bloom)
    return tone**2.2, normal, 0.5, 0.13


def _jug(p, turn, normal):
    drip = 1.55 + 0.35 * fractal(turn * 2.5, 0 * turn, 3, seed=97)
    glaze = smoothstep(-0.03, 0.03, p[:, 1] - drip)
    waver = 2 * noise(turn, p[:, 1] * 3, seed=98)
    rings = 0.93 + 0.07 * np.sin(p[:, 1] * 60 + waver)
    spots = 0.85 + 0.3 * fractal(turn * 8, p[:, 1] * 14, 3, seed=90)
    clay = colour("b0704a") * (rings * spots)[:, None]
    cloud = fractal(turn * 2, p[:, 1] * 1.5, 4, seed=99)
    tone = mix(clay, mix(colour("24474a"), colour("5f8f82"), cloud), glaze)
    return tone**2.2, normal, 0.12 + 0.75 * glaze, 0.30 - 0.24 * glaze


def _bowl(p, turn, normal):
    broad = smoothstep(0.05, 0.03, np.abs(p[:, 1] - 0.68))
    narrow = smoothstep(0.03, 0.02, np.abs(p[:, 1] - 0.55))
    tone = mix(colour("dcd8cc"), colour("2c4f8a"), np.maximum(broad, narrow))
    return tone**2.2, normal, 0.7, 0.07


def _pewter(p, turn, normal):
    hammered = 0.9 + 0.2 * noise(turn * 6, p[:, 1] * 9, seed=101)
    return (colour("8d8c88") * hammered[:, None]) ** 2.2, normal, 2.2, 0.12


SKINS = {
    "apple": _apple,
    "green apple": _green_apple,
    "pear": _pear,
    "orange": _orange,
    "lemon": _lemon,
    "grapes": _grapes,
    "jug": _jug,
    "bowl": _bowl,
    "pewter": _pewter,
}
