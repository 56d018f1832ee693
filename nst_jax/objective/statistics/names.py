"""The statistics by the names that a config has for them."""

from nst_jax.objective.presets import check_style_loss
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.statistics.mmd import GaussianMMD, LinearMMD, PolynomialMMD
from nst_jax.objective.statistics.moments import (
    GramChain,
    MeanStd,
    ShiftedGram,
    Together,
    Wasserstein,
)
from nst_jax.objective.statistics.transport import Histogram, SlicedWasserstein

# Galerne et al. 2024: 1e3 for Gram matrices, 1e4 for means and deviations.
SPST_RATIO = 10.0


def make_statistic(name: str, *, layers: tuple[str, ...]) -> Statistic:
    """The statistic of that name.

    Args:
        name: one of ``presets.STYLE_LOSSES``.
        layers: style layers, from shallow to deep.

    Raises:
        ValueError: if there is none; lists those there are.
    """
    made: dict[str, Statistic] = {
        "gram": GramMatrix(),
        "gram-shifted": ShiftedGram(),
        "gram-chain": GramChain(layers),
        "mean-std": MeanStd(),
        "mean-std-gram": Together(((GramMatrix(), 1.0), (MeanStd(), SPST_RATIO))),
        "spst": Together(((GramMatrix(), 1.0), (MeanStd(True), SPST_RATIO))),
        "wasserstein": Wasserstein(),
        "sliced-wasserstein": SlicedWasserstein(),
        "histogram": Together(((GramMatrix(), 1.0), (Histogram(), 1.0))),
        "mmd-linear": LinearMMD(),
        "mmd-polynomial": PolynomialMMD(),
        "mmd-gaussian": GaussianMMD(),
    }
    check_style_loss(name)
    return made[name]
