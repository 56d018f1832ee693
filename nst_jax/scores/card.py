"""All scores of one result, by name."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from nst_jax.scores.features import (
    Extract,
    cosines,
    gram_errors,
    mean_score,
    sliced_wasserstein,
)
from nst_jax.scores.filters import random_filter_distance
from nst_jax.scores.pixels import (
    colour_distance,
    edge_correlation,
    noise_ratio,
    structural_similarity,
)
from nst_jax.types import Params

# What the scores mean, and which value is the best one, by the part before the slash.
MEANING: Mapping[str, tuple[str, str]] = {
    "gram": ("style: relative error of Gram matrices", "0"),
    "wasserstein": ("style: sliced Wasserstein distance of responses", "0"),
    "random_filters": ("style: Gram error of random filters, without any VGG", "0"),
    "colours": ("style: distance of the colour histograms", "0"),
    "ssim": ("content: structural similarity of luminance", "1"),
    "edges": ("content: correlation of Sobel edges", "1"),
    "cosine": ("content: cosine of responses", "1"),
    "noise": ("finest detail, of the style's", "about 1"),
}


def score_card(
    extract: Extract,
    params: Params,
    *,
    result: np.ndarray,
    content: np.ndarray,
    style: np.ndarray,
    style_layers: tuple[str, ...],
    content_layers: tuple[str, ...],
    octaves: int = 4,
) -> dict[str, float]:
    """Every score of a result; those of several layers also as their mean.

    Args:
        extract: ``(params, picture, layers) -> features``, hashable.
        params: the network's weights; rescaled ones weigh all channels alike.
        result: ``(h, w, 3)`` in [0, 1], float32.
        content: of the same size.
        style: of about the same area, for the finest detail to be the same.
        style_layers: for Gram matrices and distributions; those that were not
            optimised are the honest ones (``scores.held_out``). None: their scores are
            left out.
        content_layers: for cosines; likewise.
        octaves: of the random filters.

    Returns:
        ``gram`` (geometric mean over the layers), ``gram/conv1_2``, ..., in the
        order of ``MEANING``.

    Raises:
        ValueError: if result and content differ in size, or a picture is too small.
    """
    ours, theirs, photo = (jnp.asarray(x) for x in (result, style, content))
    network = {"extract": extract, "params": params, "result": ours}
    look = {"style": theirs, "layers": style_layers}
    return {
        **_with_mean("gram", gram_errors(**network, **look)),
        **_with_mean("wasserstein", sliced_wasserstein(**network, **look)),
        "random_filters": random_filter_distance(ours, theirs, octaves=octaves),
        "colours": colour_distance(result, style),
        "ssim": structural_similarity(result, content),
        "edges": edge_correlation(result, content),
        **_named("cosine", cosines(**network, content=photo, layers=content_layers)),
        "noise": noise_ratio(result, style),
    }


def _with_mean(name: str, by_layer: Mapping[str, float]) -> dict[str, float]:
    mean = {name: mean_score(by_layer)} if by_layer else {}
    return {**mean, **_named(name, by_layer)}


def _named(name: str, by_layer: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}/{layer}": value for layer, value in by_layer.items()}
