"""The folder of a sweep: a folder for each lane, and what shows all of them.

``lanes/0007`` holds the lane's config.yaml, result.png and trace.csv, and done.json,
which is written last: a lane without it is not done, whatever else is there.
"""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.images.encode import PLAIN, Encoding
from nst_jax.images.io import WRITABLE, save
from nst_jax.outputs.files import OTHER_PICTURES, write_bytes, write_text
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.manifest import to_json
from nst_jax.outputs.pareto import pareto_plot
from nst_jax.outputs.report import CURVE_POINTS, CURVES, report, thin
from nst_jax.outputs.run_folder import CONFIG, MANIFEST, RESULT, TRACE
from nst_jax.outputs.sheet import sheets
from nst_jax.outputs.sheet_pages import Grid
from nst_jax.outputs.table import to_csv
from nst_jax.outputs.trace import to_csv as trace_csv
from nst_jax.solve.loop import Record

LANES, DONE = "lanes", "done.json"
TABLE, PARETO, REPORT = "table.csv", "pareto.png", "report.html"
LANE_FILES = (DONE, CONFIG, RESULT, TRACE)
PICTURES = (*WRITABLE, *OTHER_PICTURES)  # endings that are no folder's
# Lanes that ended so are run again when the sweep is resumed.
NOT_DONE = ("interrupted", "missing")


def lane_file(index: int) -> str:
    """Where the picture of a lane is, relative to the folder of the sweep."""
    return f"{LANES}/{index:04d}/{RESULT}"


# --- a lane -----------------------------------------------------------------------


def save_lane(
    folder: Path,
    lane: LaneResult,
    records: Sequence[Record],
    *,
    config: str,
    settings: str,
    digest: str,
    alpha: np.ndarray | None = None,
    encoding: Encoding = PLAIN,
) -> None:
    """Write the folder of a lane.

    Args:
        folder: of the sweep.
        lane: with its picture.
        records: of the whole lane.
        config: resolved, as YAML.
        settings: text for the picture's metadata.
        digest: of all that the lane was made from; ``saved_lane`` asks for it.
        alpha: the content's alpha channel, or None.
        encoding: of its picture.

    Raises:
        ValueError: naming the file that cannot be written.
    """
    place = _make(folder, lane.index)
    (place / DONE).unlink(missing_ok=True)
    assert lane.picture is not None
    # A lane that diverged may have anything in its picture.
    picture = np.nan_to_num(lane.picture, nan=0.5, posinf=1.0, neginf=0.0)
    write_text(place / CONFIG, config)
    save(place / RESULT, picture, alpha=alpha, settings=settings, encoding=encoding)
    write_text(place / TRACE, trace_csv(records))
    entry = {
        "lane": lane.index,
        "digest": digest,
        "labels": lane.labels,
        "values": lane.values,
        "terms": _finite_or_text(lane.terms),
        "scores": _finite_or_text(lane.scores),
        "seconds": round(lane.seconds, 4),
        "evaluations": records[-1].evaluations,
        "outcome": {"code": lane.outcome, "text": lane.text},
    }
    write_text(place / DONE, to_json(entry))


def saved_lane(folder: Path, index: int, *, digest: str) -> LaneResult | None:
    """A lane that is done and whole; None if it is not, or was made from other things.

    Its picture is left in its file.
    """
    place = folder / LANES / f"{index:04d}"
    try:
        entry = json.loads((place / DONE).read_text(encoding="utf-8"))
        outcome = entry["outcome"]
        if entry["digest"] != digest or outcome["code"] in NOT_DONE:
            return None
        if not all((place / name).is_file() for name in LANE_FILES):
            return None
        return LaneResult(
            index,
            entry["labels"],
            entry["values"],
            None,
            lane_file(index),
            _numbers(entry["terms"]),
            _curve(place / TRACE),
            _numbers(entry["scores"]),
            float(entry["seconds"]),
            outcome["code"],
            outcome["text"],
        )
    # Half written, or by another program: the lane is made anew.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def curve(records: Sequence[Record]) -> list[tuple[float, ...]]:
    """Rows ``(iteration, total, content, style)``, no more than the report shows."""
    return [
        (r.iteration, *(getattr(r.terms, name) for name in CURVES[1:]))
        for r in (records[i] for i in thin(len(records), CURVE_POINTS))
    ]


def _curve(path: Path) -> list[tuple[float, ...]]:
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    kept = [rows[i] for i in thin(len(rows), CURVE_POINTS)]
    return [tuple(float(row[name]) for name in CURVES) for row in kept]


def _make(folder: Path, index: int) -> Path:
    place = folder / LANES / f"{index:04d}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{place}: cannot be made ({error.strerror})") from error
    return place


def _finite_or_text(numbers: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no word for what is not finite."""
    return {
        name: float(number) if math.isfinite(number) else str(number)
        for name, number in numbers.items()
    }


def _numbers(entries: Mapping[str, float | str]) -> dict[str, float]:
    return {name: float(entry) for name, entry in entries.items()}


# --- all lanes --------------------------------------------------------------------


def write_overview(
    folder: Path,
    lanes: Sequence[LaneResult],
    *,
    grid: Grid | None,
    settings: str,
    facts: Mapping[str, str],
    title: str,
) -> list[Path]:
    """Write the sheets, the table, the plot and the report.

    A file that cannot be written does not keep the others from it.

    Args:
        folder: of the sweep.
        lanes: all of them, done or not.
        grid: see ``sheets``.
        settings: see ``report``.
        facts: see ``report``.
        title: see ``report``.

    Returns:
        The paths of the sheets.

    Raises:
        ValueError: naming the first file that could not be written.
    """
    drawn = sheets(lanes, folder, grid=grid)
    names = [*drawn, TABLE, PARETO]
    writers: list[Callable[[], None]] = [
        *(partial(write_bytes, folder / name, data) for name, data in drawn.items()),
        lambda: write_text(folder / TABLE, to_csv(lanes)),
        lambda: write_bytes(folder / PARETO, pareto_plot(lanes)),
        lambda: write_text(
            folder / REPORT,
            report(
                lanes, folder, title=title, settings=settings, facts=facts, files=names
            ),
        ),
    ]
    failures = []
    for write in writers:
        try:
            write()
        except ValueError as error:
            failures.append(error)
    for path in set(_sheets(folder)) - {folder / name for name in drawn}:
        path.unlink(missing_ok=True)
    if failures:
        raise failures[0]
    return [folder / name for name in drawn]


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write manifest.json.

    Raises:
        ValueError: if it cannot be written.
    """
    write_text(folder / MANIFEST, to_json(manifest))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """manifest.json, or None if there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def check_inputs_survive(folder: Path, inputs: Sequence[str], *, clear: bool) -> None:
    """Refuse a folder in which the sweep would overwrite or remove its own inputs.

    Args:
        folder: of the sweep.
        inputs: paths of files that the sweep reads.
        clear: whether what an earlier sweep left there will be removed.

    Raises:
        ValueError: naming the file.
    """
    ours = {path.resolve() for path in [*_written(folder), *_sheets(folder)]}
    if clear:
        ours |= {path.resolve() for path in _lane_files(folder)}
    for path in inputs:
        if Path(path).resolve() in ours:
            raise ValueError(
                f"{path}: the sweep reads this file and would overwrite it; choose "
                "another --out"
            )


def clear(folder: Path) -> None:
    """Remove what an earlier sweep left; files of others stay.

    Raises:
        ValueError: if something cannot be removed.
    """
    try:
        for path in [*_written(folder), *_sheets(folder), *_lane_files(folder)]:
            path.unlink(missing_ok=True)
        for place in [*(folder / LANES).glob("[0-9]*"), folder / LANES]:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
    except OSError as error:
        raise ValueError(f"{folder}: cannot be cleared ({error.strerror})") from error


def _written(folder: Path) -> list[Path]:
    return [folder / name for name in (TABLE, PARETO, REPORT, MANIFEST, CONFIG)]


def _sheets(folder: Path) -> list[Path]:
    return [folder / "sheet.png", *folder.glob("sheet_[0-9]*.png")]


def _lane_files(folder: Path) -> list[Path]:
    places = (folder / LANES).glob("[0-9]*")
    return [place / name for place in places for name in LANE_FILES]
