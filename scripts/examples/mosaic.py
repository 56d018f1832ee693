"""A mosaic of gold and coloured stones, laid in rows along the contours."""

from typing import NamedTuple

import numpy as np

from .fields import (
    blur,
    colour,
    fractal,
    hashed,
    mix,
    palette,
    pixels,
    shrink,
    smoothstep,
)

SCALE = 2
ASPECT = 0.8
TILE = 1 / 94  # side of a stone in widths of the picture
GROUT = colour("6e6353")


class Stones(NamedTuple):
    """For every pixel its stone's ``number`` and the distances to two stones.

    ``nearest`` and ``second`` are in half sides of a stone.
    """

    number: np.ndarray
    nearest: np.ndarray
    second: np.ndarray


def design(height: int, width: int) -> np.ndarray:
    """The cartoon: a number per pixel that names its colour in ``PALETTE``."""
    x, y = (axis / width for axis in pixels(height, width))
    middle = x - 0.5
    label = np.zeros((height, width), np.int32)
    for turn in (-1, 1):
        _scroll(label, turn * middle + 0.5, y)
        _fish(label, turn * middle + 0.5, y)
    _sea(label, x, y)
    _sun(label, x, y)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, ASPECT - y))
    along = np.where(np.minimum(x, 1 - x) < np.minimum(y, ASPECT - y), y, x)
    lozenge = np.abs((along * 20) % 1 - 0.5) + np.abs(edge - 0.030) / 0.045 < 0.48
    label[edge < 0.060] = 7
    label[(edge < 0.060) & lozenge] = 1
    label[(edge < 0.012) | (np.abs(edge - 0.060) < 0.007)] = 5
    return label


# Several stones for each number of the design: they vary within a colour.
PALETTE = np.array(
    [
        palette("c9982f d8ae45 b98526 e3c163"),  # 0 gold ground
        palette("d9b04a e8c766 f0d98a c99a36"),  # 1 bright gold
        palette("1b2f6b 243f86 152452 2f52a0"),  # 2 lapis
        palette("2b7f8c 3a9aa0 1f6478 58b3ae"),  # 3 turquoise
        palette("2f5d34 3f7a3e 587f34 234a2e"),  # 4 green
        palette("e8e0cc d8cdb5 f1ebdc c8bda6"),  # 5 marble
        palette("9c2a23 b83a2a 7c1f20 c9543a"),  # 6 red
        palette("5a1f24 6d2629 47181f 7d3330"),  # 7 porphyry
    ]
)


def _scroll(label, x, y) -> None:
    """A vine that winds into two spirals, with leaves and fruit (left half)."""
    for cx, cy, size, start in ((0.185, 0.215, 0.10, 0.3), (0.150, 0.455, 0.085, 2.6)):
        dx, dy = x - cx, y - cy
        radius, turn = np.hypot(dx, dy) / size, np.arctan2(dy, dx)
        winding = (radius * 2.0 - (turn - start) / (2 * np.pi)) % 1
        vine = (np.abs(winding - 0.5) < 0.15) & (radius < 1.0) & (radius > 0.18)
        leaf = np.cos(6 * turn + 4 * radius) > 0.45
        leaves = leaf & (radius > 0.98) & (radius < 1.24)
        label[leaves] = 3
        label[vine] = 4
        label[radius < 0.30] = 6
        label[radius < 0.13] = 5


def _fish(label, x, y) -> None:
    """A fish that swims to the middle (left half)."""
    dx, dy = (x - 0.285) / 0.125, (y - 0.615 - 0.012 * np.sin(25 * x)) / 0.050
    body = dx**2 + np.abs(dy) ** 1.6 < 1
    tail = (dx < -0.80) & (dx > -1.45) & (np.abs(dy) < (-dx - 0.70) * 1.35)
    fin = (np.abs(dx + 0.1) < 0.38) & (dy < -0.55) & (dy > -1.45 - 0.8 * (dx + 0.1))
    label[tail | fin] = 6
    label[body] = 3
    label[body & (dy > 0.30)] = 5
    label[body & (np.abs(dx - 0.42) < 0.055)] = 6
    eye = np.hypot(dx - 0.68, (dy + 0.18) * 0.4)
    label[eye < 0.13] = 5
    label[eye < 0.06] = 7


def _sea(label, x, y) -> None:
    """Waves along the foot of the picture."""
    depth = y - 0.690 - 0.012 * np.sin(40 * x)
    for level, number in ((0.0, 5), (0.012, 3), (0.034, 2)):
        label[depth > level] = number


def _sun(label, x, y) -> None:
    """A medallion: a sun with rays in a starry ring."""
    dx, dy = x - 0.5, y - 0.315
    radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    for limit, number in ((0.232, 7), (0.220, 5), (0.206, 2)):
        label[radius < limit] = number
    spoke = np.abs((turn / (2 * np.pi) * 16 + 0.5) % 1 - 0.5) * 2 * np.pi * radius / 16
    label[np.hypot(spoke, radius - 0.180) < 0.013] = 1
    rays = radius < 0.095 + 0.055 * np.cos(8 * turn)
    label[rays] = 6
    label[radius < 0.080 + 0.042 * np.cos(8 * turn)] = 1
    label[radius < 0.060] = 5
    label[radius < 0.048] = 1
    label[radius < 0.020] = 6


def contour_distance(label: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest contour, by jump flooding."""
    height, width = label.shape
    row, column = np.mgrid[:height, :width]
    border = np.zeros(label.shape, bool)
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    border[1:] |= label[1:] != label[:-1]
    far = 10 * (height + width)
    near_row, near_column = np.where(border, row, -far), np.where(border, column, -far)
    jump = 1 << int(np.ceil(np.log2(max(height, width))))
    while jump:
        for dy in (-jump, 0, jump):
            for dx in (-jump, 0, jump):
                other = (
                    np.clip(row + dy, 0, height - 1),
                    np.clip(column + dx, 0, width - 1),
                )
                new_row, new_column = near_row[other], near_column[other]
                new = np.hypot(new_row - row, new_column - column)
                better = new < np.hypot(near_row - row, near_column - column)
                near_row = np.where(better, new_row, near_row)
                near_column = np.where(better, new_column, near_column)
        jump //= 2
    return np.hypot(near_row - row, near_column - column).astype(np.float32)


def assign(seeds: np.ndarray, turns: np.ndarray, height: int, width: int) -> Stones:
    """Give each pixel to a stone by a square metric turned along the contours."""
    half = TILE * width / 2
    reach = int(3.2 * half)
    stones = Stones(
        np.zeros((height, width), np.int32),
        np.full((height, width), 9, np.float32),
        np.full((height, width), 9, np.float32),
    )
    offsets = np.arange(-reach, reach + 1)
    for index, ((x, y), turn) in enumerate(zip(seeds, turns, strict=True)):
        columns, rows = int(x) + offsets, int(y) + offsets
        columns = columns[(columns >= 0) & (columns < width)]
        rows = rows[(rows >= 0) & (rows < height)]
        if len(columns) == 0 or len(rows) == 0:
            continue
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        dx, dy = columns + np.float32(0.5 - x), (rows + np.float32(0.5 - y))[:, None]
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        gap = (
            np.maximum(np.abs(dx * cos + dy * sin), np.abs(dy * cos - dx * sin)) / half
        )
        nearest, second = stones.nearest[window], stones.second[window]
        np.minimum(second, np.maximum(nearest, gap), out=second)
        closer = gap < nearest
        stones.number[window][closer] = index
        np.minimum(nearest, gap, out=nearest)
    return stones


def settle(field: np.ndarray, rng, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and turns (n,) of the stones: Lloyd's iteration.

    ``field`` holds the angle of the contours, (h, w). The square metric makes the
    stones line up in rows (Hausner 2001, "Simulating decorative mosaics").
    """
    height, width = field.shape
    side = TILE * width
    x, y = np.meshgrid(
        np.arange(side / 2, width, side), np.arange(side / 2, height, side)
    )
    seeds = np.stack([x.ravel(), y.ravel()], axis=1)
    seeds = seeds + rng.uniform(-0.4, 0.4, seeds.shape) * side
    columns, rows = pixels(height, width)
    for _ in range(rounds):
        turns = _at(field, seeds)
        number = assign(seeds, turns, height, width).number.ravel()
        count = np.bincount(number, minlength=len(seeds))
        sums = [
            np.bincount(number, axis.ravel(), len(seeds)) for axis in (columns, rows)
        ]
        middle = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
        seeds = np.where(count[:, None] > 0, middle, seeds)
    return seeds, _at(field, seeds)


def _at(field, seeds):
    height, width = field.shape
    column = np.clip(seeds[:, 0].astype(int), 0, width - 1)
    return field[np.clip(seeds[:, 1].astype(int), 0, height - 1), column]


def contour_angle(label: np.ndarray) -> np.ndarray:
    """Angle of the nearest contour at every pixel, (h, w)."""
    distance = contour_distance(label)
    down, across = np.gradient(blur(distance, label.shape[1] * TILE * 0.25))
    # A contour has no sign: average the doubled angle.
    twice = 2 * np.arctan2(down, across)
    sigma = label.shape[1] * TILE * 0.5
    return 0.5 * np.arctan2(blur(np.sin(twice), sigma), blur(np.cos(twice), sigma))


def mosaic(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    rng = np.random.default_rng(31)
    width, height = size, int(size * ASPECT)
    field = contour_angle(design(height, width))
    seeds, turns = settle(field, rng, 14)
    wide, tall = width * SCALE, height * SCALE
    stones = assign(seeds * SCALE, turns, tall, wide)
    return shrink(
        _lit(stones, _tones(design(tall, wide), seeds * SCALE, rng), turns), SCALE
    )


def _tones(label, seeds, rng):
    number = _at(label, seeds)
    pick = PALETTE[number, rng.integers(0, 4, len(seeds))]
    pick = pick * rng.normal(1, 0.09, (len(seeds), 1)) + rng.normal(
        0, 0.015, pick.shape
    )
    # Gold leaf under glass is set at a slant: some stones flash, others go dark.
    flash = np.where(number <= 1, rng.normal(1.0, 0.20, len(seeds)), 1.0)
    return np.clip(pick * np.clip(flash, 0.5, 1.45)[:, None], 0.02, 1)


def _lit(stones: Stones, tones, turns) -> np.ndarray:
    height, width = stones.number.shape
    x, y = pixels(height, width)
    uneven = 0.10 * (fractal(x / 9, y / 9, 3, seed=7) - 0.5)
    gap = np.minimum(
        stones.second - stones.nearest + uneven, (1.18 - stones.nearest) * 2
    )
    stone = smoothstep(0.10, 0.26, gap)
    height_map = smoothstep(0.08, 0.62, gap)
    down, across = np.gradient(blur(height_map, 0.8))
    relief = -(across + down) * 1.3
    tilt = 0.10 * (hashed(stones.number, seed=9) - 0.5)
    cloudy = 0.88 + 0.24 * fractal(x / 14, y / 14, 4, seed=8)
    tone = tones[stones.number] * (cloudy + tilt)[..., None]
    tone = tone * (1 + np.clip(relief, -0.4, 0.5))[..., None]
    grout = GROUT * (0.7 + 0.6 * fractal(x / 5, y / 5, 3, seed=10))[..., None]
    shadow = 1 - 0.35 * blur(stone, 2.0)
    return np.clip(mix(grout * shadow[..., None], tone, stone), 0, 1).astype(np.float32)
