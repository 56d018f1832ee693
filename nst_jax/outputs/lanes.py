"""What the sheet, the table, the plot and the report are given: a record per lane."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_jax.images.io import load
from nst_jax.images.resize import fit_longer_side

# Outcomes that are shown as trouble. A lane whose loss is not finite is in trouble
# whatever its outcome says.
TROUBLE = ("diverged", "failed", "interrupted", "missing")


class LaneResult(NamedTuple):
    """One lane of a sweep, finished or not.

    Attributes:
        index: number of the lane; lane 7 is in ``lanes/0007``.
        labels: axis name -> short text of the lane's value, every lane with the same
            axes in the same order.
        values: axis name -> the value itself, a number or text.
        picture: float32 ``(h, w, 3)`` in [0, 1], or None: read from ``file``.
        file: path of the result, relative to the sweep's folder, with ``/``.
        terms: losses at the end: ``total``, ``content``, ``style``, ``tv``, and of
            each layer, ``content/conv4_2``; empty if there are none.
        trace: rows ``(iteration, total, content, style)``.
        scores: held-out scores by name; may be empty.
        seconds: the lane's share of the time.
        outcome: code: "finished", "diverged", "missing", ...
        text: the outcome as a sentence.
    """

    index: int
    labels: dict[str, str]
    values: dict[str, float | str]
    picture: np.ndarray | None
    file: str
    terms: dict[str, float]
    trace: Sequence[Sequence[float]] = ()
    scores: Mapping[str, float] = {}
    seconds: float = 0.0
    outcome: str = "finished"
    text: str = ""


def in_order(lanes: Sequence[LaneResult]) -> list[LaneResult]:
    """Lanes by their numbers.

    Raises:
        ValueError: if there are none, a number comes twice, or their axes differ.
    """
    if not lanes:
        raise ValueError("the sweep has no lanes to show")
    ordered = sorted(lanes, key=lambda lane: lane.index)
    for before, lane in itertools.pairwise(ordered):
        if lane.index == before.index:
            raise ValueError(f"lane {lane.index} is given twice")
        if list(lane.labels) != list(before.labels):
            raise ValueError(
                f"lane {lane.index} has the axes {', '.join(lane.labels)}, lane "
                f"{before.index} has {', '.join(before.labels)}"
            )
    return ordered


def axes_of(lanes: Sequence[LaneResult]) -> dict[str, tuple[str, ...]]:
    """Axis name -> its different labels, in the order of the lanes."""
    names = lanes[0].labels
    return {
        name: tuple(dict.fromkeys(lane.labels[name] for lane in lanes))
        for name in names
    }


def name_of(lane: LaneResult) -> str:
    """The lane's number as its folder has it: "0007"."""
    return f"{lane.index:04d}"


def trouble(lane: LaneResult) -> str | None:
    """What is wrong with a lane, in a word, or None."""
    if lane.outcome in TROUBLE:
        return lane.outcome
    total = lane.terms.get("total")
    if total is not None and not math.isfinite(total):
        return "diverged"
    return None


def pixels_of(lane: LaneResult, folder: Path) -> np.ndarray | None:
    """The lane's picture, from its record or else from its file.

    None if there is neither, if the file cannot be read, or if the picture is not
    finite: one broken lane does not keep the others from being shown.
    """
    pixels = lane.picture
    if pixels is None:
        try:
            pixels = load(folder / lane.file).pixels
        except (ValueError, OSError):
            return None
    if not np.isfinite(pixels).all():
        return None
    return np.clip(pixels, 0.0, 1.0).astype(np.float32)


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture with a longer side of at most ``side`` pixels; larger ones shrink."""
    if max(pixels.shape[:2]) <= side:
        return pixels
    return fit_longer_side(pixels, side)
