"""``nst-jax sweep``: what it says, writes and refuses."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nst_jax.sweep_cli import KEYS
from nst_jax.sweep_spec.spec import OPTIONS

SMALL = (
    "size=48",
    "objective.content_layers=[conv3_1]",
    "objective.style_layers=[conv1_1, conv2_1]",
    "solver.iterations=8",
    "solver.history=4",
)
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def files(pictures, tiny_weights):
    return (
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights),
    )


@pytest.fixture
def sweep_cli(run_cli, files):
    """``nst-jax sweep`` of the small pictures."""

    def run(*arguments):
        return run_cli("sweep", *files, *SMALL, *arguments)

    return run


def refused(ran) -> str:
    assert ran.code == 2, ran
    assert ran.err.startswith("nst-jax: ")
    assert ran.err.count("\n") == 1
    return ran.err


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def test_help_names_every_option(run_cli):
    out = run_cli("sweep", "--help").out
    assert all(f"{option}=" in KEYS or option == "list" for option in OPTIONS)
    for text in ("--yes", "--coordinator HOST:PORT", "objective.alpha", "combine="):
        assert text in out


def test_a_sweep_says_its_plan_and_where_it_is(sweep_cli, workdir):
    ran = sweep_cli("alpha=1e-3,1e-1", "seed=0,1", "lanes=3")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "sweep: 4 lanes (grid: 2 alpha x 2 seed)"
    assert lines[-2:] == ["4 lanes: 4 finished", "runs/0001"]
    assert [row["seed"] for row in table_of(workdir / "runs/0001")] == list("0101")
    again = sweep_cli("alpha=1e-3", "seed=0,1", "--quiet", "--out", "b")
    assert (again.code, again.out) == (0, "")
    assert list(table_of(workdir / "b")[0])[:3] == ["lane", "seed", "total"]


def test_a_file_with_a_sweep_and_going_on(run_cli, pictures, workdir):
    (workdir / "s.yaml").write_text(
        "solver: {iterations: 2, history: 4}\nsize: 48\n"
        "objective: {content_layers: [conv3_1], style_layers: [conv1_1, conv2_1]}\n"
        "sweep: {alpha: [1e-3, 1e-2]}\n"
    )
    # The weights are those by default, whatever these are here.
    files = ("--content", pictures.content, "--style", pictures.style)
    ran = run_cli("sweep", "--config", "s.yaml", *files, "--out", "a")
    assert ran.code == 0, ran.err
    (workdir / "a/lanes/0001/done.json").unlink()
    # With its own settings, if none are given.
    ran = run_cli("sweep", "--resume", "--out", "a")
    assert ran.code == 0, ran.err
    assert "a: 1 of 2 lanes are done already" in ran.out
    assert "to run: 1 of 2 lanes" in ran.out
    assert (workdir / "a/lanes/0001/done.json").exists()
    ran = run_cli("sweep", "--resume", "--config", "s.yaml", *files, "--out", "a")
    assert ran.code == 0, ran.err
    assert "a: 2 of 2 lanes are done already" in ran.out
    # Axes of the command line take the place of the file's.
    ran = run_cli("sweep", "--config", "s.yaml", *files, "--out", "b", "seed=3,4")
    assert [row["seed"] for row in table_of(workdir / "b")] == ["3", "4"]
    assert "alpha" not in table_of(workdir / "b")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alpha=,"], "alpha"),
        (["alhpa=1,2"], "did you mean alpha?"),
        (["alpha=1,1"], "given twice"),
        (["seed=1,2", "alpha=1,x"], "alpha"),
        ([], "no axes"),
        (["alpha=1e-3"], "no axes"),
        (["alpha={}"], "no values"),
        (["seed=1,2", "alpha=1,2,3", "combine=zip"], "as many values"),
        (["seed=1,2", "combine=all"], "combine must be one of"),
        (["seed=1,2", "lanes=0"], "lanes must be from 1 up"),
        (
            ["seed={linear: [0, 999, 1000]}", "alpha={linear: [0, 1, 1000]}"],
            "1,000,000 lanes, more than 10,000: give fewer",
        ),
        (["seed={linear: [1, 9999, 9999]}", "tv=0,1"], "would take very roughly"),
        (["alpha={uniform: [0, 1]}", "combine=random", "samples=10001"], "roughly"),
        (["style_layers.conv1_1=0,1", "objective.preset=nobody"], "nobody"),
        (["seed=1,2", "--resume"], "--out FOLDER"),
        (["seed=1,2", "--resume", "--overwrite", "--out", "x"], "give one of them"),
        (["seed=1,2", "--out", "x.png"], "writes a folder"),
        (["seed=1,2", "--seed", "3"], "one value on the command line"),
        (["seed=1,2", "start=nowhere.png"], "nowhere.png"),
        (["style=a.png,b.png", "style=c.png,d.png"], "given twice"),
        (["seed=1,2", "size=2000000"], "size must be"),
        (["seed=1,2", "--coordinator", "localhost:1"], "--processes N"),
        (["seed=1,2", "--distributed"], "give --out FOLDER"),
        (
            ["seed=1,2", "--out", "x", "--coordinator", "localhost:1",
             "--processes", "2", "--process", "2"],
            "--process must be from 0 to 1",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(sweep_cli, workdir, arguments, message):
    assert message in refused(sweep_cli(*arguments))
    assert list(workdir.iterdir()) == []


def test_missing_pictures_are_named(run_cli, tiny_weights, pictures, workdir):
    options = ("sweep", "--weights", tiny_weights, "seed=1,2")
    assert "--content FILE" in refused(run_cli(*options))
    ran = run_cli(*options, "--content", "no.png", "--style", pictures.style)
    assert "no.png: no such file" in refused(ran)
    assert list(workdir.iterdir()) == []


def test_the_folder_of_another_is_kept(sweep_cli, workdir):
    (workdir / "x").mkdir()
    assert "--overwrite" in refused(sweep_cli("seed=1,2", "--out", "x"))


@posix_only
def test_ctrl_c_keeps_finished_lanes(files, tmp_path):
    """A signal after the first batch; --resume then runs the rest."""
    out = tmp_path / "out"
    settings = ("solver.iterations=2", "lanes=1", "seed={linear: [0, 299, 300]}")
    command = [sys.executable, "-m", "nst_jax", "sweep", *map(str, files), *SMALL]
    process = subprocess.Popen(
        [*command, *settings, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (out / "lanes/0000/done.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "go on with: nst-jax sweep --resume --out" in said
    outcomes = [row["outcome"] for row in table_of(out)]
    assert outcomes[0] == "finished"
    assert outcomes[-1] == "missing"
    assert (out / "report.html").exists()
    assert (out / "sheet.png").exists()
