"""The Gram matrix of a layer's responses (Gatys et al. 2016, eq. 3 to 5)."""

from dataclasses import dataclass

from nst_jax.objective.losses import gram_matrix, style_loss
from nst_jax.objective.statistics.base import Statistic, spread
from nst_jax.types import FeatureMap, Gram, Guide, Scalar


@dataclass(frozen=True)
class GramMatrix(Statistic):
    """``G = F^T F / M``, compared by the mean squared difference of its entries."""

    def describe(self, response: FeatureMap, guide: Guide | None = None) -> Gram:
        """``(c, c)``; with a guide, its guided Gram matrix."""
        return gram_matrix(spread(response, guide))

    def distance(self, description: Gram, target: Gram) -> Scalar:
        """Mean of ``(G - A)^2``; cf. eq. 4."""
        return style_loss(description, target)
