"""What the surfaces of the town look like: windows, timber, tiles, stone."""

import numpy as np

from .fields import colour, fractal, hashed, mix, noise, smoothstep


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
    period, storey = 1.3, 2.9
    du = np.abs((u / period) % 1 - 0.5) * period
    dv = np.abs(((v - 0.2) / storey) % 1 - 0.5) * storey
    rising = hashed(np.floor(u / period), np.floor(v / storey), seed=9) < 0.3
    brace = np.abs((u / period) % 1 - (v / storey) % 1) * period
    beams = (du > period / 2 - 0.11) | (dv > storey / 2 - 0.13)
    beams |= rising & (brace < 0.13)
    beams &= v > 3.0
    wood = colour("54392b") * (0.8 + 0.4 * noise(u * 9, v * 1.5, seed=8))[:, None]
    albedo = np.where(beams[:, None], wood, albedo)
    return windows(u, v, size, seed, albedo)


def windows(u, v, size, seed, wall, storey=2.9, spacing=2.0):
    """Draw frames, bars, sills and shutters over a wall."""
    width, eave, top = size
    count = np.maximum(
        np.floor((width - 0.6) / (spacing + 0.5 * hashed(seed, seed=5))), 1
    )
    pitch = (width - 0.6) / count
    column, row = np.floor((u - 0.3) / pitch), np.floor((v - 0.2) / storey)
    du = (u - 0.3) - (column + 0.5) * pitch
    dv = (v - 0.2) - (row + 0.55) * storey
    half_w = 0.42 + 0.1 * hashed(seed, seed=6)
    half_h = np.where(row == 0, 0.65, 0.78)
    # Inside the gable the corners of the window must stay below the roof.
    above = (row + 0.55) * storey + 0.2 + half_h + 0.5
    centre = np.abs((column + 0.5) * pitch + 0.3 - width / 2) + half_w
    limit = eave + (top - eave) * (1 - centre / (width / 2))
    here = (above < np.maximum(limit, eave - 0.1)) & (column >= 0) & (column < count)
    key = column, row, seed
    inside = here & (np.abs(du) < half_w) & (np.abs(dv) < half_h)
    frame = here & (np.abs(du) < half_w + 0.11) & (np.abs(dv) < half_h + 0.11)
    bars = inside & (
        (np.abs(du) < 0.045)
        | (np.abs(dv - 0.25) < 0.035)
        | (np.abs(du) > half_w - 0.07)
        | (np.abs(dv) > half_h - 0.07)
    )
    sill = here & (np.abs(du) < half_w + 0.2) & (np.abs(dv + half_h + 0.15) < 0.06)
    shuttered = here & (hashed(seed, seed=7) < 0.5) & (row > 0)
    leaf = np.abs(np.abs(du) - half_w * 1.5 - 0.13)
    shutter = shuttered & (leaf < half_w * 0.5) & (np.abs(dv) < half_h + 0.05)
    greens = np.array([colour(t) for t in "4f6b50 5b4636 3f5a66 7a3f33".split()])
    paint = greens[(hashed(seed, seed=13) * 4).astype(int)]
    slats = 0.75 + 0.35 * ((v * 9) % 1)
    albedo = np.where(shutter[:, None], paint * slats[:, None], wall)
    albedo = np.where((frame | sill)[:, None], colour("e9e4d8") * 0.95, albedo)
    # The reveal throws a shadow on the upper part of the pane.
    depth = 0.5 + 0.5 * smoothstep(half_h, half_h - 0.3, dv)
    curtain = (hashed(*key, seed=21) < 0.4) & (np.abs(du) > half_w * 0.45)
    room = mix(colour("1d2228") + 0 * u[:, None], colour("8d8a82"), 0.55 * curtain)
    pane = room * (0.6 + 0.8 * hashed(*key, seed=22))[:, None] * depth[:, None]
    albedo = np.where((inside & ~bars)[:, None], pane, albedo)
    albedo = np.where((bars)[:, None], colour("dcd7ca") * depth[:, None], albedo)
    return albedo, (inside & ~bars).astype(np.float32)


def tiles(u, v, seed, tone):
    """Courses of plain tiles, weathered."""
    course = np.floor(v / 0.32)
    column = np.floor(u / 0.24 + 0.5 * (course % 2))
    single = hashed(column, course, seed, seed=31)
    edge = (v / 0.32) % 1
    moss = fractal(u * 0.5 + seed, v * 0.5, 4, seed=33)
    shade = (0.72 + 0.35 * single) * (0.72 + 0.4 * smoothstep(0.0, 0.35, edge))
    albedo = tone * shade[:, None]
    return mix(albedo, colour("5d5a44") * shade[:, None], smoothstep(0.5, 0.75, moss))


def masonry(u, v, seed, tone, length=0.9, height=0.38, rough=0.5):
    """Coursed blocks with mortar, stained by water at the foot."""
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


def quay_wall(u, v, seed, tone):
    """Masonry, dark with damp and green with algae near the water."""
    albedo = masonry(u, v, seed, tone, length=1.1, height=0.42, rough=0.28)
    damp = v - 0.5 - 1.1 * fractal(u * 0.35, v * 0.2, 5, seed=45)
    return mix(albedo, albedo * colour("5f6a48"), smoothstep(0.5, -0.4, damp))


def church_wall(u, v, size, seed, tone):
    """Ashlar with tall pointed windows."""
    width, eave, _ = size
    albedo = masonry(u, v, seed, tone, length=1.2, height=0.6, rough=0.22)
    count = np.maximum(np.floor(width / 5.0), 1)
    pitch = width / count
    du = np.abs((u % pitch) - pitch / 2)
    low, high = eave * 0.62, eave * 0.86
    arch = du < 0.9 * np.sqrt(np.clip((high - v) / 1.6, 0, 1))
    glass = arch & (v > low) & (v < high)
    band = np.abs(v - eave * 0.55) < 0.25
    albedo = np.where(band[:, None], albedo * 1.15, albedo)
    return np.where(glass[:, None], colour("2a2c33"), albedo), glass * 0.3
