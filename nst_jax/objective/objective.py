"""The objective: one pure function of the picture, everything else traced.

``L = alpha * sum_l w_l content_loss(F_l, P_l)
    + beta  * sum_l v_l distance(D_l, T_l)
    + tv    * total_variation(x)
    + photorealism * matting_loss(x, M)``

(Gatys et al. 2016, eq. 7, in the means of ``losses``.) D_l describes the response of a
style layer and T_l is the style's own description: with the papers' Gram matrices the
distance is ``style_loss(G_l, A_l)``; ``statistics`` has others. The last term (see
``matting``) is there only where the targets have a matting Laplacian M.

Weights, targets and the network's parameters are arguments, so that changing them
compiles nothing anew and ``jax.vmap`` can sweep any of them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp

from nst_jax.objective.losses import content_loss, total_variation
from nst_jax.objective.matting import matting_loss
from nst_jax.objective.regions import composed, regions_loss
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Targets
from nst_jax.types import Features, Image, LossTerms, Params, Scalar

Extract = Callable[[Params, Image, tuple[str, ...]], Features]


class LossWeights(NamedTuple):
    """alpha, beta, tv and the layers' weights w_l and v_l; all traced scalars.

    ``photorealism`` is None if and only if the targets have no matting Laplacian.
    """

    alpha: Scalar
    beta: Scalar
    tv: Scalar
    content: dict[str, Scalar]
    style: dict[str, Scalar]
    photorealism: Scalar | None = None


class Problem(NamedTuple):
    """Everything the objective needs besides the picture: a pytree of arrays."""

    params: Params
    targets: Targets
    weights: LossWeights


class Objective(NamedTuple):
    """``objective(picture, problem) -> (total, LossTerms)``.

    Holds only what is hashable by value, so that a compiled program is found again for
    the next picture.

    Attributes:
        extract: a hashable callable such as ``features.vgg.Network``.
        statistic: what is meant by style.
        circular: whether the picture's opposite edges are neighbours.
    """

    extract: Extract
    statistic: Statistic = GramMatrix()
    circular: bool = False

    def __call__(self, picture: Image, problem: Problem) -> tuple[Scalar, LossTerms]:
        """The objective of ``picture`` (h, w, 3), and its parts for the record.

        Raises:
            ValueError: if a target has no weight, or the reverse.
        """
        targets, weights = problem.targets, problem.weights
        _same_layers("content", targets.content, weights.content)
        _same_layers("style", targets.style, weights.style)
        picture = composed(picture, targets.regions)
        layers = tuple(sorted({*targets.content, *targets.style}))
        features = self.extract(problem.params, picture, layers)
        content = {
            layer: content_loss(features[layer], target)
            for layer, target in targets.content.items()
        }
        views = self.statistic.views({name: features[name] for name in targets.style})
        style = {
            layer: self._style_loss(layer, views[layer], targets)
            for layer in targets.style
        }
        tv = total_variation(picture, circular=self.circular)
        total, terms = _combine(content, style, tv, weights)
        return _photorealistic(picture, targets.matting, weights, total, terms)

    def _style_loss(self, layer: str, view, targets: Targets) -> Scalar:
        target, regions = targets.style[layer], targets.regions
        if regions is None:
            return self.statistic.distance(self.statistic.describe(view), target)
        guides, weights = regions.guides[layer], regions.weights[layer]
        return regions_loss(self.statistic, view, target, guides, weights)


def _combine(content, style, tv, weights: LossWeights) -> tuple[Scalar, LossTerms]:
    content_sum = _weighted_sum(content, weights.content)
    style_sum = _weighted_sum(style, weights.style)
    total = weights.alpha * content_sum + weights.beta * style_sum + weights.tv * tv
    return total, LossTerms(total, content_sum, style_sum, tv, content, style)


def _photorealistic(picture, matting, weights: LossWeights, total, terms: LossTerms):
    """Total and terms with the photorealism term, if there is a matting Laplacian."""
    weight = weights.photorealism
    if (matting is None) != (weight is None):
        raise ValueError(
            "photorealism takes a weight and targets with a matting Laplacian: give "
            "both, or neither"
        )
    if matting is None:
        return total, terms
    loss = matting_loss(picture, matting)
    total = total + weight * loss
    return total, terms._replace(total=total, photorealism=loss)


def _weighted_sum(losses, weights) -> Scalar:
    terms = [weights[layer] * loss for layer, loss in losses.items()]
    return sum(terms, jnp.zeros(()))


def _same_layers(kind: str, targets, weights) -> None:
    if set(targets) != set(weights):
        raise ValueError(
            f"{kind} layers of targets and weights differ: {sorted(targets)} and "
            f"{sorted(weights)}"
        )


def loss_weights(
    *,
    alpha: float,
    beta: float,
    tv: float = 0.0,
    content: Mapping[str, float],
    style: Mapping[str, float],
    photorealism: float | None = None,
) -> LossWeights:
    """``LossWeights`` of plain numbers, as float32 arrays."""

    def array(value) -> Scalar:
        return jnp.asarray(value, jnp.float32)

    return LossWeights(
        array(alpha),
        array(beta),
        array(tv),
        {layer: array(w) for layer, w in content.items()},
        {layer: array(w) for layer, w in style.items()},
        None if photorealism is None else array(photorealism),
    )
