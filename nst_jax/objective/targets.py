"""The targets of the optimisation, computed once from the two pictures."""

from functools import partial
from typing import NamedTuple

import jax

from nst_jax.objective.losses import gram_matrix
from nst_jax.types import Features, Gram, Image, Params


class Targets(NamedTuple):
    """Content responses P_l ``(h, w, c)`` and style Gram matrices A_l ``(c, c)``."""

    content: Features
    style: dict[str, Gram]


def make_targets(
    extract,
    params: Params,
    *,
    content: Image,
    style: Image,
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
) -> Targets:
    """Targets from a content and a style picture, which may differ in size.

    Args:
        extract: ``(params, picture, layers) -> features``, hashable.
        params: the network's weights.
        content: ``(h, w, 3)`` in [0, 1], of the size of the picture to be made.
        style: ``(h', w', 3)`` in [0, 1].
        content_layers: layers whose responses are matched.
        style_layers: layers whose Gram matrices are matched.
    """
    return Targets(
        _responses(extract, content_layers, params, content) if content_layers else {},
        _grams(extract, style_layers, params, style) if style_layers else {},
    )


@partial(jax.jit, static_argnums=(0, 1))
def _responses(extract, layers, params, picture):
    return extract(params, picture, layers)


@partial(jax.jit, static_argnums=(0, 1))
def _grams(extract, layers, params, picture):
    features = extract(params, picture, layers)
    return {layer: gram_matrix(response) for layer, response in features.items()}
