"""What every style statistic has in common.

A statistic describes a response to a picture and says how far one description is from
that of the style. It is hashable by value and holds no arrays, so that a compiled
program is found again; what it describes is traced.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from nst_jax.types import FeatureMap, Features, Guide, Scalar


class Statistic(ABC):
    """To be subclassed as a frozen dataclass: ``describe`` and ``distance`` at least.

    ``target`` and ``views`` have defaults that most statistics keep.
    """

    # Whether ``describe`` can count some positions more than others.
    takes_guide: ClassVar[bool] = True

    def views(self, responses: Features) -> Mapping[str, Any]:
        """What ``describe`` is given at each style layer: the layer's own response."""
        return responses

    @abstractmethod
    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Any:
        """The description, a pytree of arrays, of a response ``(h, w, c)``.

        Args:
            response: of one layer (or what ``views`` makes of several).
            guide: ``(h, w)``, not negative: each position counts as its square, as in
                ``sum_i T_i^2 F_i F_i^T / sum_i T_i^2`` (Gatys et al. 2017, with their
                code's T divided by the root of its mean square). None: all count alike.
        """

    @abstractmethod
    def distance(self, description: Any, target: Any) -> Scalar:
        """How far a description is from what ``target`` gave: 0 if it is the style's.

        Raises:
            ValueError: if their shapes do not fit.
        """

    def target(
        self, descriptions: Sequence[Any], weights: Sequence[float], like: Any
    ) -> Any:
        """What ``distance`` compares with: descriptions of styles, blended.

        Args:
            descriptions: of one style or several.
            weights: of the styles; their sum is 1.
            like: shapes of the description that will be compared.

        Returns:
            Their weighted mean.
        """
        del like
        return blend(descriptions, weights)


def blend(trees: Sequence[Any], weights: Sequence[float]) -> Any:
    """Weighted mean of pytrees of arrays; of a single one, that itself."""
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(
        lambda *leaves: sum(w * x for w, x in zip(weights, leaves, strict=True)), *trees
    )


def spread(response: FeatureMap, guide: Guide | None) -> FeatureMap:
    """The response times ``guide / sqrt(mean guide^2)``; itself without a guide.

    So means over all positions of products of it are means weighted by the guide's
    square. A guide that is 0 everywhere gives zeros.
    """
    if guide is None:
        return response
    return response * normalised(guide)[..., None]


def normalised(guide: Guide) -> Guide:
    """The guide with a mean square of 1; zeros stay zeros."""
    square = jnp.mean(guide**2)
    return guide * jax.lax.rsqrt(jnp.where(square > 0, square, 1))
