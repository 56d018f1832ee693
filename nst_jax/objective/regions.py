"""Style by regions: each region of the result is compared with its own of the styles.

Gatys et al. 2017, section 4: ``E_l = sum_r lambda_r distance(D_l(T_r), A_lr)``, where a
guide T_r says how far each position belongs to region r, and D_l(T_r) describes the
responses weighted by it (``statistics``). As in the authors' code, a guide has a mean
square of 1, so that a region's target does not depend on its area, and lambda_r is
``1 / regions`` times the region's own weight.

Guides and weights are traced: other masks of as many regions compile nothing anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.types import Image, Scalar

LEAST = 1e-3  # of a guide: a region that is nowhere more than this is not there


class Regions(NamedTuple):
    """The regions of the picture that is made.

    Attributes:
        guides: layer -> ``(regions, h', w')`` in [0, 1]; for all layers that may be
            looked at.
        weights: of the regions against each other; 1 is the ordinary one.
        kept: ``(h, w)`` in [0, 1]: how far the content stays as it is; None: nowhere.
    """

    guides: Mapping[str, np.ndarray]
    weights: Sequence[float]
    kept: np.ndarray | None = None


class Guided(NamedTuple):
    """What the objective needs of regions: a pytree of arrays.

    Attributes:
        guides: layer -> ``(regions, h', w')``.
        weights: layer -> ``(regions,)``, the lambda_r; 0 where a region is left out.
        kept: ``(h, w)`` or None.
        content: ``(h, w, 3)``, for ``kept``; or None.
    """

    guides: dict[str, jax.Array]
    weights: dict[str, jax.Array]
    kept: jax.Array | None = None
    content: Image | None = None


def guided(
    regions: Regions, in_styles: Mapping[str, np.ndarray], content: Image
) -> Guided:
    """Guides and weights of the layers, for the objective.

    A region that vanishes at a layer, in the content or in all styles, is left out
    there: its weight is 0. Its guide is 1 everywhere, so that all stays finite.

    Args:
        regions: of the content.
        in_styles: style layer -> ``(regions,)``: whether any style has the region.
        content: ``(h, w, 3)``.
    """
    guides, weights = {}, {}
    for layer, others in in_styles.items():
        there = present(regions.guides[layer]) & others
        lambdas = np.asarray(regions.weights, np.float32) / len(regions.weights)
        guides[layer] = jnp.asarray(filled(regions.guides[layer], there))
        weights[layer] = jnp.asarray(np.where(there, lambdas, 0), jnp.float32)
    kept = None if regions.kept is None else jnp.asarray(regions.kept, jnp.float32)
    return Guided(guides, weights, kept, None if kept is None else content)


def present(guides: np.ndarray) -> np.ndarray:
    """Which of ``(regions, h', w')`` are there at all: ``(regions,)`` of bools."""
    return np.asarray(guides).max(axis=(1, 2), initial=0.0) > LEAST


def filled(guides: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The guides, with ones for those regions that are not there."""
    return np.where(there[:, None, None], guides, 1).astype(np.float32)


def regions_loss(
    statistic, view: Any, targets: Sequence, guides: jax.Array, weights: jax.Array
) -> Scalar:
    """``sum_r lambda_r distance(D(T_r), A_r)`` of one layer.

    Args:
        statistic: of ``statistics``.
        view: the layer's response, as the statistic's ``views`` has it.
        targets: of the regions.
        guides: ``(regions, h', w')``.
        weights: ``(regions,)``.
    """
    losses = [
        weights[r] * statistic.distance(statistic.describe(view, guides[r]), target)
        for r, target in enumerate(targets)
    ]
    return sum(losses[1:], losses[0])


def composed(picture: Image, regions: Guided | None) -> Image:
    """The picture with the content where it is kept: what the network is shown.

    So no loss reaches the pixels there, and what lies beside them is made to fit.
    Soft edges are mixed in the gamma-encoded values of sRGB, as peers do.
    """
    if regions is None or regions.kept is None or regions.content is None:
        return picture
    kept = regions.kept[..., None]
    return kept * regions.content + (1 - kept) * picture


def shown(picture: np.ndarray, regions: Guided | None) -> np.ndarray:
    """``composed`` of a picture that is handed out, as NumPy has it."""
    if regions is None or regions.kept is None:
        return picture
    return np.asarray(composed(jnp.asarray(picture), regions))
