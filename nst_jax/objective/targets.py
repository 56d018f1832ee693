"""The targets of the optimisation, computed once from the pictures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax.objective.regions import Guided, Regions, filled, guided, present
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.types import Features, Image, Params, Stencil


class Targets(NamedTuple):
    """Content responses P_l ``(h, w, c)``, and what the statistic made of the styles.

    With the papers' statistic that is a Gram matrix A_l ``(c, c)`` for each layer; with
    regions, one for each region of each layer. ``matting`` is the content's matting
    Laplacian, if the objective has the photorealism term.
    """

    content: Features
    style: dict[str, Any]
    regions: Guided | None = None
    matting: Stencil | None = None


class Style(NamedTuple):
    """A picture that the style is taken from, alone or with others.

    Attributes:
        picture: ``(h, w, 3)`` in [0, 1], of any size.
        weight: against those of the other styles; only ratios count.
        layers: style layers that it has a part in; None: all.
        guides: layer -> ``(regions, h', w')`` in [0, 1], where there are regions; None:
            all of it is of every region.
    """

    picture: Image
    weight: float = 1.0
    layers: tuple[str, ...] | None = None
    guides: Mapping[str, np.ndarray] | None = None


def make_targets(
    extract,
    params: Params,
    *,
    content: Image,
    styles: Sequence[Style],
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
    statistic: Statistic = GramMatrix(),  # noqa: B008
    regions: Regions | None = None,
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
        regions: of the content; None: its style is the same everywhere.

    Raises:
        ValueError: if a weight is negative, or no style has a weight at some layer.
    """
    responses = (
        _responses(extract, content_layers, params, content) if content_layers else {}
    )
    if not style_layers:
        return Targets(responses, {})
    count = None if regions is None else len(regions.weights)
    targets = _style_targets(
        extract, statistic, style_layers, params, content, styles, count
    )
    if regions is None:
        return Targets(responses, {layer: own for layer, (own,) in targets.items()})
    in_styles = {layer: in_any(layer, styles, count or 1) for layer in style_layers}
    return Targets(responses, targets, guided(regions, in_styles, content))


def in_any(layer: str, styles: Sequence[Style], regions: int) -> np.ndarray:
    """Which regions any style that counts at a layer has: ``(regions,)`` of bools."""
    counting = [style for style in styles if _counts(style, layer)]
    return np.any([_there(style, layer, regions) for style in counting], axis=0)


def _style_targets(
    extract, statistic, layers, params, content, styles, count: int | None
) -> dict[str, tuple]:
    """Layer -> the targets of its regions; of the whole, if there are none."""
    regions = range(count or 1)
    shares = {layer: _shares(layer, styles, len(regions)) for layer in layers}
    used = {n for each in shares.values() for share in each for n in share}
    describe = partial(_descriptions, extract, statistic, layers)
    described = {
        n: describe(params, styles[n].picture, _guides(styles[n], layers))
        for n in sorted(used)
    }
    like = jax.eval_shape(describe, params, content, None)

    def target(layer: str, region: int):
        share = shares[layer][region]
        own = [described[number][layer] for number in share]
        # A style without guides has one description, for all regions.
        own = [each[region if len(each) > 1 else 0] for each in own]
        return statistic.target(own, list(share.values()), like[layer][0])

    return {layer: tuple(target(layer, r) for r in regions) for layer in layers}


def _shares(layer: str, styles: Sequence[Style], regions: int) -> list[dict]:
    """``shares_at`` of each region."""
    there = np.array([_there(style, layer, regions) for style in styles])
    return [shares_at(layer, styles, there=own) for own in there.T]


def _there(style: Style, layer: str, regions: int) -> np.ndarray:
    if style.guides is None:
        return np.ones(regions, bool)
    return present(style.guides[layer])


def _counts(style: Style, layer: str) -> bool:
    return style.weight > 0 and (style.layers is None or layer in style.layers)


def _guides(style: Style, layers) -> dict[str, np.ndarray] | None:
    if style.guides is None:
        return None
    guides = {layer: style.guides[layer] for layer in layers}
    return {layer: filled(own, present(own)) for layer, own in guides.items()}


def shares_at(
    layer: str, styles: Sequence[Style], *, there: Sequence[bool] | np.ndarray = ()
) -> dict[int, float]:
    """Number of a style -> its part in the blend at a layer; the parts' sum is 1.

    Args:
        layer: name of the layer.
        styles: all of them.
        there: whether each has the region that is asked for; none: all have. If no
            style that counts has it, the region is left out (see ``regions``), and all
            have their parts.

    Raises:
        ValueError: if a weight is negative, or nothing is left to blend.
    """
    if negative := [style.weight for style in styles if not style.weight >= 0]:
        raise ValueError(f"the weight of a style must not be negative: {negative[0]:g}")
    weights = {n: s.weight for n, s in enumerate(styles) if _counts(s, layer)}
    if not weights:
        raise ValueError(
            f"no style has a weight at the style layer {layer}: give one of them that "
            "layer, or leave it out"
        )
    if len(there):
        weights = {n: w for n, w in weights.items() if there[n]} or weights
    return {number: w / sum(weights.values()) for number, w in weights.items()}


@partial(jax.jit, static_argnums=(0, 1))
def _responses(extract, layers, params, picture):
    return extract(params, picture, layers)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _descriptions(extract, statistic, layers, params, picture, guides):
    """Layer -> the descriptions of its regions; of the whole, without guides."""
    views = statistic.views(extract(params, picture, layers))
    if guides is None:
        return {layer: (statistic.describe(views[layer]),) for layer in layers}
    return {
        layer: tuple(statistic.describe(views[layer], guide) for guide in guides[layer])
        for layer in layers
    }
