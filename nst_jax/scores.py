"""Offline scores of a result: how much of the style, how much of the content.

All scores are relative errors: 0 is perfect, 1 is as bad as nothing at all. They take
pictures ``(h, w, 3)`` in [0, 1] and need no download beyond the network they are given.

A network that was optimised flatters itself, so look at layers that were not: or at
``random_filter_distance``, which looks through no VGG at all.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.types import Features, Image, Params

Extract = Callable[[Params, Image, tuple[str, ...]], Features]

# None of them is a style or content layer of the default objective but conv5_1, where
# small networks end.
HELD_OUT = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_1")


def gram_errors(
    extract: Extract,
    params: Params,
    *,
    result: Image,
    style: Image,
    layers: tuple[str, ...] = HELD_OUT,
) -> dict[str, float]:
    """``|G - A|^2 / |A|^2`` at each layer, with Gram matrices ``F^T F / M``.

    Args:
        extract: ``(params, picture, layers) -> features``, hashable.
        params: the network's weights; rescaled ones weigh all channels alike.
        result: the picture to judge.
        style: what it should have the style of; any size.
        layers: where to look.
    """
    ours, theirs = (_grams(extract, layers, params, x) for x in (result, style))
    return {layer: _relative(ours[layer], theirs[layer]) for layer in layers}


def response_errors(
    extract: Extract,
    params: Params,
    *,
    result: Image,
    content: Image,
    layers: tuple[str, ...] = ("conv4_2",),
) -> dict[str, float]:
    """``|F - P|^2 / |P|^2`` at each layer, with F and P the responses.

    Args:
        extract: as in ``gram_errors``.
        params: likewise.
        result: the picture to judge.
        content: what it should have the content of; of the result's size.
        layers: where to look.

    Raises:
        ValueError: if the sizes differ.
    """
    if result.shape != content.shape:
        raise ValueError(f"sizes differ: {result.shape} and {content.shape}")
    ours, theirs = (_responses(extract, layers, params, x) for x in (result, content))
    return {layer: _relative(ours[layer], theirs[layer]) for layer in layers}


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
        if min(picture.shape[:2]) < least:
            raise ValueError(f"{octaves} octaves need {least} pixels on each side")
    bank = _filter_bank(seed, filters)
    ours, theirs = (_random_grams(bank, octaves, x) for x in (result, style))
    return float(np.mean([_relative(g, a) for g, a in zip(ours, theirs, strict=True)]))


def mean_score(errors: Mapping[str, float]) -> float:
    """One number for several layers: their geometric mean."""
    return float(np.exp(np.mean([np.log(max(e, 1e-12)) for e in errors.values()])))


def _relative(ours: jax.Array, theirs: jax.Array) -> float:
    scale = float(jnp.sum(theirs**2))
    return float(jnp.sum((ours - theirs) ** 2)) / max(scale, 1e-30)


@partial(jax.jit, static_argnums=(0, 1))
def _responses(extract, layers, params, picture):
    return extract(params, picture, layers)


@partial(jax.jit, static_argnums=(0, 1))
def _grams(extract, layers, params, picture):
    features = extract(params, picture, layers)
    return {layer: _gram(response) for layer, response in features.items()}


def _gram(response: jax.Array) -> jax.Array:
    positions = response.reshape(-1, response.shape[-1])
    product = jnp.matmul(positions.T, positions, precision="highest")
    return product / positions.shape[0]


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
        grams.append(_gram(jnp.maximum(both, 0)))
    return grams
