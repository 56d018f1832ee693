"""A style distance through random filters: a judge that no VGG has a part in."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.scores.features import gram, relative_error
from nst_jax.types import Image


def random_filter_distance(
    result: Image, style: Image, *, seed: int = 0, octaves: int = 4, filters: int = 48
) -> float:
    """Style distance that no VGG has a part in: Gram matrices of random filters.

    ReLU responses of seeded random 7 x 7 filters without a mean, at several octaves of
    scale, and one filter that is the mean, so that colours count; relative Gram error,
    averaged over the octaves. Single layers of random filters describe textures nearly
    as well as VGG (Ustyuzhaninov et al. 2017).

    Args:
        result: the picture to judge.
        style: what it should have the style of; any size.
        seed: of the filters.
        octaves: scales, each half the one before.
        filters: number of filters.

    Raises:
        ValueError: if a picture is too small for the octaves.
    """
    least = 7 * 2 ** (octaves - 1)
    for picture in (result, style):
        height, width = picture.shape[:2]
        if min(height, width) < least:
            raise ValueError(
                f"a picture of {width} x {height} is too small for the random filters: "
                f"{octaves} octaves need {least} pixels on each side"
            )
    bank = _filter_bank(seed, filters)
    ours, theirs = (_random_grams(bank, octaves, x) for x in (result, style))
    return float(
        np.mean([relative_error(g, a) for g, a in zip(ours, theirs, strict=True)])
    )


def _filter_bank(seed: int, filters: int) -> jax.Array:
    bank = np.random.default_rng(seed).standard_normal((7, 7, 3, filters))
    bank -= bank.mean((0, 1), keepdims=True)
    bank /= np.sqrt((bank**2).sum((0, 1, 2)))
    mean = np.zeros((7, 7, 3, 3))
    for channel in range(3):
        mean[:, :, channel, channel] = 1 / 49
    return jnp.asarray(np.concatenate([bank, mean], axis=-1), jnp.float32)


@partial(jax.jit, static_argnums=1)
def _random_grams(bank, octaves: int, picture: Image) -> list[jax.Array]:
    grams = []
    for octave in range(octaves):
        if octave:
            h, w = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
            corners = [picture[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]
            picture = sum(corners[1:], corners[0]) / 4
        responses = jax.lax.conv_general_dilated(
            picture[None], bank, (1, 1), "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        # A filter and its opposite tell dark on light from light on dark.
        both = jnp.concatenate([responses[0], -responses[0, ..., :-3]], axis=-1)
        grams.append(gram(jnp.maximum(both, 0)))
    return grams
