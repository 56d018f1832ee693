"""The geometry of the town: houses, church, quay, trees and boats, in metres.

x runs along the river, y up from the water, z away from it into the town.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .fields import colour, palette

QUAY = 3.0  # height of the quay above the water
PLASTER = palette(
    "dcc48c c98b4e d9a884 b9c2a4 c4734f d8c7a2 9fb0b8"
    " c99f4e b4644a c7a98e e0cf9f 8fa386 d39a88 b99568"
)
ROOFS = palette("8e4a33 9a5238 7d4433 a35f44 6f4437")
SHIRTS = palette("e6e0d2 8c3b32 37475c c9b58a 5b6b58 d9c9b0")
RIGHT, UP, BACK = np.eye(3)


class Face(NamedTuple):
    """A convex planar face; corners 0 and 1 span its bottom edge.

    ``eave`` is the height of the straight part of a wall.
    """

    corners: np.ndarray
    material: str
    colour: np.ndarray
    eave: float = 0.0


class Leaves(NamedTuple):
    """Particles: centres (n, 3), normals (n, 3), radii (n,) and colours (n, 3)."""

    centres: np.ndarray
    normals: np.ndarray
    radii: np.ndarray
    colours: np.ndarray


def box(low, high, material: str, tone: np.ndarray) -> list[Face]:
    """An upright box without its underside."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    ring = [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]
    faces = [[(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)]]
    for (ax, az), (bx, bz) in zip(ring, ring[1:] + ring[:1], strict=True):
        faces.append([(ax, y0, az), (bx, y0, bz), (bx, y1, bz), (ax, y1, az)])
    return [Face(np.array(face, float), material, tone, y1 - y0) for face in faces]


def house(
    origin,
    right,
    back,
    *,
    width: float,
    depth: float,
    eave: float,
    rise: float,
    plaster: np.ndarray,
    roof: np.ndarray,
    material: str = "plaster",
) -> list[Face]:
    """A house whose gables face along ``back``; the origin is its near left corner."""

    def at(across: float, up: float, along: float) -> np.ndarray:
        return np.asarray(origin) + across * right + up * UP + along * back

    half, ridge = width / 2, eave + rise
    outline = [(0, 0), (width, 0), (width, eave), (half, ridge), (0, eave)]
    walls = [[at(x, y, z) for x, y in outline] for z in (0, depth)]
    for x in (0, width):
        walls.append([at(x, 0, 0), at(x, 0, depth), at(x, eave, depth), at(x, eave, 0)])
    over, lift = 0.32, 0.10
    low, high = eave - over * rise / half + lift, ridge + lift
    front, end = -over, depth + over
    faces = [Face(np.array(wall), material, plaster, eave) for wall in walls]
    for x in (-over, width + over):
        slope = [at(x, low, front), at(x, low, end), at(half, high, end)]
        faces.append(Face(np.array([*slope, at(half, high, front)]), "tiles", roof))
    return faces


def row_of_houses(
    rng, start: float, stop: float, z: float, ground: float, height: float
):
    """Houses side by side along the river, with dormers and chimneys."""
    faces, x = [], start
    while x < stop:
        width = rng.uniform(5.5, 9.0)
        faces += _town_house(rng, x, width, z + rng.uniform(-0.5, 0.5), ground, height)
        x += width + (rng.uniform(1.0, 2.0) if rng.random() < 0.15 else 0.0)
    return faces


def _town_house(rng, x, width, z, ground, height) -> list[Face]:
    depth, eave = rng.uniform(11, 14), height + rng.uniform(-2.4, 2.6)
    plaster = PLASTER[rng.integers(len(PLASTER))] * rng.uniform(0.92, 1.05)
    roof = ROOFS[rng.integers(len(ROOFS))] * rng.uniform(0.85, 1.15)
    material = "timber" if rng.random() < 0.25 else "plaster"
    look = {"plaster": plaster, "roof": roof, "material": material}
    gable_to_river = rng.random() < 0.72
    if gable_to_river:
        rise = width * rng.uniform(0.58, 0.85)
        corner = (x, ground, z)
        faces = house(
            corner, RIGHT, BACK, width=width, depth=depth, eave=eave, rise=rise, **look
        )
    else:
        rise = depth * rng.uniform(0.36, 0.44)
        corner = (x + width, ground, z)
        faces = house(
            corner, BACK, -RIGHT, width=depth, depth=width, eave=eave, rise=rise, **look
        )
        faces += _dormers(rng, x, width, z, ground + eave, rise / depth * 2, look)
    top = ground + eave + rise
    return faces + _chimneys(rng, x, width, z, depth, top)


def _dormers(rng, x, width, z, eave, slope, look) -> list[Face]:
    faces, count = [], int(width // 3)
    for index in range(count):
        left = x + width * (index + 0.5) / count - 0.75
        setback = 1.3
        corner = (left, eave + setback * slope - 0.3, z + setback)
        small = {"width": 1.5, "depth": 2.5, "eave": 1.5, "rise": 0.7}
        faces += house(corner, RIGHT, BACK, **small, **(look | {"material": "dormer"}))
    return faces


def _chimneys(rng, x, width, z, depth, top) -> list[Face]:
    faces = []
    for _ in range(rng.integers(1, 3)):
        cx, cz = x + width * rng.uniform(0.3, 0.7), z + depth * rng.uniform(0.3, 0.7)
        low, high = (
            (cx, top - 3.0, cz),
            (cx + 0.8, top + rng.uniform(0.6, 1.3), cz + 1.0),
        )
        faces += box(low, high, "brick", colour("9c6a55"))
    return faces


def church(x: float, z: float, ground: float) -> list[Face]:
    """A nave, a tower with a cornice and clocks, and an eight-sided spire."""
    stone, slate = colour("cdb78d"), colour("5a6670")
    nave = {"width": 14.0, "depth": 30.0, "eave": 13.0, "rise": 11.0}
    look = {"plaster": stone, "roof": ROOFS[0], "material": "church"}
    faces = house((x + 8, ground, z + 3), BACK, RIGHT, **nave, **look)
    side, height, tip = 8.0, 25.5, 17.0
    faces += box((x, ground, z), (x + side, ground + height, z + side), "church", stone)
    top, over = ground + height, 0.5
    cornice = (x - over, top - 0.6, z - over), (x + side + over, top, z + side + over)
    faces += box(*cornice, "ashlar", stone * 1.1)
    middle = np.array([x + side / 2, top, z + side / 2])
    clock = _ring(middle - (0, 3.2, side / 2 + 0.06), 1.3, 12, RIGHT, UP)
    faces.append(Face(clock, "wood", colour("20303f")))
    dial = _ring(middle - (0, 3.2, side / 2 + 0.09), 1.1, 12, RIGHT, UP)
    faces.append(Face(dial, "wood", colour("e6d9a8")))
    peak = middle - (0, -tip, 0)
    foot = _ring(middle, side * 0.58, 8, RIGHT, BACK)
    for start, end in zip(foot, np.roll(foot, -1, axis=0), strict=True):
        faces.append(Face(np.array([start, end, peak]), "slate", slate))
    return faces


def _ring(centre, radius: float, count: int, first, second) -> np.ndarray:
    turns = (np.arange(count) + 0.5) * 2 * np.pi / count
    return centre + radius * (
        np.cos(turns)[:, None] * first + np.sin(turns)[:, None] * second
    )


def boat(x: float, z: float, heading: float, tone: np.ndarray) -> list[Face]:
    """A long flat punt with raised ends and benches."""
    cos, sin = np.cos(heading), np.sin(heading)

    def at(along: float, up: float, across: float) -> list[float]:
        return [x + along * cos - across * sin, up, z + along * sin + across * cos]

    rim = [(-4.2, 0.75, 0.35), (-2.6, 0.5, 0.7), (2.6, 0.5, 0.7), (4.2, 0.75, 0.35)]
    faces = [
        [at(-4.0, 0.2, -0.3), at(4.0, 0.2, -0.3), at(4.0, 0.2, 0.3), at(-4.0, 0.2, 0.3)]
    ]
    for side in (-1, 1):
        for (a, ya, wa), (b, yb, wb) in pairwise(rim):
            low = [at(a * 0.93, 0, side * wa * 0.8), at(b * 0.93, 0, side * wb * 0.8)]
            faces.append([*low, at(b, yb, side * wb), at(a, ya, side * wa)])
    for end in (-1, 1):
        a, up, half = rim[0][0] * end, rim[0][1], rim[0][2]
        low = [at(a * 0.93, 0, -half * 0.8), at(a * 0.93, 0, half * 0.8)]
        faces.append([*low, at(a, up, half), at(a, up, -half)])
    hull = [Face(np.array(face, float), "wood", tone) for face in faces]
    bench = colour("b08a5a")
    for a in (-2.0, -0.5, 1.0):
        corners = (a, -0.6), (a + 0.4, -0.6), (a + 0.4, 0.6), (a, 0.6)
        seat = np.array([at(along, 0.42, across) for along, across in corners])
        hull.append(Face(seat, "wood", bench))
    return hull


def quay(start: float, stop: float) -> list[Face]:
    """The stone wall at the water, the promenade on it and a parapet."""
    stone, paving = colour("9c917d"), colour("a89c86")
    front = [(start, 0, 0), (stop, 0, 0), (stop, QUAY, 0), (start, QUAY, 0)]
    top = [(start, QUAY, 0), (stop, QUAY, 0), (stop, QUAY, 200), (start, QUAY, 200)]
    faces = [
        Face(np.array(front, float), "stone", stone),
        Face(np.array(top, float), "paving", paving),
    ]
    return faces + box(
        (start, QUAY, 0), (stop, QUAY + 0.9, 0.35), "stone", stone * 1.05
    )


def foliage(rng, centres, sizes, tone: np.ndarray, count: int) -> Leaves:
    """Leaves on the surfaces of round clumps; ``centres`` (m, 3), ``sizes`` (m,)."""
    middle = centres.mean(axis=0)
    which = rng.choice(len(sizes), count, p=sizes**2 / (sizes**2).sum())
    outward = rng.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    spread = sizes[which] * rng.uniform(0.3, 1.0, count) ** 0.4
    places = centres[which] + outward * spread[:, None] * [1.1, 0.8, 1.1]
    light = (
        rng.normal(1, 0.2, (count, 1)) * rng.uniform(0.8, 1.2, (len(sizes), 1))[which]
    )
    tones = (tone + rng.normal(0, 0.02, (count, 3))) * light
    from_middle = centres[which] - middle
    from_middle /= np.linalg.norm(from_middle, axis=1, keepdims=True) + 1e-6
    normals = outward + 0.7 * from_middle + rng.normal(0, 0.4, (count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Leaves(places, normals, rng.uniform(0.05, 0.12, count), np.clip(tones, 0, 1))


def tree(rng, base, height: float, radius: float, tone: np.ndarray) -> Leaves:
    """The crown of a tree, of some sixty clumps of leaves."""
    clumps = rng.normal(size=(60, 3))
    clumps /= np.linalg.norm(clumps, axis=1, keepdims=True)
    clumps *= rng.uniform(0.3, 0.95, (60, 1)) * [radius, height * 0.38, radius]
    # Narrower towards the top.
    taper = 1 - 0.35 * np.clip(clumps[:, 1:2] / (height * 0.38), -0.4, 1)
    clumps *= np.concatenate([taper, np.ones_like(taper), taper], axis=1)
    centres = np.add(base, (0, height * 0.58, 0)) + clumps
    sizes = radius * rng.uniform(0.14, 0.34, 60)
    return foliage(rng, centres, sizes, tone, int(900 * radius * height**0.5))


def hedge(
    rng, start: float, stop: float, up: float, z: float, tone, fall=0.0
) -> Leaves:
    """Shrubs in a row, or with ``fall`` > 0 creepers that hang down the quay."""
    count = int((stop - start) * 7)
    x = rng.uniform(start, stop, count)
    swell = 0.5 + 0.5 * np.sin(x * 1.7 + start) * np.sin(x * 0.6)
    y = (
        up
        + rng.uniform(0, 0.9, count) * swell
        - fall * rng.uniform(0, 1, count) ** 2 * swell
    )
    centres = np.stack([x, y, z + rng.normal(0, 0.15, count)], axis=1)
    return foliage(rng, centres, rng.uniform(0.12, 0.38, count), tone, count * 80)


def person(rng, x: float, up: float, z: float) -> Leaves:
    """Somebody standing: a cloud of particles in three colours."""
    parts = [
        ((0.0, 0.45, 0.0), (0.16, 0.45, 0.14), colour("2f3440"), 160),
        ((0.0, 1.15, 0.0), (0.22, 0.33, 0.16), SHIRTS[rng.integers(len(SHIRTS))], 200),
        ((0.0, 1.62, 0.0), (0.11, 0.14, 0.12), colour("c79a7c"), 70),
    ]
    groups = []
    for centre, size, tone, count in parts:
        outward = rng.normal(size=(count, 3))
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        places = np.array([x, up, z]) + centre + outward * size
        radii = np.full(count, 0.045)
        groups.append(Leaves(places, outward, radii, np.tile(tone, (count, 1))))
    return joined(groups)


def trunk(base, height: float, thickness: float) -> list[Face]:
    """The stem of a tree."""
    x, y, z = base
    half = thickness / 2
    low, high = (x - half, y, z - half), (x + half, y + height, z + half)
    return box(low, high, "wood", colour("5a4a3a"))


def joined(groups: list[Leaves]) -> Leaves:
    """Several groups of particles as one."""
    return Leaves(*(np.concatenate(parts) for parts in zip(*groups, strict=True)))
