"""Scores by a network's responses: how much of the style, how much of the content.

Errors and distances are relative: 0 is perfect, 1 is as bad as nothing at all. They
take pictures ``(h, w, 3)`` in [0, 1] and need no download beyond the network they are
given.

A network that was optimised flatters itself, so look at layers that were not
(``scores.held_out``); or use ``scores.filters``, which looks through no VGG at all.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.types import Features, Image, Params

Extract = Callable[[Params, Image, tuple[str, ...]], Features]


def gram_errors(
    extract: Extract,
    params: Params,
    *,
    result: Image,
    style: Image,
    layers: tuple[str, ...],
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
    return {layer: relative_error(ours[layer], theirs[layer]) for layer in layers}


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
    check_same_size(result, content)
    ours, theirs = (_responses(extract, layers, params, x) for x in (result, content))
    return {layer: relative_error(ours[layer], theirs[layer]) for layer in layers}


def cosines(
    extract: Extract,
    params: Params,
    *,
    result: Image,
    content: Image,
    layers: tuple[str, ...],
) -> dict[str, float]:
    """Cosine between the responses ``F`` and ``P`` at each layer, as whole maps.

    1 is the same up to a factor. Rectified responses have no negative values, so that
    even unrelated pictures are far from 0: compare, do not read alone.

    Args:
        extract: as in ``gram_errors``.
        params: likewise.
        result: the picture to judge.
        content: what it should have the content of; of the result's size.
        layers: where to look.

    Raises:
        ValueError: if the sizes differ.
    """
    check_same_size(result, content)
    ours, theirs = (_responses(extract, layers, params, x) for x in (result, content))
    return {layer: _cosine(ours[layer], theirs[layer]) for layer in layers}


def sliced_wasserstein(
    extract: Extract,
    params: Params,
    *,
    result: Image,
    style: Image,
    layers: tuple[str, ...],
    directions: int = 32,
    seed: int = 0,
) -> dict[str, float]:
    """Sliced Wasserstein distance of the responses at each layer, squared, relative.

    The responses are a cloud of M points in as many dimensions as there are channels.
    Along random directions both clouds are sorted and compared (Heitz et al. 2021):
    ``mean (sort F v - sort A v)^2 / mean (A v)^2`` over positions and
    directions v. Where Gram matrices only see second moments, this sees whole
    distributions. Pictures of other sizes are compared quantile by quantile.

    Args:
        extract: as in ``gram_errors``.
        params: likewise.
        result: the picture to judge.
        style: what it should have the style of; any size.
        layers: where to look.
        directions: number of random directions.
        seed: of the directions.
    """
    ours, theirs = (_responses(extract, layers, params, x) for x in (result, style))
    rng = np.random.default_rng(seed)
    return {
        layer: sliced_distance(
            _cloud(ours[layer]), _cloud(theirs[layer]), directions=directions, rng=rng
        )
        for layer in layers
    }


def sliced_distance(
    ours: np.ndarray, theirs: np.ndarray, *, directions: int, rng: np.random.Generator
) -> float:
    """See ``sliced_wasserstein``; of two clouds ``(m, c)`` and ``(m', c)``."""
    lines = rng.standard_normal((theirs.shape[1], directions)).astype(np.float32)
    lines /= np.linalg.norm(lines, axis=0)
    count = min(len(ours), len(theirs))
    a, b = (_quantiles(np.sort(x @ lines, axis=0), count) for x in (ours, theirs))
    scale = float(np.mean(np.square(b, dtype=np.float64)))
    return float(np.mean(np.square(a - b, dtype=np.float64))) / max(scale, 1e-30)


def check_same_size(result: Image, content: Image) -> None:
    """Refuse pictures of different sizes.

    Raises:
        ValueError: as it says.
    """
    if result.shape != content.shape:
        raise ValueError(f"sizes differ: {result.shape} and {content.shape}")


def mean_score(errors: Mapping[str, float]) -> float:
    """One number for several layers: their geometric mean."""
    return float(np.exp(np.mean([np.log(max(e, 1e-12)) for e in errors.values()])))


def relative_error(ours: jax.Array, theirs: jax.Array) -> float:
    """``|ours - theirs|^2 / |theirs|^2`` of two arrays of one shape."""
    scale = float(jnp.sum(theirs**2))
    return float(jnp.sum((ours - theirs) ** 2)) / max(scale, 1e-30)


def _cosine(ours: jax.Array, theirs: jax.Array) -> float:
    norms = jnp.sqrt(jnp.sum(ours**2) * jnp.sum(theirs**2))
    return float(jnp.sum(ours * theirs) / jnp.maximum(norms, 1e-30))


def _cloud(response: jax.Array) -> np.ndarray:
    return np.asarray(response).reshape(-1, response.shape[-1])


def _quantiles(columns: np.ndarray, count: int) -> np.ndarray:
    """So many evenly spaced quantiles of each sorted column ``(m, k)``."""
    if len(columns) == count:
        return columns
    places = (np.arange(count) + 0.5) * len(columns) / count - 0.5
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(columns) - 1)
    part = (places - below).astype(columns.dtype)[:, None]
    return columns[below] * (1 - part) + columns[above] * part


@partial(jax.jit, static_argnums=(0, 1))
def _responses(extract, layers, params, picture):
    return extract(params, picture, layers)


@partial(jax.jit, static_argnums=(0, 1))
def _grams(extract, layers, params, picture):
    features = extract(params, picture, layers)
    return {layer: gram(response) for layer, response in features.items()}


def gram(response: jax.Array) -> jax.Array:
    """``F^T F / M`` of a response ``(h, w, c)``, in full float32."""
    positions = response.reshape(-1, response.shape[-1])
    product = jnp.matmul(positions.T, positions, precision="highest")
    return product / positions.shape[0]
