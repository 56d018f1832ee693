"""A woodcut of breaking waves: flat inks, engraved lines, claws of foam."""

import numpy as np
from PIL import Image, ImageDraw

from .fields import colour, fractal, mix, noise, pixels, sample, shrink, smoothstep

SCALE = 3
ASPECT = 0.72
KEY = colour("16284a")  # the prussian blue of the key block
DEEP = colour("24487c")
MIDDLE = colour("6f9bb5")
LIGHT = colour("b9cfcf")
FOAM = colour("f1e9d4")
PAPER = colour("e3d3ae")
SUN = colour("c8553a")


class Block:
    """A sheet to print on; coordinates are in widths of the picture."""

    def __init__(self, width: int, height: int, ground: np.ndarray):
        self.width = width
        self.sheet = Image.new("RGB", (width, height), _ink(ground))
        self.pen = ImageDraw.Draw(self.sheet)

    def fill(self, path: np.ndarray, tone: np.ndarray) -> None:
        """Fill a closed outline (n, 2)."""
        points = [tuple(point) for point in path * self.width]
        self.pen.polygon(points, fill=_ink(tone))

    def disc(self, x: float, y: float, radius: float, tone: np.ndarray) -> None:
        """Fill a disc."""
        low, high = (x - radius, y - radius), (x + radius, y + radius)
        box = [value * self.width for value in (*low, *high)]
        self.pen.ellipse(box, fill=_ink(tone))

    def cut(self, path: np.ndarray, thickness, tone: np.ndarray) -> None:
        """A line along a path (n, 2) with a thickness per point, tapering or not."""
        ahead = np.gradient(path, axis=0)
        ahead /= np.hypot(*ahead.T)[:, None] + 1e-9
        side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        side = side * np.reshape(thickness, (-1, 1)) / 2
        self.fill(np.concatenate([path + side, (path - side)[::-1]]), tone)


def _ink(tone: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(value * 255 + 0.5) for value in tone)
    return red, green, blue


def spline(points, count: int = 160) -> np.ndarray:
    """A smooth curve (count, 2) through the points (Catmull-Rom)."""
    points = np.asarray(points, float)
    first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    knots = np.concatenate([[first], points, [last]])
    place = np.linspace(0, len(points) - 1 - 1e-9, count)
    low, t = place.astype(int), (place % 1)[:, None]
    a, b, c, d = (knots[low + step] for step in range(4))
    return 0.5 * (
        2 * b
        + (c - a) * t
        + (2 * a - 5 * b + 4 * c - d) * t**2
        + (3 * b - a - 3 * c + d) * t**3
    )


def breaker(block: Block, rng, back, face, *, stripes: int, claw: float) -> None:
    """A breaking wave between two curves that meet in its tip.

    Its stripes are curves blended from the back to the face; foam hangs on the tip.
    """
    back, face = spline(back), spline(face)
    block.fill(np.concatenate([back, face[::-1]]), MIDDLE)
    along = np.linspace(0, 1, len(back))
    for index in range(stripes):
        share = (index + 0.5) / stripes
        path = back * (1 - share) + face * share
        gap = np.hypot(*(face - back).T) / stripes
        tone = (DEEP, LIGHT, DEEP, KEY)[index % 4]
        swell = 0.55 + 0.35 * np.sin(np.pi * np.clip(along * 1.1, 0, 1))
        weight = gap * swell * (0.45 if tone is KEY else 0.85)
        stop = int(len(path) * rng.uniform(0.86, 0.98))
        block.cut(
            path[:stop], (weight * np.clip((1.02 - along) * 5, 0, 1))[:stop], tone
        )
    block.cut(back, 0.004, KEY)
    block.cut(face, 0.004, KEY)
    crest = np.concatenate(
        [back[int(len(back) * 0.42) :], face[: int(len(face) * 0.60) : -1]]
    )
    foam(block, rng, crest, claw)


def foam(block: Block, rng, crest: np.ndarray, claw: float) -> None:
    """Foam along a crest: knuckles, and claws that reach down and forward."""
    count = int(np.hypot(*np.diff(crest, axis=0).T).sum() / claw * 2.6)
    places = (np.linspace(0, 0.999, count) * (len(crest) - 1)).astype(int)
    claws, knuckles = [], []
    for place in places:
        share = place / len(crest)
        strength = np.sin(np.pi * np.clip(share * 0.95 + 0.05, 0, 1)) ** 0.6
        x, y = crest[place] + rng.normal(0, 0.12 * claw, 2)
        knuckles.append((x, y, claw * strength * rng.uniform(0.32, 0.55)))
        for _ in range(2):
            turn = rng.uniform(0.1, 1.3)
            claws.append(
                _claw(rng, x, y, claw * strength * rng.uniform(0.8, 1.5), turn)
            )
    rim = 0.0045
    for path, thick in claws:
        block.cut(path, thick + rim * np.clip(thick / thick.max() * 3, 0.5, 1), KEY)
    for x, y, radius in knuckles:
        block.disc(x, y, radius + rim / 2, KEY)
    for path, thick in claws:
        block.cut(path, thick * 0.98, FOAM)
    for x, y, radius in knuckles:
        block.disc(x, y, radius, FOAM)
    for x, y, radius in knuckles:
        _curl(block, rng, x, y, radius)


def _claw(rng, x: float, y: float, size: float, turn: float):
    share = np.linspace(0, 1, 14)
    bend = turn + rng.uniform(0.8, 1.7) * share
    step = size / 13
    path = np.stack(
        [x + np.cumsum(np.cos(bend)) * step, y + np.cumsum(np.sin(bend)) * step], 1
    )
    return path, size * 0.34 * (1 - share) ** 0.7 + 1e-4


def _curl(block: Block, rng, x: float, y: float, radius: float) -> None:
    turn = rng.uniform(0, 6.3) + np.linspace(0, 3.4, 16)
    shrinking = radius * np.linspace(0.75, 0.35, 16)
    path = np.stack([x + np.cos(turn) * shrinking, y + np.sin(turn) * shrinking], 1)
    block.cut(path, 0.0022 * np.sin(np.linspace(0.1, 3.0, 16)), MIDDLE)


def swell(
    block: Block, rng, crest, *, lines: int, pitch: float, tone, claw: float
) -> None:
    """A rolling wave below a crest, engraved with lines that flatten with depth."""
    crest = spline(crest)
    foot = np.array([[crest[-1, 0], 2.0], [crest[0, 0], 2.0]])
    block.fill(np.concatenate([crest, foot]), tone)
    along = np.linspace(0, 1, len(crest))
    level = crest[:, 1].mean()
    for index in range(1, lines):
        depth = pitch * index * (1 + 0.05 * index)
        flat = np.exp(-index / lines * 1.5)
        path = crest.copy()
        path[:, 1] = level + (crest[:, 1] - level) * flat + depth
        path[:, 1] += 0.004 * np.sin(along * 25 + index)
        beat = np.sin(along * np.pi * rng.uniform(2.5, 4.5) + rng.uniform(0, 6.3))
        ink = (KEY, LIGHT, DEEP)[index % 3]
        block.cut(path, pitch * np.clip(0.30 + 0.40 * beat, 0.02, 0.6), ink)
    block.cut(crest, 0.004, KEY)
    if claw:
        foam(block, rng, crest[int(len(crest) * 0.30) : int(len(crest) * 0.72)], claw)


def spray(block: Block, rng, x: float, y: float, reach: float, count: int) -> None:
    """Drops thrown ahead of a crest."""
    for _ in range(count):
        away, turn = reach * rng.uniform(0, 1) ** 0.7, rng.uniform(-2.6, 1.0)
        radius = rng.uniform(0.0012, 0.0045) * (1.2 - away / reach)
        px, py = x + away * np.cos(turn), y + 0.8 * away * np.sin(turn)
        block.disc(px, py, radius + 0.0012, KEY)
        block.disc(px, py, radius, FOAM)


def compose(width: int, height: int) -> Image.Image:
    """The flat print, before paper and grain."""
    rng = np.random.default_rng(41)
    block = Block(width, height, PAPER)
    block.disc(0.735, 0.245, 0.092, SUN)
    _clouds(block)
    _island(block)
    swell(
        block,
        rng,
        [
            (-0.05, 0.50),
            (0.3, 0.53),
            (0.55, 0.515),
            (0.75, 0.49),
            (0.9, 0.50),
            (1.05, 0.47),
        ],
        lines=20,
        pitch=0.0075,
        tone=LIGHT,
        claw=0,
    )
    breaker(
        block,
        rng,
        [(1.16, 0.62), (1.08, 0.47), (0.99, 0.385), (0.90, 0.375), (0.845, 0.435)],
        [(0.74, 0.66), (0.84, 0.61), (0.905, 0.545), (0.905, 0.475), (0.845, 0.435)],
        stripes=14,
        claw=0.022,
    )
    breaker(
        block,
        rng,
        [
            (-0.12, 0.78),
            (-0.02, 0.46),
            (0.09, 0.25),
            (0.23, 0.125),
            (0.38, 0.10),
            (0.49, 0.155),
            (0.55, 0.27),
        ],
        [
            (0.70, 0.76),
            (0.50, 0.665),
            (0.375, 0.53),
            (0.335, 0.40),
            (0.375, 0.29),
            (0.455, 0.245),
            (0.55, 0.27),
        ],
        stripes=30,
        claw=0.040,
    )
    spray(block, rng, 0.55, 0.25, 0.20, 110)
    spray(block, rng, 0.845, 0.42, 0.09, 40)
    swell(
        block,
        rng,
        [
            (-0.05, 0.66),
            (0.08, 0.63),
            (0.22, 0.66),
            (0.45, 0.69),
            (0.62, 0.635),
            (0.76, 0.575),
            (0.9, 0.625),
            (1.05, 0.66),
        ],
        lines=24,
        pitch=0.0075,
        tone=MIDDLE,
        claw=0.026,
    )
    swell(
        block,
        rng,
        [
            (-0.05, 0.64),
            (0.10, 0.575),
            (0.20, 0.60),
            (0.38, 0.685),
            (0.62, 0.705),
            (1.05, 0.67),
        ],
        lines=20,
        pitch=0.0085,
        tone=DEEP,
        claw=0.030,
    )
    return block.sheet


def _clouds(block: Block) -> None:
    for y, left, right, thick in (
        (0.10, 0.60, 0.98, 0.012),
        (0.135, 0.68, 1.05, 0.009),
        (0.355, 0.56, 0.86, 0.008),
    ):
        x = np.linspace(left, right, 60)
        path = np.stack([x, y + 0.004 * np.sin(x * 30)], 1)
        block.cut(path, thick * np.sin(np.linspace(0.05, 3.09, 60)) ** 0.4, FOAM)


def _island(block: Block) -> None:
    top = spline(
        [
            (0.50, 0.525),
            (0.57, 0.50),
            (0.62, 0.465),
            (0.655, 0.455),
            (0.70, 0.485),
            (0.79, 0.525),
        ]
    )
    block.fill(top, DEEP)
    for index in range(5):
        drop = np.array([[0.002 * index, 0.010 + 0.010 * index]])
        block.cut((top + drop)[40 + 6 * index : 120 - 6 * index], 0.003, MIDDLE)


def woodcut_waves(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    flat = np.asarray(compose(width, height), np.float32) / 255
    x, y = pixels(height, width)
    # The knife and the damp paper make every edge a little uneven.
    unit = width / 768
    shift = [
        1.7 * unit * (fractal(x / (7 * unit), y / (7 * unit), 2, seed=s) - 0.5)
        for s in (1, 2)
    ]
    return shrink(
        _printed(sample(flat, x + shift[0], y + shift[1]), x / width, y / width), SCALE
    )


def _printed(flat: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    paper = PAPER * (0.93 + 0.14 * fractal(x * 90, y * 90, 4, seed=3))[..., None]
    rings = y * 90 + 5 * fractal(x * 1.5, y * 6, 3, seed=4)
    grain = 0.6 * noise(x * 6, rings * 3, seed=5) + 0.4 * noise(x * 60, y * 700, seed=6)
    speckle = smoothstep(0.72, 0.86, fractal(x * 260, y * 260, 2, seed=7))
    strength = 1 - 0.16 * grain - 0.35 * speckle
    ink = np.clip(np.abs(flat - PAPER).max(axis=-1) * 6, 0, 1)
    printed = mix(paper, flat, ink * strength)
    # Bokashi: the sky is wiped from dark to clear by hand.
    wiped = 0.55 * smoothstep(0.20, 0.0, y) * (1 - ink) * (0.85 + 0.3 * grain)
    dusk = 0.22 * smoothstep(0.36, 0.55, y) * (1 - ink)
    printed = mix(mix(printed, DEEP, wiped), colour("c98a63"), dusk)
    return np.clip(printed, 0, 1).astype(np.float32)
