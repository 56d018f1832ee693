"""Checkpoints: what is written comes back, whole or not at all."""

import errno
import itertools
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.outputs import checkpoint as module
from nst_jax.outputs.checkpoint import (
    Checkpoint,
    Checkpoints,
    checkpoint,
    read,
    remove,
    restore,
    write,
)
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import Outcome, Record, optimise
from nst_jax.types import LossTerms

MADE_FROM = {"config": "size: 9\n", "hashes": {"content": "abc", "start": None}}
SOLVERS = pytest.mark.parametrize("solver", [LBFGS(3), Adam(0.1)])


def bowl(picture, problem):
    total = 0.5 * jnp.sum((picture - 0.25) ** 2)
    layers = {"conv2_1": total, "conv1_1": total / 3}
    return total, LossTerms(total, total, 2 * total, total, layers, {"conv1_1": total})


def some_records(solver, iterations=5, **options) -> list[Record]:
    start = jnp.zeros((6, 9, 3))
    return list(
        optimise(
            bowl,
            None,
            solver,
            start,
            keep_state=lambda: False,
            iterations=iterations,
            **options,
        )
    )


@pytest.fixture(scope="module")
def records():
    return some_records(LBFGS(3))


def names_in(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


CURRENT, PREVIOUS = "checkpoint/current.npz", "checkpoint/previous.npz"


@SOLVERS
def test_what_is_written_comes_back(tmp_path, solver):
    records = some_records(solver)
    write(tmp_path, checkpoint(records, MADE_FROM))
    saved, notes = read(tmp_path)
    assert notes == []
    assert saved.made_from == MADE_FROM
    without = [r._replace(picture=None, state=None, outcome=None) for r in records]
    assert saved.records == without
    assert [list(r.terms.content_layers) for r in saved.records] == [
        list(r.terms.content_layers) for r in records
    ]
    state, expected = restore(saved, solver), records[-1].state
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_files_are_plain_numpy_without_pickles(tmp_path, records):
    write(tmp_path, checkpoint(records, MADE_FROM))
    with np.load(tmp_path / CURRENT, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    np.testing.assert_array_equal(
        arrays["state.best_picture"], records[-1].state.best_picture
    )
    assert json.loads(str(arrays["about"]))["version"] == 1


def test_the_one_before_is_kept(tmp_path, records):
    for count in (2, 3, 4):
        last = records[count - 1]._replace(state=records[-1].state)
        write(tmp_path, checkpoint([*records[: count - 1], last], MADE_FROM))
        saved, _ = read(tmp_path)
        assert len(saved.records) == count
    assert names_in(tmp_path) == {CURRENT, PREVIOUS}
    (tmp_path / CURRENT).unlink()  # killed between the two renames
    saved, notes = read(tmp_path)
    assert (len(saved.records), notes) == (3, [])


def test_there_need_be_none(tmp_path):
    assert read(tmp_path / "missing") == (None, [])
    (tmp_path / "checkpoint").mkdir()
    assert read(tmp_path) == (None, [])


def two(folder, records):
    last = records[-2]._replace(state=records[-1].state)
    write(folder, checkpoint([*records[:-2], last], MADE_FROM))
    write(folder, checkpoint(records, MADE_FROM))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.9999])
def test_of_a_file_that_was_cut_the_one_before_is_used(tmp_path, records, share):
    two(tmp_path, records)
    path = tmp_path / CURRENT
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    saved, notes = read(tmp_path)
    assert len(saved.records) == len(records) - 1
    assert len(notes) == 1
    assert "current.npz: damaged (" in notes[0]
    (tmp_path / PREVIOUS).write_bytes(b"x")
    saved, notes = read(tmp_path)
    assert (saved, len(notes)) == (None, 2)


def test_no_altered_byte_changes_what_is_read(tmp_path, records):
    two(tmp_path, records)
    path = tmp_path / CURRENT
    whole = bytearray(path.read_bytes())
    expected, _ = read(tmp_path)
    found = 0
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        saved, notes = read(tmp_path)
        found += len(notes)
        if not notes:  # a byte that says nothing, such as a date in the zip file
            assert saved.records == expected.records
            assert saved.made_from == expected.made_from
            assert set(saved.arrays) == set(expected.arrays)
            for name, array in expected.arrays.items():
                np.testing.assert_array_equal(saved.arrays[name], array)
    assert found > len(whole) / 37 / 2


def test_one_of_another_version_is_refused(tmp_path, records, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(module, "VERSION", 2)
        write(tmp_path, checkpoint(records, MADE_FROM))
    with pytest.raises(
        ValueError, match=r"another version of nst-jax \(format 2; this"
    ):
        read(tmp_path)


def test_a_state_of_another_solver_is_refused(records):
    saved = checkpoint(records, MADE_FROM)
    for solver in (LBFGS(4), Adam()):
        with pytest.raises(ValueError, match="by another version"):
            restore(saved, solver)
    less = {k: v for k, v in saved.arrays.items() if k != "state.picture"}
    with pytest.raises(ValueError, match="by another version"):
        restore(Checkpoint(saved.records, less, {}), LBFGS(3))


@pytest.fixture
def full_disk(monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill():
        monkeypatch.setattr(os, "fsync", full)

    return fill


def test_a_full_disk_leaves_the_old_ones(tmp_path, records, full_disk):
    two(tmp_path, records)
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    full_disk()
    with pytest.raises(ValueError, match=r"cannot be written.*No space left on"):
        write(tmp_path, checkpoint(records[:1] + records[-1:], MADE_FROM))
    assert {n: (tmp_path / n).read_bytes() for n in names_in(tmp_path)} == before


def test_what_a_killed_process_left_is_cleaned_away(tmp_path, records):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / ".0123456789abcdef.tmp").write_bytes(b"half")
    write(tmp_path, checkpoint(records, MADE_FROM))
    assert names_in(tmp_path) == {CURRENT}
    remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_files_are_not_removed(tmp_path, records):
    write(tmp_path, checkpoint(records, MADE_FROM))
    (tmp_path / "checkpoint" / "mine.txt").write_text("mine")
    remove(tmp_path)
    assert names_in(tmp_path) == {"checkpoint/mine.txt"}


# --- during a run -----------------------------------------------------------------


def keeping(folder, seconds, *, scales=(5,)):
    kept = Checkpoints(MADE_FROM, seconds=seconds, scale_iterations=scales)
    kept.folder = folder
    return kept


def test_one_is_due_every_so_many_seconds(tmp_path, records, monkeypatch):
    clock = itertools.count(100.0, 0.0)
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert next(clock) == 100.0
    kept = Checkpoints(MADE_FROM, seconds=60, scale_iterations=[5])
    now[0] = 200
    assert not kept.due()  # there is no folder yet
    kept.folder = tmp_path
    now[0] = 159.9
    assert not kept.due()
    now[0] = 160
    assert kept.due()
    last = records[2]._replace(state=records[-1].state)
    kept.take([*records[:2], last])
    assert not kept.due()
    kept._thread.join()
    assert len(read(tmp_path)[0].records) == 3
    now[0] = 219.9
    assert not kept.due()
    now[0] = 220.1
    assert kept.due()


def test_seconds_of_0_mean_none(tmp_path, records):
    kept = keeping(tmp_path, 0.0)
    assert not kept.due()
    kept.take(records)
    assert not kept.finish()
    assert names_in(tmp_path) == set()


def ended(records, code, seconds):
    outcome = Outcome(code, "")
    times = {"compile_seconds": 10.0, "solve_seconds": seconds - 10.0}
    return [*records[:-1], records[-1]._replace(outcome=outcome, **times)]


@pytest.mark.parametrize(
    ("code", "seconds", "left"),
    [
        ("finished", 59, set()),
        ("finished", 61, {CURRENT}),
        ("converged", 61, {CURRENT}),
        ("interrupted", 1, {CURRENT, PREVIOUS}),
    ],
)
def test_what_is_left_at_the_end(tmp_path, records, code, seconds, left):
    two(tmp_path, records)
    kept = keeping(tmp_path, 60.0)
    kept.take(ended(records, code, seconds))
    assert kept.finish() == bool(left)
    assert names_in(tmp_path) == left


def test_a_full_disk_is_told_and_no_more(tmp_path, records, full_disk):
    full_disk()
    kept = keeping(tmp_path, 1e-9)
    last = records[2]._replace(state=records[-1].state)
    kept.take([*records[:2], last])
    kept._thread.join()
    kept.take(ended(records, "interrupted", 1))
    assert not kept.finish()
    assert len(kept.failures) == 2
    assert all("No space left on device" in text for text in kept.failures)


def test_the_last_record_is_that_of_its_own_step_again(tmp_path):
    # The last step of this run is not its best.
    records = some_records(Adam(0.2), iterations=6)
    best, own = records[-1].terms.total, float(records[-1].state.terms.total)
    assert best < own
    for scales, expected in (((6,), own), ((9,), own), ((9, 9), own), ((6, 9), best)):
        kept = keeping(tmp_path, 60.0, scales=scales)
        kept.take(ended(records, "interrupted", 1))
        assert kept.finish()
        saved, _ = read(tmp_path)
        assert saved.records[-1].terms.total == expected
