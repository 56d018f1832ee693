"""table.csv: a row per lane of a sweep."""

import csv
import io
from collections.abc import Sequence

from nst_jax.outputs.lanes import LaneResult, in_order, name_of
from nst_jax.outputs.trace import TERMS


def layer_columns(lanes: Sequence[LaneResult]) -> list[str]:
    """Layers that any lane has a loss of: content first, then style, by depth."""
    return sorted({name for lane in lanes for name in lane.terms if "/" in name})


def term_columns(lanes: Sequence[LaneResult]) -> list[str]:
    """The objective and its terms; ``photorealism`` if any lane has it."""
    more = [name for lane in lanes for name in lane.terms if "/" not in name]
    return list(dict.fromkeys([*TERMS, *more]))


def score_columns(lanes: Sequence[LaneResult]) -> list[str]:
    """Scores that any lane has, in the order of their first appearance."""
    return list(dict.fromkeys(name for lane in lanes for name in lane.scores))


def axis_columns(lanes: Sequence[LaneResult]) -> list[str]:
    """A column per axis by its name; ``axis/tv`` where another column is called so."""
    taken = {"lane", *_after(lanes)}
    return [f"axis/{name}" if name in taken else name for name in lanes[0].labels]


def to_csv(lanes: Sequence[LaneResult]) -> str:
    """The sweep as CSV text with a header.

    Columns: ``lane``; a column per axis by its name; ``total, content, style, tv``;
    a column per layer and per score; ``seconds, outcome``. An axis of the same name
    as a later column, such as ``tv``, is called ``axis/tv``. What a lane does not
    have is left empty.

    Raises:
        ValueError: if there are no lanes or they do not fit together.
    """
    lanes = in_order(lanes)
    names, scores = _loss_columns(lanes), score_columns(lanes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lane", *axis_columns(lanes), *_after(lanes)])
    for lane in lanes:
        values = [lane.values.get(name, label) for name, label in lane.labels.items()]
        losses = [lane.terms.get(name, "") for name in names]
        judged = [lane.scores.get(name, "") for name in scores]
        seconds = f"{lane.seconds:.4f}"
        writer.writerow(
            [name_of(lane), *values, *losses, *judged, seconds, lane.outcome]
        )
    return text.getvalue()


def _loss_columns(lanes: Sequence[LaneResult]) -> list[str]:
    return [*term_columns(lanes), *layer_columns(lanes)]


def _after(lanes: Sequence[LaneResult]) -> list[str]:
    """The columns that follow those of the axes."""
    return [*_loss_columns(lanes), *score_columns(lanes), "seconds", "outcome"]
