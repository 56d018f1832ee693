"""What a sweep gives back: pictures, a table, the records of each lane."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_jax.config import Config
from nst_jax.outputs.lanes import LaneResult, in_order, pixels_of
from nst_jax.outputs.sheet import sheets
from nst_jax.outputs.sheet_pages import Grid
from nst_jax.outputs.table import layer_columns, score_columns, term_columns, to_csv
from nst_jax.solve.loop import Outcome, Record

Row = dict[str, float | str | None]


class Table(list[Row]):
    """A row per lane: ``lane``, a key per axis, the losses, the scores, the outcome.

    A list of dicts, as pandas and others take it.
    """

    def __init__(self, lanes: Sequence[LaneResult]):
        lanes = in_order(lanes)
        self._lanes = lanes
        losses = [*term_columns(lanes), *layer_columns(lanes)]
        scores = score_columns(lanes)
        super().__init__(_row(lane, losses, scores) for lane in lanes)

    def to_csv(self) -> str:
        """The table as table.csv has it."""
        return to_csv(self._lanes)


def _row(lane: LaneResult, losses: Sequence[str], scores: Sequence[str]) -> Row:
    numbers = {name: lane.terms.get(name) for name in losses}
    numbers |= {name: lane.scores.get(name) for name in scores}
    last = {"seconds": lane.seconds, "outcome": lane.outcome}
    taken = {"lane", *numbers, *last}
    axes = {
        f"axis/{name}" if name in taken else name: lane.values.get(name, label)
        for name, label in lane.labels.items()
    }
    return {"lane": lane.index, **axes, **numbers, **last}


class SweepResult(NamedTuple):
    """What a sweep gives back. All lists are in the order of the lanes.

    Attributes:
        lanes: of this process, and of the others if it is the first.
        records: of each lane, one per iteration; empty for a lane that was not run by
            this call, and for all if they were not asked for.
        configs: of each lane; resolved if it was run by this call.
        grid: of a grid, axis name -> labels; else None.
        outcome: why the sweep ended: "finished" or "interrupted".
        manifest: versions, device, weights, seconds.
        folder: of the sweep, or None.
    """

    lanes: list[LaneResult]
    records: list[list[Record]]
    configs: list[Config]
    grid: Grid | None
    outcome: Outcome
    manifest: dict[str, Any]
    folder: Path | None = None

    @property
    def pictures(self) -> list[np.ndarray | None]:
        """float32 (h, w, 3) in [0, 1] for each lane; None where there is none."""
        return [pixels_of(lane, self.folder or Path()) for lane in self.lanes]

    @property
    def table(self) -> Table:
        """A row per lane."""
        return Table(self.lanes)

    def sheet(self) -> bytes:
        """The first sheet as PNG: the pictures side by side, labelled."""
        drawn = sheets(self.lanes, self.folder or Path(), grid=self.grid)
        return next(iter(drawn.values()))

    def __repr__(self) -> str:
        """Short: a notebook shows the last value of a cell."""
        count = len(self.lanes)
        where = f" in {self.folder}" if self.folder else ""
        lanes = f"{count} lane{'s' if count != 1 else ''}"
        return f"<nst_jax.SweepResult {lanes}: {outcomes_text(self.lanes)}{where}>"

    def _repr_png_(self) -> bytes:
        """The sheet, for notebooks."""
        return self.sheet()


def outcomes_text(lanes: Sequence[LaneResult]) -> str:
    """How the lanes ended: "10 finished, 2 diverged"."""
    counts = Counter(lane.outcome for lane in lanes)
    return ", ".join(f"{count} {code}" for code, count in counts.items())
