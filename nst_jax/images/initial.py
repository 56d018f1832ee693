"""The picture that the optimisation starts from."""

from functools import partial

import jax
import numpy as np

from nst_jax.images.resize import resize
from nst_jax.types import Image

STARTS = ("noise", "content", "style")


def noise(height: int, width: int, *, seed: int) -> Image:
    """Gray noise, ``0.5 + 0.1 * normal``: (height, width, 3), about [0, 1].

    Gatys et al. 2016 start from white noise without saying which.
    """
    # As uint32: the upper half of the seeds overflows the int that jit would take.
    return _noise(np.uint32(seed), (height, width, 3))


@partial(jax.jit, static_argnums=1)
def _noise(seed, shape):
    return 0.5 + 0.1 * jax.random.normal(jax.random.key(seed), shape)


def cover(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture scaled to cover height x width, the overhang cut off evenly.

    Args:
        pixels: ``(h, w, 3)`` in [0, 1]; its aspect ratio is kept.
    """
    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    scaled = resize(
        pixels,
        max(height, round(pixels.shape[0] * scale)),
        max(width, round(pixels.shape[1] * scale)),
    )
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]
