"""Statistics of whole distributions: responses are projected, sorted and compared.

In one dimension the best transport pairs the sorted values (Risser et al. 2017, Heitz
et al. 2021). XLA sorts slowly on CPUs, so a layer sorts about as many values as it has
positions, whatever the number of directions: where there are many positions each
direction looks at positions of its own, and together they look at all.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.objective.losses import check_same_shape
from nst_jax.objective.statistics.base import Statistic
from nst_jax.types import FeatureMap, Guide, Scalar


@dataclass(frozen=True)
class Sorted(Statistic):
    """What the statistics of sorted values have in common.

    Attributes:
        least: positions that a direction looks at, where there are as many.
        seed: of directions and positions.
    """

    takes_guide: ClassVar[bool] = False
    least: int = 1024
    seed: int = 0

    @abstractmethod
    def directions(self, channels: int) -> np.ndarray:
        """Unit vectors ``(d, channels)``."""

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> jax.Array:
        """Sorted projections ``(d, n)``, smallest first.

        Raises:
            ValueError: if there is a guide: sorted values belong to no position.
        """
        if guide is not None:
            raise ValueError(f"{type(self).__name__} takes no guide")
        channels = response.shape[-1]
        directions = self.directions(channels).astype(response.dtype)
        positions = response.reshape(-1, channels)
        count = len(positions)
        each = min(count, max(self.least, -(-count // len(directions))))
        if each == count:
            values = jnp.matmul(directions, positions.T, precision="highest")
        else:
            places = _places(count, len(directions) * each, self.seed)
            own = positions[places].reshape(len(directions), each, channels)
            values = jnp.einsum("dc,dnc->dn", directions, own, precision="highest")
        return ordered(values)

    def target(
        self, descriptions: Sequence[jax.Array], weights: Sequence[float], like: Any
    ) -> jax.Array:
        """The mean of the sorted values: between distributions, not a mixture of them.

        It is the barycentre of the styles' projections. Lists of another length are
        resampled.
        """
        same = [_resampled(one, like.shape[1]) for one in descriptions]
        return sum(w * one for w, one in zip(weights, same, strict=True))  # pyright: ignore

    def distance(self, description: jax.Array, target: jax.Array) -> Scalar:
        """Mean squared difference of the sorted values."""
        check_same_shape("sorted values", description, target)
        return jnp.mean((description - target) ** 2)


@dataclass(frozen=True)
class SlicedWasserstein(Sorted):
    """Sliced Wasserstein distance (Heitz et al. 2021, eq. 4), mean over directions.

    Departure: the directions are drawn once, not anew at each step, so that L-BFGS
    sees one function.

    Attributes:
        most: directions, at most; as many as channels where there are fewer.
    """

    most: int = 64

    def directions(self, channels: int) -> np.ndarray:
        """Evenly distributed on the sphere."""
        rng = np.random.default_rng([self.seed, channels])
        drawn = rng.standard_normal((min(channels, self.most), channels))
        return drawn / np.sqrt((drawn**2).sum(1, keepdims=True))


@dataclass(frozen=True)
class Histogram(Sorted):
    """The histogram of each channel (Risser et al. 2017, eq. 6), by exact transport.

    The response is compared with itself remapped to the style's histogram; the remapped
    one is constant in the gradient, as in the paper.
    """

    def directions(self, channels: int) -> np.ndarray:
        """The channels themselves."""
        return np.eye(channels)


def _places(count: int, length: int, seed: int) -> np.ndarray:
    """So many numbers of positions: all of them once in random order, then again."""
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.resize(order, length).astype(np.int32)


@jax.custom_jvp
def ordered(values: jax.Array) -> jax.Array:
    """Each row of ``(d, n)`` in growing order; its gradient goes back to the places.

    Whole numbers are sorted, with the place in their last bits: XLA sorts them several
    times faster than floats on a CPU. So values that agree to about four digits may
    change places.
    """
    return _ordered(values)[0]


@ordered.defjvp
def _ordered_jvp(primals, tangents):
    found, places = _ordered(*primals)
    return found, jnp.take_along_axis(tangents[0], places, axis=1)


def _ordered(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    count = values.shape[1]
    mask = np.int32(2 ** (count - 1).bit_length() - 1)
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32)
    # As whole numbers, negative floats are in reverse order.
    bits = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    keys = (bits & ~mask) | jnp.arange(count, dtype=jnp.int32)
    places = jnp.sort(keys, axis=1, stable=False) & mask
    return jnp.take_along_axis(values, places, axis=1), places


def _resampled(values: jax.Array, length: int) -> jax.Array:
    """Sorted rows as so many values at equal steps of probability."""
    count = values.shape[1]
    if count == length:
        return values
    at = (jnp.arange(length) + 0.5) / length
    known = (jnp.arange(count) + 0.5) / count
    return jax.vmap(lambda row: jnp.interp(at, known, row))(values)
