"""The folder of a sweep: lanes that are whole or not, and what shows them all."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from nst_jax.outputs import sweep_folder
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.sweep_folder import (
    check_inputs_survive,
    clear,
    curve,
    read_manifest,
    save_lane,
    saved_lane,
    write_manifest,
    write_overview,
)
from nst_jax.solve.loop import Outcome, Record
from nst_jax.types import LossTerms


def record(iteration: int, total: float = 1.0, **more) -> Record:
    terms = LossTerms(total, 2.0, 3.0, 4.0, {"conv3_1": 2.0}, {"conv1_1": 3.0})
    return Record(iteration, iteration + 1, 0.1 * iteration, 8, terms, **more)  # pyright: ignore


def lane(index: int = 7, outcome: str = "finished", total: float = 1.0) -> LaneResult:
    records = records_of(total)
    picture = np.full((20, 24, 3), 0.25, np.float32)
    return LaneResult(
        index,
        {"alpha": f"{index}e-3"},
        {"alpha": index / 1000},
        picture,
        sweep_folder.lane_file(index),
        {"total": total, "content": 2.0, "style": 3.0, "tv": 4.0},
        curve(records),
        {"held_out": 0.5},
        1.25,
        outcome,
        "it is over",
    )


def records_of(total: float = 1.0) -> list[Record]:
    end = Outcome("finished", "it is over")
    return [record(0, 9.0), record(1, 5.0), record(2, total, outcome=end)]


def save(folder, one: LaneResult, **more) -> None:
    options = {"config": "size: 8\n", "settings": "size: 8", "digest": "abc", **more}
    save_lane(folder, one, records_of(one.terms["total"]), **options)


def read(folder, index: int = 7, digest: str = "abc"):
    return saved_lane(folder, index, digest=digest)


# --- a lane -----------------------------------------------------------------------


def test_a_lane_comes_back_as_it_was_but_for_its_picture(tmp_path):
    save(tmp_path, lane())
    assert read(tmp_path) == lane()._replace(picture=None)
    place = tmp_path / "lanes" / "0007"
    assert {path.name for path in place.iterdir()} == {
        "config.yaml",
        "done.json",
        "result.png",
        "trace.csv",
    }
    assert (np.asarray(Image.open(place / "result.png")) == 64).all()
    rows = list(csv.DictReader((place / "trace.csv").read_text().splitlines()))
    assert [float(row["total"]) for row in rows] == [9.0, 5.0, 1.0]


@pytest.mark.parametrize("name", sweep_folder.LANE_FILES)
def test_a_lane_that_lacks_a_file_is_not_done(tmp_path, name):
    save(tmp_path, lane())
    assert read(tmp_path) is not None
    (tmp_path / "lanes" / "0007" / name).unlink()
    assert read(tmp_path) is None


def test_a_lane_made_from_other_things_is_not_done(tmp_path):
    save(tmp_path, lane())
    assert read(tmp_path, digest="abd") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"digest": "abc"}', '{"digest": "abc", "outcome": 1}'],
)
def test_a_broken_note_is_no_lane(tmp_path, text):
    save(tmp_path, lane())
    (tmp_path / "lanes" / "0007" / "done.json").write_text(text)
    assert read(tmp_path) is None


def test_a_broken_trace_is_no_lane(tmp_path):
    save(tmp_path, lane())
    (tmp_path / "lanes" / "0007" / "trace.csv").write_text("iteration,total\n0,x\n")
    assert read(tmp_path) is None


def test_an_interrupted_lane_is_not_done_and_a_diverged_one_is(tmp_path):
    save(tmp_path, lane(outcome="interrupted"))
    assert read(tmp_path) is None
    save(tmp_path, lane(outcome="diverged", total=math.nan))
    found = read(tmp_path)
    assert found is not None
    assert math.isnan(found.terms["total"])
    # JSON for other programs, too.
    text = (tmp_path / "lanes" / "0007" / "done.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["terms"]["total"] == "nan"


def test_what_is_no_number_in_a_picture_is_written_gray(tmp_path):
    broken = lane()._replace(picture=np.full((20, 24, 3), np.nan, np.float32))
    save(tmp_path, broken)
    pixels = np.asarray(Image.open(tmp_path / "lanes" / "0007" / "result.png"))
    assert (np.abs(pixels.astype(int) - 128) <= 1).all()


def test_while_a_lane_is_written_again_it_is_not_done(tmp_path, monkeypatch):
    save(tmp_path, lane())

    def full(path, text):
        raise ValueError(f"{path}: cannot be written (no space left)")

    monkeypatch.setattr(sweep_folder, "write_text", full)
    with pytest.raises(ValueError, match="no space"):
        save(tmp_path, lane())
    assert read(tmp_path) is None


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    found = curve([record(i, float(i)) for i in range(1000)])
    assert len(found) == 150
    assert found[0] == (0, 0.0, 2.0, 3.0)
    assert found[-1] == (999, 999.0, 2.0, 3.0)


# --- all lanes --------------------------------------------------------------------


def overview(folder, lanes, grid=None):
    return write_overview(
        folder, lanes, grid=grid, settings="size: 8", facts={"device": "CPU"}, title="T"
    )


def test_the_overview_shows_all_lanes(tmp_path):
    save(tmp_path, lane(0))
    missing = LaneResult(
        1, {"alpha": "1e-3"}, {"alpha": 1e-3}, None, "lanes/0001/result.png", {},
        outcome="missing",
    )  # fmt: skip
    done = read(tmp_path, 0)
    assert done is not None
    assert overview(tmp_path, [done, missing]) == [tmp_path / "sheet.png"]
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["outcome"] for row in rows] == ["finished", "missing"]
    assert [row["held_out"] for row in rows] == ["0.5", ""]
    assert "CPU" in (tmp_path / "report.html").read_text()
    for name in ("sheet.png", "pareto.png"):
        Image.open(tmp_path / name).verify()


def test_sheets_of_before_do_not_stay(tmp_path):
    for name in ("sheet_1.png", "sheet_2.png", "sheet_mine.png"):
        (tmp_path / name).write_bytes(b"old")
    overview(tmp_path, [lane(0)])
    found = {path.name for path in tmp_path.glob("sheet*")}
    assert found == {"sheet.png", "sheet_mine.png"}


def test_one_file_that_cannot_be_written_does_not_keep_the_others(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(ValueError, match=r"table\.csv"):
        overview(tmp_path, [lane(0)])
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "pareto.png").exists()


def test_clearing_leaves_the_files_of_others(tmp_path):
    save(tmp_path, lane(0))
    save(tmp_path, lane(1))
    overview(tmp_path, [lane(0), lane(1)])
    write_manifest(tmp_path, {"lanes": 2})
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "lanes" / "0001" / "notes.txt").write_text("mine")
    clear(tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert left == {"notes.txt", "lanes/0001/notes.txt"}
    assert not (tmp_path / "lanes" / "0000").exists()


def test_inputs_are_not_overwritten(tmp_path):
    save(tmp_path, lane(0))
    inside = str(tmp_path / "lanes" / "0000" / "result.png")
    with pytest.raises(ValueError, match="reads this file"):
        check_inputs_survive(tmp_path, [str(tmp_path / "sheet.png")], clear=False)
    with pytest.raises(ValueError, match="reads this file"):
        check_inputs_survive(tmp_path, [inside], clear=True)
    check_inputs_survive(tmp_path, [str(tmp_path / "mine.png")], clear=True)


def test_a_manifest_comes_back_or_none(tmp_path):
    assert read_manifest(tmp_path) is None
    write_manifest(tmp_path, {"lanes": 3})
    assert read_manifest(tmp_path) == {"lanes": 3}
    (tmp_path / "manifest.json").write_text("[1")
    assert read_manifest(tmp_path) is None
