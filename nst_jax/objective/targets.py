"""The targets of the optimisation, computed once from the pictures."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax

from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.types import Features, Image, Params


class Targets(NamedTuple):
    """Content responses P_l ``(h, w, c)``, and what the statistic made of the styles.

    With the papers' statistic that is a Gram matrix A_l ``(c, c)`` for each layer.
    """

    content: Features
    style: dict[str, Any]


class Style(NamedTuple):
    """A picture that the style is taken from, alone or with others.

    Attributes:
        picture: ``(h, w, 3)`` in [0, 1], of any size.
        weight: against those of the other styles; only ratios count.
        layers: style layers that it has a part in; None: all.
    """

    picture: Image
    weight: float = 1.0
    layers: tuple[str, ...] | None = None


def make_targets(
    extract,
    params: Params,
    *,
    content: Image,
    styles: Sequence[Style],
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
    statistic: Statistic = GramMatrix(),  # noqa: B008
) -> Targets:
    """Targets from a content picture and one or several styles, of any sizes.

    At each layer the descriptions of the styles that have it are blended, with their
    weights divided by their sum there: so several styles cost no more per step than
    one. Blending Gram matrices goes back to neural-style.

    Args:
        extract: ``(params, picture, layers) -> features``, hashable.
        params: the network's weights.
        content: ``(h, w, 3)`` in [0, 1], of the size of the picture to be made.
        styles: at least one.
        content_layers: layers whose responses are matched.
        style_layers: layers whose statistics are matched.
        statistic: what is meant by style.

    Raises:
        ValueError: if a weight is negative, or no style has a weight at some layer.
    """
    return Targets(
        _responses(extract, content_layers, params, content) if content_layers else {},
        _style_targets(extract, statistic, style_layers, params, content, styles)
        if style_layers
        else {},
    )


def _style_targets(extract, statistic, layers, params, content, styles) -> dict:
    shares = {layer: shares_at(layer, styles) for layer in layers}
    used = {number for share in shares.values() for number in share}
    described = {
        number: _descriptions(
            extract, statistic, layers, params, styles[number].picture
        )
        for number in sorted(used)
    }
    like = jax.eval_shape(
        partial(_descriptions, extract, statistic, layers), params, content
    )
    return {
        layer: statistic.target(
            [described[number][layer] for number in share],
            list(share.values()),
            like[layer],
        )
        for layer, share in shares.items()
    }


def shares_at(layer: str, styles: Sequence[Style]) -> dict[int, float]:
    """Number of a style -> its part in the blend at a layer; the parts' sum is 1.

    Raises:
        ValueError: if a weight is negative, or nothing is left to blend.
    """
    if negative := [style.weight for style in styles if not style.weight >= 0]:
        raise ValueError(f"the weight of a style must not be negative: {negative[0]:g}")
    weights = {
        number: style.weight
        for number, style in enumerate(styles)
        if style.weight > 0 and (style.layers is None or layer in style.layers)
    }
    if not weights:
        raise ValueError(
            f"no style has a weight at the style layer {layer}: give one of them that "
            "layer, or leave it out"
        )
    return {number: w / sum(weights.values()) for number, w in weights.items()}


@partial(jax.jit, static_argnums=(0, 1))
def _responses(extract, layers, params, picture):
    return extract(params, picture, layers)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _descriptions(extract, statistic, layers, params, picture):
    views = statistic.views(extract(params, picture, layers))
    return {layer: statistic.describe(views[layer]) for layer in layers}
