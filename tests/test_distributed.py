"""A sweep shared by two processes of this machine, and the small parts of that."""

import csv
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nst_jax.images.io import load
from nst_jax.team import Team, begin, local_devices, say_end, wait_for
from tests.conftest import PROGRAM

SMALL = (
    *("size=48", "objective.content_layers=[conv3_1]"),
    *("objective.style_layers=[conv1_1, conv2_1]",),
    *("solver.iterations=8", "solver.history=4"),
    *("alpha=1e-3,1e-1", "seed=0,1"),
)


# --- parts ------------------------------------------------------------------------


def test_each_item_is_for_one_process():
    items = list("abcdefg")
    shares = [Team(n, 3).share(items) for n in range(3)]
    assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert Team().share(items) == items


def test_waiting_ends_with_the_last_of_the_others(tmp_path):
    answers: list[list[str]] = []

    def first():
        answers.append(wait_for(tmp_path, [1, 2], 5, stop=lambda: False))

    waiting = threading.Thread(target=first)
    waiting.start()
    say_end(tmp_path, Team(1, 3), 5, "finished")
    say_end(tmp_path, Team(2, 3), 4, "finished")  # of an earlier sweep
    waiting.join(0.5)
    assert waiting.is_alive()
    say_end(tmp_path, Team(2, 3), 5, "interrupted")
    waiting.join(10)
    assert answers == [["finished", "interrupted"]]


def test_waiting_can_be_stopped(tmp_path):
    say_end(tmp_path, Team(1, 3), 5, "finished")
    assert wait_for(tmp_path, [1, 2], 5, stop=lambda: True) == ["finished", "missing"]


def test_a_sweep_that_cannot_begin_says_why():
    made = []
    assert begin(Team(), lambda: made.append(1)) > 0
    assert made == [1]

    def refuse():
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        begin(Team(), refuse)


def test_devices_by_kind_and_number():
    import jax

    assert local_devices(None) == jax.local_devices()
    assert local_devices("cpu") == jax.local_devices(backend="cpu")
    assert local_devices("cpu:0") == jax.local_devices(backend="cpu")[:1]
    for wanted in ("tpu", "cpu:99", "cpu:x"):
        with pytest.raises(ValueError, match="not there"):
            local_devices(wanted)


# --- two processes ----------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def together(arguments, *, cwd: Path) -> list[tuple[int, str, str]]:
    """Two processes with the same arguments: exit code, output and errors of each."""
    port = free_port()
    command = [sys.executable, PROGRAM, "sweep", *map(str, arguments)]
    command += ["--coordinator", f"localhost:{port}", "--processes", "2", "--process"]
    processes = [
        subprocess.Popen(
            [*command, str(n)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def totals(folder: Path) -> np.ndarray:
    return np.array([float(row["total"]) for row in table_of(folder)])


@pytest.mark.run
@pytest.mark.slow
def test_two_processes_make_what_one_makes(run_cli, pictures, tiny_weights, workdir):
    files = (
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights),
    )
    one = run_cli("sweep", *files, *SMALL, "--out", "one")
    assert one.code == 0, one.err
    both = together([*files, *SMALL, "--out", "two"], cwd=workdir)
    assert [code for code, _, _ in both] == [0, 0], both
    assert "this is process 1 of 2" in both[1][1]
    assert {row["outcome"] for row in table_of(workdir / "two")} == {"finished"}
    np.testing.assert_allclose(
        totals(workdir / "two"), totals(workdir / "one"), rtol=1e-4
    )
    for n in range(4):
        ours, theirs = (
            load(workdir / name / f"lanes/{n:04d}/result.png").pixels
            for name in ("one", "two")
        )
        assert np.abs(ours - theirs).max() < 0.02
    manifest = json.loads((workdir / "two/manifest.json").read_text())
    assert manifest["processes"] == 2
    # The first process ran two lanes, and so the other one the other two.
    assert [batch["lanes"] for batch in manifest["batches"]] == [[0, 2]]
    assert (workdir / "two/report.html").exists()


@pytest.mark.slow
def test_two_processes_go_on_and_refuse_together(pictures, tiny_weights, workdir):
    files = (
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights, *SMALL, "--out", "two"),
    )
    assert [code for code, _, _ in together(files, cwd=workdir)] == [0, 0]
    (workdir / "two/lanes/0001/done.json").unlink()
    again = together([*files, "--resume"], cwd=workdir)
    assert [code for code, _, _ in again] == [0, 0], again
    assert (workdir / "two/lanes/0001/done.json").exists()
    refused = together(files, cwd=workdir)
    assert [code for code, _, _ in refused] == [2, 2], refused
    assert "exists already" in refused[0][2]
