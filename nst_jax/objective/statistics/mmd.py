"""Maximum mean discrepancies of the responses (Li et al. 2017, "Demystifying").

``MMD^2`` of two sets of positions is the squared distance of their mean features in
the space of a kernel; the biased estimate, over all pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.objective.losses import check_same_shape
from nst_jax.objective.statistics.base import Statistic, normalised
from nst_jax.objective.statistics.moments import MeanStd, Moments, Wasserstein
from nst_jax.types import FeatureMap, Guide, Scalar


@dataclass(frozen=True)
class LinearMMD(Statistic):
    """``k = x.y``: the squared difference of the means, per channel."""

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> jax.Array:
        """The mean ``(c,)``."""
        return MeanStd().describe(response, guide).mean

    def distance(self, description: jax.Array, target: jax.Array) -> Scalar:
        """``MMD^2 / N``."""
        check_same_shape("means", description, target)
        return jnp.mean((description - target) ** 2)


@dataclass(frozen=True)
class PolynomialMMD(Statistic):
    """``k = (x.y + offset)^2``, which is ``|G - A|^2 + 2 offset |mu - mu'|^2``.

    With an offset of 0 it is the loss of Gram matrices.

    Attributes:
        offset: None: N, so that on a rescaled network both parts count; a number: that.
    """

    offset: float | None = None

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Moments:
        """Mean ``(c,)`` and Gram matrix ``(c, c)``."""
        return Wasserstein().describe(response, guide)

    def distance(self, description: Moments, target: Moments) -> Scalar:
        """``MMD^2 / N^2``."""
        check_same_shape("means", description.mean, target.mean)
        channels = target.mean.size
        offset = channels if self.offset is None else self.offset
        means = jnp.mean((description.mean - target.mean) ** 2)
        grams = jnp.mean((description.second - target.second) ** 2)
        return grams + 2 * offset / channels * means


class Positions(NamedTuple):
    """Responses ``(h, w, c)``, and how much each position counts ``(h, w)``: 1 in mean.

    A response as it is: its mean feature needs the bandwidth, which is the styles'.
    """

    response: jax.Array
    counts: jax.Array


class Embedding(NamedTuple):
    """Mean feature ``(r,)`` of the styles, and the kernel's gamma."""

    mean: jax.Array
    gamma: jax.Array


@dataclass(frozen=True)
class GaussianMMD(Statistic):
    """``k = exp(-gamma |x - y|^2)``, gamma = 1 / mean squared distance in the style.

    Departure: the kernel is that of random features ``cos(w.x + b)`` (Rahimi and Recht
    2007), drawn once, where the authors' code draws pairs of positions at each step. So
    all positions count, and L-BFGS sees one function.

    Attributes:
        features: at least so many; as many as channels where these are more.
        seed: of the features.
    """

    features: int = 64
    seed: int = 0

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Positions:
        """The response itself."""
        counts = jnp.ones(response.shape[:2], response.dtype)
        return Positions(response, counts if guide is None else normalised(guide) ** 2)

    def target(
        self, descriptions: Sequence[Positions], weights: Sequence[float], like: Any
    ) -> Embedding:
        """Of all styles' positions together, each style with its weight."""
        del like
        moments = [_moments(*one) for one in descriptions]
        mean, square = (
            sum(w * m[i] for w, m in zip(weights, moments, strict=True)) for i in (0, 1)
        )
        gamma = 1 / jnp.maximum(2 * (square - jnp.sum(mean**2)), 1e-12)
        embedded = [_embedded(self, *one, gamma) for one in descriptions]
        own = sum(w * e for w, e in zip(weights, embedded, strict=True))
        return Embedding(own, gamma)  # pyright: ignore

    def distance(self, description: Positions, target: Embedding) -> Scalar:
        """``MMD^2``, from 0 to 2."""
        ours = _embedded(self, *description, target.gamma)
        check_same_shape("mean features", ours, target.mean)
        return jnp.sum((ours - target.mean) ** 2)


def _moments(response, counts) -> tuple[jax.Array, jax.Array]:
    """Mean of the responses, and of their squared lengths."""
    part = counts[..., None] / counts.size
    return (part * response).sum((0, 1)), (part * response**2).sum()


def _embedded(kernel: GaussianMMD, response, counts, gamma) -> jax.Array:
    channels = response.shape[-1]
    number = max(kernel.features, channels)
    rng = np.random.default_rng([kernel.seed, channels])
    waves = rng.standard_normal((channels, number)).astype(response.dtype)
    phases = rng.uniform(0, 2 * np.pi, number).astype(response.dtype)
    angles = response.reshape(-1, channels) @ (waves * jnp.sqrt(2 * gamma)) + phases
    return counts.reshape(-1) @ jnp.cos(angles) * (np.sqrt(2 / number) / counts.size)
