"""What the surfaces of the town look like: windows, timber, tiles, stone."""

from typing import NamedTuple

import numpy as np

from .fields import colour, fractal, hashed, mix, noise, palette, smoothstep
from .town_scene import MATERIALS, Scene

STOREY = 2.9


def albedo(scene: Scene, index: np.ndarray, points: np.ndarray):
    """Linear reflectance (n, 3) and share of glass (n,) of the seen points (n, 3)."""
    local = points - scene.origins[index]
    u = (local * scene.u_axes[index]).sum(axis=1).astype(np.float32)
    v = (local * scene.v_axes[index]).sum(axis=1).astype(np.float32)
    result = scene.colours[index].astype(np.float32)
    glass = np.zeros(len(index), np.float32)
    kinds, sizes = scene.materials[index], scene.sizes[index].T
    # A house has six faces: its walls share their looks.
    seeds = index // 6
    for number, name in enumerate(MATERIALS):
        here = kinds == number
        if name == "leaf" or not here.any():
            continue
        place = u[here], v[here], sizes[:, here], seeds[here], result[here]
        if name in GLAZED:
            result[here], glass[here] = GLAZED[name](*place)
        else:
            result[here] = PLAIN.get(name, weathered)(*place)
    return np.clip(result, 0.01, 1) ** 2.2, glass


def weathered(u, v, size, seed, tone):
    """An even surface with stains."""
    return tone * (0.75 + 0.5 * fractal(u * 2, v * 2, 4))[:, None]


def plaster(u, v, size, seed, tone):
    """Plastered wall with rows of windows; returns albedo and glass share."""
    stain = fractal(u * 0.7, v * 0.25 + seed, 4, seed=3)
    grain = fractal(u * 6, v * 6, 2, seed=4)
    wall = tone * (0.80 + 0.22 * stain + 0.12 * grain)[:, None]
    plinth = smoothstep(0.95, 0.85, v)
    wall = mix(wall, wall * 0.72, plinth)
    return windows(u, v, size, seed, wall)


def timber(u, v, size, seed, tone):
    """Half-timbered wall: the ground floor is plastered, beams above."""
    albedo, _ = plaster(u, v, size, seed, colour("ece2cc"))
    period = 1.3
    du = np.abs((u / period) % 1 - 0.5) * period
    dv = np.abs(((v - 0.2) / STOREY) % 1 - 0.5) * STOREY
    rising = hashed(np.floor(u / period), np.floor(v / STOREY), seed=9) < 0.3
    brace = np.abs((u / period) % 1 - (v / STOREY) % 1) * period
    beams = (du > period / 2 - 0.11) | (dv > STOREY / 2 - 0.13)
    beams |= rising & (brace < 0.13)
    beams &= v > 3.0
    wood = colour("54392b") * (0.8 + 0.4 * noise(u * 9, v * 1.5, seed=8))[:, None]
    albedo = np.where(beams[:, None], wood, albedo)
    return windows(u, v, size, seed, albedo)


class Openings(NamedTuple):
    """Where each point lies in the grid of windows of its wall; all (n,)."""

    here: np.ndarray  # whether there is room for a window
    column: np.ndarray
    row: np.ndarray
    du: np.ndarray  # offset from the window's middle, in metres
    dv: np.ndarray
    half_w: np.ndarray
    half_h: np.ndarray

    def within(self, margin: float) -> np.ndarray:
        """Whether the point lies in the window, widened by a margin."""
        inside = np.abs(self.du) < self.half_w + margin
        return self.here & inside & (np.abs(self.dv) < self.half_h + margin)


def _openings(u, v, size, seed) -> Openings:
    width, eave, top = size
    spacing = 2.0 + 0.5 * hashed(seed, seed=5)
    count = np.maximum(np.floor((width - 0.6) / spacing), 1)
    pitch = (width - 0.6) / count
    column, row = np.floor((u - 0.3) / pitch), np.floor((v - 0.2) / STOREY)
    middle_u, middle_v = 0.3 + (column + 0.5) * pitch, 0.2 + (row + 0.55) * STOREY
    half_w = 0.42 + 0.1 * hashed(seed, seed=6)
    half_h = np.where(row == 0, 0.65, 0.78)
    # Inside the gable the corners of the window must stay below the roof.
    aside = np.abs(middle_u - width / 2) + half_w
    limit = eave + (top - eave) * (1 - aside / (width / 2))
    here = middle_v + half_h + 0.5 < np.maximum(limit, eave - 0.1)
    here &= (column >= 0) & (column < count)
    return Openings(here, column, row, u - middle_u, v - middle_v, half_w, half_h)


def windows(u, v, size, seed, wall):
    """Draw shutters, frames, sills and panes over a wall; also returns the glass."""
    at = _openings(u, v, size, seed)
    du, dv = np.abs(at.du), np.abs(at.dv)
    albedo = _shutters(at, v, seed, wall)
    sill = at.here & (du < at.half_w + 0.2)
    sill &= np.abs(at.dv + at.half_h + 0.15) < 0.06
    white = colour("ddd9ce")
    albedo = np.where((at.within(0.11) | sill)[:, None], white, albedo)
    # The reveal throws a shadow on the upper part of the window.
    depth = 0.5 + 0.5 * smoothstep(at.half_h, at.half_h - 0.3, at.dv)[:, None]
    bars = (du < 0.045) | (np.abs(at.dv - 0.25) < 0.035)
    bars |= (du > at.half_w - 0.07) | (dv > at.half_h - 0.07)
    key = at.column, at.row, seed
    curtain = (hashed(*key, seed=21) < 0.4) & (du > at.half_w * 0.45)
    room = mix(colour("1d2228"), colour("8d8a82"), 0.55 * curtain)
    pane = room * (0.6 + 0.8 * hashed(*key, seed=22))[:, None]
    inside = at.within(0.0)
    filled = np.where(bars[:, None], white, pane) * depth
    albedo = np.where(inside[:, None], filled, albedo)
    return albedo, (inside & ~bars).astype(np.float32)


def _shutters(at: Openings, v, seed, wall):
    leaf = np.abs(np.abs(at.du) - at.half_w * 1.5 - 0.13) < at.half_w * 0.5
    shown = at.here & leaf & (np.abs(at.dv) < at.half_h + 0.05)
    shown &= (hashed(seed, seed=7) < 0.5) & (at.row > 0)
    paints = palette("4f6b50 5b4636 3f5a66 7a3f33")
    paint = paints[(hashed(seed, seed=13) * 4).astype(int)]
    slats = 0.75 + 0.35 * ((v * 9) % 1)
    return np.where(shown[:, None], paint * slats[:, None], wall)


def tiles(u, v, size, seed, tone):
    """Courses of plain tiles, weathered."""
    course = np.floor(v / 0.32)
    column = np.floor(u / 0.24 + 0.5 * (course % 2))
    single = hashed(column, course, seed, seed=31)
    edge = (v / 0.32) % 1
    moss = fractal(u * 0.5 + seed, v * 0.5, 4, seed=33)
    shade = (0.72 + 0.35 * single) * (0.72 + 0.4 * smoothstep(0.0, 0.35, edge))
    albedo = tone * shade[:, None]
    return mix(albedo, colour("5d5a44") * shade[:, None], smoothstep(0.5, 0.75, moss))


def masonry(u, v, size, seed, tone, length=0.9, height=0.38, rough=0.5):
    """Coursed blocks with mortar, stained; ``length`` and ``height`` in metres."""
    course = np.floor(v / height)
    shift = hashed(course, seed=41) * length
    column = np.floor((u + shift) / length)
    block = hashed(column, course, seed=42)
    joint = np.minimum((u + shift) % length, length - (u + shift) % length)
    joint = np.minimum(joint, np.minimum(v % height, height - v % height))
    stain = fractal(u * 0.5, v * 0.9, 6, seed=43)
    shade = (1 - rough / 2 + rough * block) * (0.5 + stain)
    shade = shade * (0.75 + 0.25 * smoothstep(0.01, 0.05, joint))
    return tone * shade[:, None]


def quay_wall(u, v, size, seed, tone):
    """Masonry, dark with damp and green with algae near the water."""
    albedo = masonry(u, v, size, seed, tone, length=1.1, height=0.42, rough=0.28)
    damp = v - 0.5 - 1.1 * fractal(u * 0.35, v * 0.2, 5, seed=45)
    return mix(albedo, albedo * colour("5f6a48"), smoothstep(0.5, -0.4, damp))


def church_wall(u, v, size, seed, tone):
    """Ashlar with tall pointed windows."""
    width, eave, _ = size
    albedo = masonry(u, v, size, seed, tone, length=1.2, height=0.6, rough=0.22)
    count = np.maximum(np.floor(width / 5.0), 1)
    pitch = width / count
    du = np.abs((u % pitch) - pitch / 2)
    low, high = eave * 0.62, eave * 0.86
    arch = du < 0.9 * np.sqrt(np.clip((high - v) / 1.6, 0, 1))
    glass = arch & (v > low) & (v < high)
    band = np.abs(v - eave * 0.55) < 0.25
    albedo = np.where(band[:, None], albedo * 1.15, albedo)
    return np.where(glass[:, None], colour("2a2c33"), albedo), glass * 0.3


GLAZED = {"plaster": plaster, "timber": timber, "church": church_wall}
PLAIN = {"tiles": tiles, "stone": quay_wall, "ashlar": masonry, "brick": masonry}
