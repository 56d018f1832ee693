"""Scores of a lane by what it was not optimised for."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import jax.numpy as jnp
import numpy as np

from nst_jax.prepare_sweep import GroupPlan
from nst_jax.scores.features import HELD_OUT, gram_errors, mean_score
from nst_jax.scores.filters import random_filter_distance


def held_out_layers(groups: Sequence[GroupPlan]) -> tuple[str, ...]:
    """Layers that no lane looks at, though all its networks have them.

    The same for all lanes, so that their scores can be compared.
    """
    seen = {
        layer for group in groups for shape in group.shapes for layer in shape.layers
    }
    return tuple(
        layer
        for layer in HELD_OUT
        if layer not in seen
        and all(layer in group.loaded.weights.params for group in groups)
    )


def score(
    extract: Callable,
    params,
    picture: np.ndarray,
    style,
    layers: tuple[str, ...],
) -> dict[str, float]:
    """How far a picture is from the style, 0 to about 1; less is nearer.

    Costs about as much as one step of the lane. ``held_out`` is the mean Gram error at
    ``layers``; ``random_filters`` has no part of VGG in it. Either is left out where
    there are no such layers, or the pictures are too small.

    Args:
        extract: see ``scores.gram_errors``.
        params: likewise.
        picture: (h, w, 3) in [0, 1].
        style: (h', w', 3), of any size.
        layers: that were not optimised.
    """
    result, found = jnp.asarray(picture), {}
    if layers:
        errors = gram_errors(extract, params, result=result, style=style, layers=layers)
        found["held_out"] = mean_score(errors)
    with suppress(ValueError):  # too small
        found["random_filters"] = random_filter_distance(result, style)
    return found
