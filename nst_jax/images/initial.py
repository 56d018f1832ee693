"""The picture that the optimisation starts from."""

from functools import partial

import jax
import numpy as np

from nst_jax.images.resize import resample, resize
from nst_jax.types import Image

STARTS = ("noise", "content", "content-recoloured", "style")


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


def finer(
    picture: np.ndarray,
    content: np.ndarray,
    larger: np.ndarray,
    *,
    circular: bool = False,
) -> np.ndarray:
    """What a coarse scale made, as the start of a finer one.

    What the coarse scale changed of its content is enlarged and added to the content
    of the finer scale, which so brings its own fine detail: enlarging blurs, and a
    blurred picture begins with a far higher objective.

    Args:
        picture: ``(h, w, 3)``, of any range.
        content: of the coarse scale, ``(h, w, 3)``.
        larger: content of the finer scale, ``(h', w', 3)``.
        circular: whether opposite edges of the picture are neighbours.

    Returns:
        float32 ``(h', w', 3)``, not clipped.
    """
    changed = np.asarray(picture, np.float32) - np.asarray(content, np.float32)
    changed = resample(changed, *larger.shape[:2], circular=circular)
    return np.asarray(larger, np.float32) + changed
