"""Scores of a lane by what it was not optimised for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import jax.numpy as jnp
import numpy as np

from nst_jax.features.layout import block
from nst_jax.features.pretrained import AUTO, EMBEDDED, PRETRAINED, locate
from nst_jax.features.rescale import TapParams
from nst_jax.judge import Judge, open_judge
from nst_jax.prepare import Prepared, measured
from nst_jax.prepare_sweep import GroupPlan
from nst_jax.scores.features import gram_errors, mean_score
from nst_jax.scores.filters import random_filter_distance


def judge_of(
    groups: Sequence[GroupPlan], *, earlier: Mapping[str, Any] | None = None
) -> Judge | None:
    """One judge for all lanes, at layers that none of them looks at.

    Args:
        groups: all lanes.
        earlier: what the manifest of a sweep that goes on says of its judge: rows of a
            table compare only if they have the same one.

    Returns:
        None if the earlier judge is not here any more.

    Raises:
        ValueError: if the weights cannot be read.
    """
    seen = {
        layer for group in groups for shape in group.shapes for layer in shape.layers
    }
    if earlier is None:
        return open_judge(AUTO, seen)
    name = earlier["network"]
    here = name in (EMBEDDED, *PRETRAINED) and locate(name)
    return open_judge(name, seen) if here else None


def seen_by(judge: Judge, lanes: Sequence[Prepared]) -> list[TapParams]:
    """The judge's parameters for the pictures of each lane; lanes of the same pictures
    share them.
    """
    found: dict[tuple, TapParams] = {}

    def of(lane: Prepared) -> TapParams:
        pictures, counts = measured(lane)
        key = (*map(id, pictures), *counts)
        if key not in found:
            found[key] = judge.seen_by(pictures, counts=counts)
        return found[key]

    return [of(lane) for lane in lanes]


def score(
    extract: Callable | None,
    params,
    picture: np.ndarray,
    style,
    layers: tuple[str, ...],
) -> dict[str, float]:
    """How far a picture is from the style, 0 to about 1; less is nearer.

    ``held_out`` is the mean Gram error at ``layers``; ``random_filters`` has no part of
    VGG in it. Either is left out where there are no such layers, or the pictures are
    too small.

    Args:
        extract: see ``scores.gram_errors``; None: no network looks.
        params: likewise.
        picture: (h, w, 3) in [0, 1].
        style: (h', w', 3), of any size.
        layers: that were not optimised.
    """
    result, found = jnp.asarray(picture), {}
    least = min(*picture.shape[:2], *style.shape[:2])
    layers = tuple(layer for layer in layers if least >= 2 ** (block(layer) - 1))
    if extract and layers:
        errors = gram_errors(extract, params, result=result, style=style, layers=layers)
        found["held_out"] = mean_score(errors)
    with suppress(ValueError):  # too small
        found["random_filters"] = random_filter_distance(result, style)
    return found
