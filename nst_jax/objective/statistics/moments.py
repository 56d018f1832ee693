"""Statistics of the first two moments of the responses, beyond the plain Gram matrix.

What is blended between several styles are raw moments (means of F and of its
products), which are those of the styles' responses taken together; standard deviations
and covariances follow from the blend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.objective.losses import check_same_shape, gram_matrix, style_loss
from nst_jax.objective.statistics.base import Statistic, blend, spread
from nst_jax.types import FeatureMap, Features, Gram, Guide, Scalar

# Added to variances, relative to the style's: the root's slope at 0 is infinite.
EPSILON = 1e-6


class Moments(NamedTuple):
    """Raw moments: ``mean`` (c,) of F, ``second`` (c,) of F^2 or (c, c) of F F^T."""

    mean: jax.Array
    second: jax.Array


@dataclass(frozen=True)
class ShiftedGram(Statistic):
    """The Gram matrix of ``F + shift`` (Novak and Nikulin 2016, section 3.3).

    Attributes:
        shift: -1 is the mean response of a rescaled network, so that what is matched is
            nearly the covariance: less sparse, and brightness counts less.
    """

    shift: float = -1.0

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Gram:
        """``(c, c)``."""
        return gram_matrix(spread(response + self.shift, guide))

    def distance(self, description: Gram, target: Gram) -> Scalar:
        """Mean squared difference of the entries."""
        return style_loss(description, target)


@dataclass(frozen=True)
class GramChain(Statistic):
    """Gram matrices across neighbouring layers (Novak and Nikulin 2016, section 3.5).

    At each layer but the first, ``F_l^T F_k / M`` with the layer k before it. The
    deeper response is up-sampled to the nearest position in the paper; to average the
    finer one over the same positions gives the same sums, and is cheaper.

    Departure: the first layer has no neighbour before it and keeps its own Gram matrix.

    Attributes:
        layers: of the chain, from shallow to deep.
        shift: see ``ShiftedGram``.
    """

    layers: tuple[str, ...]
    shift: float = -1.0

    def views(self, responses: Features) -> Mapping[str, Any]:
        """Layer -> its response and that of the layer before, at its size."""
        befores = dict(zip(self.layers[1:], self.layers[:-1], strict=True))
        return {
            layer: (response, _pooled(responses[befores.get(layer, layer)], response))
            for layer, response in responses.items()
        }

    def describe(self, response: Any, guide: Guide | None = None) -> jax.Array:
        """``(c, c')`` of a pair of responses ``(h, w, c)`` and ``(h, w, c')``."""
        own, before = (spread(one + self.shift, guide) for one in response)
        return jnp.einsum("hwi,hwj->ij", own, before, precision="highest") / (
            own.shape[0] * own.shape[1]
        )

    def distance(self, description: jax.Array, target: jax.Array) -> Scalar:
        """Mean squared difference of the entries."""
        return style_loss(description, target)


def _pooled(response: FeatureMap, like: FeatureMap) -> FeatureMap:
    """A response averaged to the height and width of a deeper one."""
    (h, w), (height, width) = response.shape[:2], like.shape[:2]
    rows, columns = h // height, w // width
    cut = response[: height * rows, : width * columns]
    return cut.reshape(height, rows, width, columns, -1).mean((1, 3))


@dataclass(frozen=True)
class MeanStd(Statistic):
    """Mean and standard deviation of each channel: the BN loss of Li et al. 2017.

    ``1/N sum_i [(mu_i - mu'_i)^2 + (sigma_i - sigma'_i)^2]``.

    Attributes:
        times_channels_squared: multiplied by N^2, for recipes that divide all of a
            layer's style loss by it but not this part.
    """

    times_channels_squared: bool = False

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Moments:
        """Means of F and of F^2, each ``(c,)``."""
        axes = (0, 1)
        if guide is None:
            return Moments(response.mean(axes), (response**2).mean(axes))
        part = guide[..., None] ** 2
        part = part / jnp.where(part.sum() > 0, part.sum(), 1)
        return Moments((part * response).sum(axes), (part * response**2).sum(axes))

    def distance(self, description: Moments, target: Moments) -> Scalar:
        """Mean over the channels of both squared differences."""
        check_same_shape("means", description.mean, target.mean)
        least = EPSILON * jnp.mean(_variance(target, 0.0)) + 1e-12
        ours, theirs = (jnp.sqrt(_variance(m, least)) for m in (description, target))
        means = jnp.mean((description.mean - target.mean) ** 2)
        factor = target.mean.size**2 if self.times_channels_squared else 1
        return factor * (means + jnp.mean((ours - theirs) ** 2))


def _variance(moments: Moments, least) -> jax.Array:
    return jnp.maximum(moments.second - moments.mean**2, 0.0) + least


class Gaussian(NamedTuple):
    """A style as a normal distribution: mean, and root and trace of the covariance."""

    mean: jax.Array
    root: jax.Array
    trace: jax.Array
    least: jax.Array


@dataclass(frozen=True)
class Wasserstein(Statistic):
    """Wasserstein-2 distance of normal distributions with these means and covariances.

    ``[|mu - mu'|^2 + tr C + tr C' - 2 tr (C'^1/2 C C'^1/2)^1/2] / N`` (crowsonkb,
    style-transfer-pytorch). The root is that of a Newton-Schulz iteration, whose
    gradient stays finite where the covariance has no full rank; directions with less
    than about ``epsilon`` of the variance are matched roughly.

    Departure: ``epsilon`` is relative to the style's mean variance, there it is 1e-4 on
    a fixed scale of features.

    Attributes:
        epsilon: added to the covariances' diagonals.
        steps: of the iteration.
    """

    epsilon: float = 1e-4
    steps: int = 12

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Moments:
        """Mean ``(c,)`` and mean of ``F F^T`` ``(c, c)``."""
        mean = MeanStd().describe(response, guide).mean
        return Moments(mean, gram_matrix(spread(response, guide)))

    def target(
        self, descriptions: Sequence[Moments], weights: Sequence[float], like: Any
    ) -> Gaussian:
        """Of the blended moments."""
        del like
        moments = blend(descriptions, weights)
        return _gaussian(moments, self.epsilon)

    def distance(self, description: Moments, target: Gaussian) -> Scalar:
        """Per channel; at least 0 but for rounding."""
        check_same_shape("means", description.mean, target.mean)
        channels = target.mean.size
        covariance = _covariance(description, target.least)
        product = _product(_product(target.root, covariance), target.root)
        both = trace_root(product, steps=self.steps)
        means = jnp.sum((description.mean - target.mean) ** 2)
        return (means + jnp.trace(covariance) + target.trace - 2 * both) / channels


def _covariance(moments: Moments, least) -> jax.Array:
    mean = moments.mean
    return moments.second - jnp.outer(mean, mean) + least * jnp.eye(mean.size)


@jax.jit
def _gaussian(moments: Moments, epsilon) -> Gaussian:
    spreads = jnp.diagonal(_covariance(moments, 0.0))
    # A flat style has no variance; its root's square must stay above float32's least.
    least = epsilon * jnp.mean(spreads) + 1e-8
    covariance = _covariance(moments, least)
    values, vectors = jnp.linalg.eigh(covariance)
    root = _product(vectors * jnp.sqrt(jnp.maximum(values, 0)), vectors.T)
    return Gaussian(moments.mean, root, jnp.trace(covariance), least)


def trace_root(matrix: jax.Array, *, steps: int) -> Scalar:
    """``tr matrix^1/2`` of a positive definite matrix by Newton and Schulz.

    Eigenvalues below ``1.5^(-2 steps)`` of the matrix's norm have not converged, and
    count for less than their root.
    """
    # The norm bounds the eigenvalues, so that the iteration converges.
    norm = jnp.sqrt(jnp.sum(matrix**2))
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)
    y, z = matrix / norm, eye
    for _ in range(steps):
        middle = 1.5 * eye - 0.5 * _product(z, y)
        y, z = _product(y, middle), _product(middle, z)
    return jnp.sqrt(norm) * jnp.trace(y)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


@dataclass(frozen=True)
class Together(Statistic):
    """A weighted sum of several statistics.

    Attributes:
        parts: statistics and their weights.
    """

    parts: tuple[tuple[Statistic, float], ...]
    takes_guide: ClassVar[bool] = True

    def __post_init__(self) -> None:
        guided = all(part.takes_guide for part, _ in self.parts)
        object.__setattr__(self, "takes_guide", guided)

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Any:
        """The parts' descriptions."""
        return tuple(part.describe(response, guide) for part, _ in self.parts)

    def target(
        self, descriptions: Sequence[Any], weights: Sequence[float], like: Any
    ) -> Any:
        """The parts' targets."""
        own = zip(*descriptions, strict=True)
        return tuple(
            part.target(of_part, weights, shapes)
            for (part, _), of_part, shapes in zip(self.parts, own, like, strict=True)
        )

    def distance(self, description: Any, target: Any) -> Scalar:
        """The weighted sum of the parts' distances."""
        distances = [
            weight * part.distance(ours, theirs)
            for (part, weight), ours, theirs in zip(
                self.parts, description, target, strict=True
            )
        ]
        return sum(distances, jnp.zeros(()))
