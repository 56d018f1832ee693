"""The things on the table of the still life, and the cloth under them."""

import numpy as np

from . import solids
from .fields import noise, smoothstep
from .solids import Solid


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


def _grapes(rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    along = rng.uniform(-1.0, 1.0, count)
    spread = 0.46 * (1.05 - 0.75 * np.abs(along) ** 1.5)
    sizes = rng.uniform(0.17, 0.22, count)
    side = rng.uniform(-1, 1, count) * spread
    up = sizes + rng.uniform(0, 1, count) ** 1.3 * spread * 0.9
    places = np.stack([along * 1.05, up, side - 0.35 * along], axis=1)
    return places.astype(np.float32), sizes.astype(np.float32)


def hem(x):
    """Where the far edge of the cloth lies on the table, (n,)."""
    return -0.35 + 1.5 * np.tanh(0.3 * x) + 0.25 * np.sin(1.7 * x + 0.5)


def cloth_share(x, z):
    """1 where the cloth covers the table, 0 elsewhere; (n,)."""
    return smoothstep(-0.03, 0.03, hem(x) - z)


def ground(x, z):
    """Height of the table with its cloth at (x, z), (n,)."""
    folds = np.sin(2.1 * (x + 0.55 * z) + 2.2 * noise(x * 0.7, z * 0.7, seed=5))
    crease = 0.5 + 0.5 * np.sin(4.3 * (0.8 * x - z) + 3 * noise(x, z, seed=6))
    calm = np.minimum(1, 0.25 + np.abs(x - 0.2) * 0.25)
    height = 0.03 + calm * (0.11 * (folds + 1) * crease + 0.05 * crease)
    return height * smoothstep(-0.02, 0.10, hem(x) - z)
