import csv
import errno
import json
import os
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_jax.images.io import read_settings
from nst_jax.outputs.run_folder import (
    RunFolder,
    check_inputs_survive,
    snapshot_iterations,
)
from nst_jax.solve.loop import Outcome, Record
from nst_jax.types import LossTerms

Terms: Any = LossTerms  # here of plain floats, as records have them

TERMS = Terms(1.0, 2.0, 3.0, 0.5, {"conv4_2": 2.0}, {"conv1_1": 3.0})
DONE = Outcome("finished", "done")


def record(iteration, value=None, outcome=None):
    picture = None if value is None else np.full((4, 6, 3), value, np.float32)
    return Record(
        iteration, iteration + 1, float(iteration), 6, TERMS, picture, outcome
    )


def open_folder(path, **options):
    path.mkdir(exist_ok=True)
    folder = RunFolder(path, config="size: 6\n", settings="seed: 0\n", **options)
    folder.begin()
    return folder


def gray(path):
    return np.asarray(Image.open(path).convert("RGB"))[0, 0, 0]


def files_in(folder):
    return sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
    )


@pytest.mark.parametrize(
    ("iterations", "every", "expected"),
    [
        (50, None, set()),
        (100, None, {100}),
        (300, None, {100, 200, 300}),
        (1000, None, {100, 200, 300, 500}),
        (100, 30, {30, 60, 90, 100}),
        (10, 20, set()),
        (40, 20, {20, 40}),
    ],
)
def test_snapshots_at_the_usual_iterations_and_every_so_many(
    iterations, every, expected
):
    assert snapshot_iterations(iterations, every) == expected


def test_a_run_leaves_its_files(tmp_path):
    folder = open_folder(
        tmp_path / "out", picture_file=None, snapshots=frozenset({2, 3})
    )
    folder.take(record(0))
    folder.take(record(1))
    folder.take(record(2, 0.2))
    assert files_in(tmp_path / "out") == [
        *("config.yaml", "snapshots/iteration_0002.png", "trace.csv")
    ]
    folder.take(record(3, 0.4, DONE))
    result = folder.finish({"seed": 0})
    assert result == tmp_path / "out" / "result.png"
    assert files_in(tmp_path / "out") == [
        *("config.yaml", "losses.png", "manifest.json", "result.png"),
        *("snapshots/iteration_0002.png", "snapshots/iteration_0003.png", "trace.csv"),
    ]
    assert gray(result) == 102
    assert gray(tmp_path / "out" / "snapshots" / "iteration_0002.png") == 51
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == {"seed": 0}
    assert (tmp_path / "out" / "config.yaml").read_text() == "size: 6\n"
    assert read_settings(result) == "seed: 0\n"
    text = (tmp_path / "out" / "trace.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["iteration"] for row in rows] == ["0", "1", "2", "3"]


def test_the_end_of_a_run_is_no_snapshot_unless_it_is_its_turn(tmp_path):
    folder = open_folder(tmp_path / "out", picture_file=None, snapshots=frozenset({9}))
    folder.take(record(0))
    folder.take(record(4, 0.4, Outcome("interrupted", "stopped")))
    folder.finish({})
    assert not (tmp_path / "out" / "snapshots").exists()


def test_a_picture_file_is_written_besides(tmp_path):
    folder = open_folder(tmp_path / "night", picture_file=tmp_path / "night.tif")
    folder.take(record(0, 0.6, DONE))
    assert folder.finish({}) == tmp_path / "night.tif"
    assert gray(tmp_path / "night.tif") == gray(tmp_path / "night/result.png") == 153


def test_a_folder_used_again_keeps_what_is_not_the_runs(tmp_path):
    out = tmp_path / "out"
    (out / "snapshots").mkdir(parents=True)
    mine = ["notes.txt", "result.jpg", "snapshots/mine.png", "result.png.bak"]
    stale = ["result.png", "losses.png", "trace.csv", "manifest.json"]
    stale += ["snapshots/iteration_0100.png"]
    for name in mine + stale:
        (out / name).write_bytes(b"old")
    open_folder(out, picture_file=None)
    assert files_in(out) == sorted([*mine, "config.yaml"])


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_touched(
    tmp_path,
):
    out = tmp_path / "out"
    (out / "trace.csv").mkdir(parents=True)
    (out / "result.png").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"trace\.csv: is a folder; a file goes there"):
        open_folder(out, picture_file=None)
    assert (out / "result.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["result.png", "snapshots/iteration_0100.png"])
def test_an_input_is_never_overwritten(tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    given = str(tmp_path / "out")
    with pytest.raises(ValueError, match="the run reads this file and would overwrite"):
        check_inputs_survive(given, [str(tmp_path / "x.png"), str(path)])
    with pytest.raises(ValueError, match="the run reads this file"):
        check_inputs_survive(str(tmp_path / "a.jpg"), [str(tmp_path / "a.jpg")])
    check_inputs_survive(given, [str(tmp_path / "out" / "content.png")])
    check_inputs_survive(None, [str(path)])


@pytest.fixture
def full_disk(monkeypatch):
    """``full_disk("result.png")``: no file of that name can be written."""
    replace = os.replace

    def fail(name):
        def full(source, target):
            if name in os.fspath(target):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            replace(source, target)

        monkeypatch.setattr(os, "replace", full)

    return fail


@pytest.mark.parametrize(
    "name", ["result.png", "night.jpg", "trace.csv", "manifest.json", "losses.png"]
)
def test_one_file_that_cannot_be_written_does_not_keep_the_others(
    tmp_path, full_disk, name
):
    folder = open_folder(tmp_path / "night", picture_file=tmp_path / "night.jpg")
    folder.take(record(0, 0.6, DONE))
    full_disk(name)
    with pytest.raises(ValueError, match=f"{name}.*No space left on device"):
        folder.finish({})
    every = {
        *("night.jpg", "night/config.yaml", "night/losses.png"),
        *("night/manifest.json", "night/result.png", "night/trace.csv"),
    }
    missing = {path for path in every if path.endswith(name)}
    assert set(files_in(tmp_path)) == every - missing


def test_a_full_disk_at_the_beginning_leaves_the_old_run(tmp_path, full_disk):
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.png").write_bytes(b"old")
    full_disk("config.yaml")
    with pytest.raises(ValueError, match="No space left"):
        open_folder(out, picture_file=None)
    assert files_in(out) == ["result.png"]


def test_a_snapshot_that_cannot_be_written_keeps_the_record(tmp_path, full_disk):
    folder = open_folder(tmp_path / "out", picture_file=None, snapshots=frozenset({1}))
    folder.take(record(0))
    full_disk("iteration_0001.png")
    with pytest.raises(ValueError, match=r"iteration_0001\.png.*No space left"):
        folder.take(record(1, 0.5))
    assert [r.iteration for r in folder.records] == [0, 1]
