"""Which lane of a sweep goes where on which sheet, and what is written beside it.

Two axes are rows and columns, as in Gatys et al. 2015, Figure 3. Further axes give a
sheet per combination. What is no grid, or has one axis, is wrapped.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nst_jax.outputs.lanes import LaneResult, axes_of, name_of

Grid = Mapping[str, Sequence[str]]
Cell = tuple[dict[str, str], LaneResult | None]
WIDTH_TO_HEIGHT = 1.5  # of a wrapped sheet, in cells
ONE_ROW = 6  # cells that are not wrapped


class Page(NamedTuple):
    """One sheet before it is drawn.

    Attributes:
        title: settings that all its lanes share; may be empty.
        cells: rows of lanes, the last may be short; None where a lane is missing.
        captions: text below each cell, in the same rows; no rows: none.
        rows: axis name and a label for each row, or None.
        columns: likewise for each column.
    """

    title: str
    cells: list[list[LaneResult | None]]
    captions: list[list[str]]
    rows: tuple[str, tuple[str, ...]] | None = None
    columns: tuple[str, tuple[str, ...]] | None = None


def pages(lanes: Sequence[LaneResult], grid: Grid | None) -> list[Page]:
    """The sheets of a sweep.

    Args:
        lanes: by their numbers.
        grid: of a grid, axis name -> all its labels in order; None: no grid.

    Raises:
        ValueError: if a lane is not in the grid, or two are at the same place.
    """
    if grid is None:
        return [_wrapped([(lane.labels, lane) for lane in lanes], axes_of(lanes))]
    at = _by_labels(lanes, grid)
    varied = [name for name in grid if len(grid[name]) > 1]
    if len(varied) < 2:
        return [_wrapped([(c, at.get(_place(c, grid))) for c in _all(grid)], grid)]
    rows, columns, *others = varied
    return [
        _matrix(
            {**grid, **{name: (choice[name],) for name in choice}}, rows, columns, at
        )
        for choice in _all({name: grid[name] for name in others})
    ]


def settings(labels: Mapping[str, str], names: Sequence[str], *, between: str) -> str:
    """Some of a lane's settings in words: "alpha 1e-3, seed 0"."""
    return between.join(f"{name} {labels[name]}" for name in names)


def _all(grid: Grid) -> list[dict[str, str]]:
    """Every combination of labels; the last axis changes first."""
    combinations = itertools.product(*grid.values())
    return [dict(zip(grid, labels, strict=True)) for labels in combinations]


def _place(labels: Mapping[str, str], grid: Grid) -> tuple[str, ...]:
    return tuple(labels[name] for name in grid)


def _by_labels(
    lanes: Sequence[LaneResult], grid: Grid
) -> dict[tuple[str, ...], LaneResult]:
    at = {}
    for lane in lanes:
        if set(lane.labels) != set(grid) or any(
            label not in grid[name] for name, label in lane.labels.items()
        ):
            raise ValueError(f"lane {lane.index} is not in the grid: {lane.labels}")
        other = at.setdefault(_place(lane.labels, grid), lane)
        if other is not lane:
            raise ValueError(f"lanes {other.index} and {lane.index} are the same")
    return at


def _shared(grid: Grid) -> str:
    """The settings that do not vary."""
    same = {name: labels[0] for name, labels in grid.items() if len(labels) == 1}
    return settings(same, list(same), between=", ")


def _matrix(grid: Grid, rows: str, columns: str, at) -> Page:
    cells: list[list[LaneResult | None]] = []
    for row in grid[rows]:
        line = _all({**grid, rows: (row,)})
        cells.append([at.get(_place(labels, grid)) for labels in line])
    return Page(
        _shared(grid),
        cells,
        [],
        (rows, tuple(grid[rows])),
        (columns, tuple(grid[columns])),
    )


def _wrapped(cells: Sequence[Cell], grid: Grid) -> Page:
    varied = [name for name in grid if len(grid[name]) > 1]
    texts = []
    for labels, lane in cells:
        # Lanes that differ in nothing are told apart by their number.
        number = f"lane {name_of(lane)}" if lane else ""
        texts.append(settings(labels, varied, between="\n") or number)
    width = _columns(len(cells))
    lanes = [lane for _, lane in cells]
    return Page(_shared(grid), _rows(lanes, width), _rows(texts, width))


def _columns(count: int) -> int:
    if count <= ONE_ROW:
        return count
    rows = math.ceil(count / math.ceil(math.sqrt(WIDTH_TO_HEIGHT * count)))
    return math.ceil(count / rows)


def _rows(items: Sequence, width: int) -> list[list]:
    return [list(items[i : i + width]) for i in range(0, len(items), width)]
