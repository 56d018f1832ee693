"""A run that was killed, stopped or finished goes on, and to the same end."""

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.config import from_tree, load, override
from nst_jax.outputs import checkpoint as checkpoints
from nst_jax.outputs.files import locked
from nst_jax.outputs.progress import Quiet
from nst_jax.run import run
from nst_jax.signals import Stop
from nst_jax.solve import loop
from tests.conftest import PROGRAM, SMALL

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
CURRENT, PREVIOUS = "checkpoint/current.npz", "checkpoint/previous.npz"


def files_in(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def steps_of(folder) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "trace.csv").read_text().splitlines()))
    for row in rows:
        row.pop("seconds")  # nobody's clock repeats itself
    return rows


def same(first, second) -> None:
    """Two folders hold the same run, the clock aside."""
    pictures = {name for name in files_in(first) if name.startswith("snapshots/")}
    assert {n for n in files_in(second) if n.startswith("snapshots/")} == pictures
    assert (first / "result.png").read_bytes() == (second / "result.png").read_bytes()
    for name in pictures:  # in their text they may name other numbers of iterations
        assert np.array_equal(*(Image.open(f / name) for f in (first, second))), name
    assert steps_of(first) == steps_of(second)
    manifests = [json.loads((f / "manifest.json").read_text()) for f in (first, second)]
    for key in ("evaluations", "refused_steps", "outcome", "scales", "inputs"):
        assert manifests[0][key] == manifests[1][key]
    seconds = [
        float(row["seconds"])
        for row in csv.DictReader((second / "trace.csv").read_text().splitlines())
    ]
    assert seconds == sorted(seconds)


@pytest.fixture
def arguments(pictures, tiny_weights) -> list[str]:
    given = (
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights, *SMALL, "output.every=5"),
    )
    return [str(argument) for argument in given]


@pytest.fixture
def stopped(pictures, tiny_weights, workdir, monkeypatch):
    """``stopped("out", 5, "seed=3")``: a run that was stopped after iteration 5."""

    def stopped_run(out, at, *overrides):
        stop = Stop()

        class Asking(Quiet):
            def take(self, record):
                stop.asked = record.iteration >= at - 1

        files = {"content": str(pictures.content), "style": str(pictures.style)}
        network = {"weights": str(tiny_weights)}
        config = from_tree({**files, "network": network, "output": {"dir": out}})
        config = override(config, (*SMALL, "output.every=5", *overrides))
        with monkeypatch.context() as slowly:
            slowly.setattr(loop, "SHORTEST_CHUNK", 1)
            slowly.setattr(loop, "CHUNK_SECONDS", 0)  # a step at a time
            result = run(config, reporter=Asking(), stop=stop)
        assert result.outcome.code == "interrupted"
        assert result.records[-1].iteration == at
        return workdir / out

    return stopped_run


def resumed(run_cli, *arguments, code=0) -> str:
    ran = run_cli("stylize", "--resume", *arguments)
    assert (ran.code, ran.err) == (code, "")
    return ran.out


def refused(ran) -> str:
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1
    return ran.err


# --- to the same end --------------------------------------------------------------


CONTROLS = {
    "matched before": ["colours.match=ot"],
    "matched after": ["colours.match=pca", "colours.when=after"],
    "luminance": ["colours.preserve=luminance"],
    "box": ["solver.box=during"],
    "box and average of Adam": [
        *("solver.name=adam", "solver.box=during", "solver.average=0.9")
    ],
    "wide": ["output.bits=16"],
}


@pytest.mark.parametrize("settings", CONTROLS.values(), ids=CONTROLS)
def test_with_controls_it_is_the_same_end_too(
    stylize_cli, run_cli, stopped, workdir, settings
):
    """The checkpoint keeps the solver's own picture, whatever is made of it."""
    out = stopped("out", 7, *settings)
    resumed(run_cli, "--out", "out")
    stylize_cli("--out", "whole", "output.every=5", *settings)
    same(out, workdir / "whole")
    assert "snapshots/iteration_0005.png" in files_in(out)


@pytest.mark.slow
def test_with_all_kinds_of_style_it_is_the_same_end_too(
    stylize_cli, run_cli, stopped, workdir, pictures
):
    """Two styles, regions, another statistic, layers by a scheme, at two scales."""
    styles = [
        {"picture": str(pictures.style), "scale": 1.5},
        {"picture": str(pictures.content), "weight": 0.5, "layers": ["conv1_1"]},
    ]
    settings = (
        f"content={pictures.transparent}", f"styles={json.dumps(styles)}",
        "regions={content: alpha, keep: [transparent]}", "tileable=true",
        "objective.style_loss=wasserstein", "objective.style_layers=[conv1_1, conv2_1]",
        "objective.layer_weights=geometric", "scales=[24, 48]",
    )  # fmt: skip
    out = stopped("out", 17, *settings)
    resumed(run_cli, "--out", "out")
    stylize_cli("--out", "whole", "output.every=5", *settings)
    same(out, workdir / "whole")


@pytest.mark.parametrize(
    "setting", ["colours.match=chol", "colours.preserve=luminance", "solver.box=during"]
)
def test_a_control_cannot_be_changed_on_the_way(run_cli, stopped, setting):
    stopped("out", 5)
    ran = run_cli("stylize", "--resume", "--out", "out", setting)
    assert f"{setting.partition('=')[0]} was " in refused(ran)


@pytest.mark.parametrize("scales", ["", "[24, 48]"])
@pytest.mark.parametrize("at", [1, 7, 11])
def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    stylize_cli, run_cli, stopped, workdir, at, scales
):
    out = stopped("out", at, f"scales={scales}")
    assert CURRENT in files_in(out)
    said = resumed(run_cli, "--out", "out")
    assert f"going on after iteration {at}\n" in said
    stylize_cli("--out", "whole", "output.every=5", f"scales={scales}")
    same(workdir / "whole", out)
    assert not (out / "checkpoint").exists()
    configs = {
        (workdir / name / "config.yaml").read_text() for name in ("out", "whole")
    }
    assert len(configs) == 1


@pytest.mark.parametrize("at", [12, 13, 20])
def test_it_goes_on_between_scales_and_in_the_second(
    stylize_cli, run_cli, stopped, workdir, at
):
    # The first scale makes iterations 0 to 12.
    out = stopped("out", at, "scales=[24, 48]")
    resumed(run_cli, "--out", "out")
    stylize_cli("--out", "whole", "output.every=5", "scales=[24, 48]")
    same(workdir / "whole", out)


def test_a_run_that_converges_does_so_after_it_went_on(
    stylize_cli, run_cli, stopped, workdir
):
    stops = ("solver.tolerance=0.5", "solver.window=6", "solver.iterations=60")
    out = stopped("out", 5, *stops)
    resumed(run_cli, "--out", "out")
    stylize_cli("--out", "whole", "output.every=5", *stops)
    assert "fell by less than 0.5" in (out / "manifest.json").read_text()
    same(workdir / "whole", out)
    assert "at its end: the loss fell" in resumed(run_cli, "--out", "out")
    assert "going on" not in resumed(run_cli, "--out", "out")


def test_a_run_can_be_stopped_again_and_again(stylize_cli, run_cli, stopped, workdir):
    out = stopped("out", 3)
    for at in (5, 9):
        stop = Stop()

        class Asking(Quiet):
            def take(self, record, stop=stop, at=at):
                stop.asked = record.iteration >= at - 1

        with pytest.MonkeyPatch.context() as slowly:
            slowly.setattr(loop, "SHORTEST_CHUNK", 1)
            slowly.setattr(loop, "CHUNK_SECONDS", 0)
            config = override(load(out / "config.yaml"), [f"output.dir={out}"])
            result = run(config, resume=True, reporter=Asking(), stop=stop)
        assert [r.iteration for r in result.records] == list(range(at + 1))
    resumed(run_cli, "--out", "out")
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", out)


def test_with_its_own_settings_given_again(
    stylize_cli, run_cli, stopped, workdir, arguments
):
    out = stopped("out", 5)
    resumed(run_cli, "--out", "out", *arguments)
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", out)


def test_seconds_go_on_counting(run_cli, stopped):
    out = stopped("out", 5)
    before = json.loads((out / "manifest.json").read_text())["seconds"]
    resumed(run_cli, "--out", "out")
    after = json.loads((out / "manifest.json").read_text())["seconds"]
    assert after["total"] > before["total"]
    assert after["solve"] > before["solve"]
    assert after["compile"] >= before["compile"]


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        middle = len(whole) // 2
        path.write_bytes(
            whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        )


@pytest.mark.parametrize("how", ["missing", "cut", "altered"])
def test_a_damaged_checkpoint_is_passed_over(
    stylize_cli, run_cli, stopped, workdir, how
):
    out = stopped("out", 8, "solver.checkpoint_seconds=1e-6")
    assert {CURRENT, PREVIOUS} <= files_in(out)
    damage(out / CURRENT, how)
    said = resumed(run_cli, "--out", "out", "solver.checkpoint_seconds=60")
    assert ("current.npz: damaged" in said) == (how != "missing")
    assert "going on after iteration" in said
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", out)


def test_a_run_without_checkpoints_ends_as_any_other(stylize_cli, workdir):
    assert stylize_cli("--out", "out", "solver.checkpoint_seconds=0").code == 0
    found = files_in(workdir / "out")
    assert "result.png" in found
    assert not any("checkpoint" in name for name in found)


def test_without_a_whole_one_it_starts_again(stylize_cli, run_cli, stopped, workdir):
    out = stopped("out", 8)
    (out / CURRENT).write_bytes(b"")
    said = resumed(run_cli, "--out", "out")
    assert "damaged" in said
    assert "nothing to go on with; starting from the beginning" in said
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", out)
    assert not (out / "checkpoint").exists()


def test_where_nothing_is_yet_it_starts(stylize_cli, run_cli, workdir, arguments):
    said = resumed(run_cli, "--out", "out", *arguments)
    assert "out: nothing to go on with; starting from the beginning" in said
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", workdir / "out")


# --- more of it -------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
def test_more_iterations_of_a_finished_run(stylize_cli, run_cli, workdir, kept):
    # A run that took longer than the time between two checkpoints can be continued.
    seconds = f"solver.checkpoint_seconds={1e-6 if kept else 60}"
    stylize_cli("--out", "out", "output.every=5", seconds)
    assert (workdir / "out" / CURRENT).exists() == kept
    said = resumed(run_cli, "--out", "out", "--iterations", 20)
    assert ("going on after iteration 12" in said) == kept
    assert ("starting from the beginning" in said) != kept
    stylize_cli("--out", "whole", "output.every=5", "solver.iterations=20", seconds)
    same(workdir / "whole", workdir / "out")


def test_a_finished_run_says_so(stylize_cli, run_cli, workdir):
    stylize_cli("--out", "out.jpg")
    before = {n: (workdir / n).read_bytes() for n in files_in(workdir)}
    for more in ((), ("--iterations", 12), ("--iterations", 5), ("output.every=3",)):
        said = resumed(run_cli, "--out", "out.jpg", *more)
        assert "this run is at its end: all iterations were made (12)" in said
        assert "ask for more --iterations" in said
    assert {n: (workdir / n).read_bytes() for n in files_in(workdir)} == before


def test_fewer_iterations_than_were_made_end_it(run_cli, stopped):
    out = stopped("out", 8)
    resumed(run_cli, "--out", "out", "--iterations", 5)
    rows = steps_of(out)
    assert [int(row["iteration"]) for row in rows] == list(range(9))
    assert float(rows[-1]["total"]) == min(float(row["total"]) for row in rows)


def test_time_that_is_over_can_be_given_more_of(stylize_cli, run_cli, workdir):
    ran = stylize_cli("--out", "out", "output.every=5", "--minutes", "1e-9")
    assert ran.code == 0
    assert "1e-09 minutes were over after 0 of 12" in ran.out
    assert "at its end: 1e-09 minutes" in resumed(run_cli, "--out", "out")
    resumed(run_cli, "--out", "out", "solver.minutes=")
    stylize_cli("--out", "whole", "output.every=5")
    same(workdir / "whole", workdir / "out")


def test_scales_that_are_done_keep_their_iterations(run_cli, stopped):
    out = stopped("out", 20, "scales=[24, 48]")
    line = refused(
        run_cli(
            "stylize", "--resume", "--out", "out", "solver.scale_iterations=[9, 14]"
        )
    )
    assert "solver.scale_iterations was [12, 12] and is now [9, 14]" in line
    resumed(run_cli, "--out", "out", "--iterations", 14)
    scales = json.loads((out / "manifest.json").read_text())["scales"]
    assert [scale["iterations"] for scale in scales] == [12, 14]
    config = load(out / "config.yaml")
    assert config.solver.scale_iterations == (12, 14)


# --- refusals ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=3", "seed was 0 and is now 3"),
        ("size=44", "size was 48 and is now 44"),
        ("objective.alpha=0.5", "objective.alpha was 0.001 and is now 0.5"),
        (
            "objective.style_layers=[conv1_1]",
            'objective.style_layers was {"conv1_1": 0.5, "conv2_1": 0.5} and is',
        ),
        ("solver.history=5", "solver.history was 4 and is now 5"),
        ("solver.name=adam", "solver.name was lbfgs and is now adam"),
        ("network.pooling=max", "network.pooling was avg and is now max"),
        ("start=content", "start was noise and is now content"),
    ],
)
def test_other_settings_are_refused(run_cli, stopped, change, message):
    out = stopped("out", 3)
    before = files_in(out)
    line = refused(run_cli("stylize", "--resume", "--out", "out", change))
    assert line.startswith(f"nst-jax: out: {message}")
    assert "choose another --out" in line
    assert files_in(out) == before


def test_so_they_are_of_a_finished_run(stylize_cli, run_cli):
    stylize_cli("--out", "out")
    ran = run_cli("stylize", "--resume", "--out", "out", "seed=3")
    assert "seed was 0 and is now 3" in refused(ran)


@pytest.mark.parametrize("name", ["content", "style", "weights"])
def test_other_files_are_refused(
    run_cli, stopped, pictures, tiny_weights, tmp_path, name
):
    from nst_jax.features.random_weights import random_weights
    from nst_jax.features.weights import write

    stopped("out", 3)
    if name == "weights":
        path = tmp_path / "other.h5"
        write(path, random_weights("vgg19", seed=1, width=1 / 16, deepest="conv5_1"))
        change = f"network.weights={path}"
    else:
        path = tmp_path / f"{name}.png"
        path.write_bytes(pictures.sixteen_bit.read_bytes())
        change = f"{name}={path}"
    line = refused(run_cli("stylize", "--resume", "--out", "out", change))
    assert f"{name} was " in line
    assert str(path) in line
    assert "SHA-256" in line


def test_a_file_that_was_replaced_is_refused(run_cli, pictures, workdir, tiny_weights):
    content = workdir / "mine.png"
    content.write_bytes(pictures.content.read_bytes())
    files = ("--content", content, "--style", pictures.style, "--weights", tiny_weights)
    assert run_cli("stylize", *files, *SMALL, "--out", "out").code == 0
    content.write_bytes(pictures.sixteen_bit.read_bytes())
    line = refused(run_cli("stylize", "--resume", "--out", "out", "--iterations", 20))
    assert "content was " in line


def test_a_file_that_was_moved_is_the_same(run_cli, stopped, pictures, tmp_path):
    stopped("out", 3)
    moved = tmp_path / "moved.png"
    moved.write_bytes(pictures.content.read_bytes())
    assert "going on" in resumed(run_cli, "--out", "out", f"content={moved}")


def test_combinations_without_sense_are_refused(run_cli, stopped, workdir, arguments):
    ran = run_cli("stylize", "--resume", "--overwrite", "--out", "out", *arguments)
    assert "give one of them" in refused(ran)
    ran = run_cli("stylize", "--resume", *arguments)
    assert "--resume goes on with the run in --out FOLDER" in refused(ran)
    assert "no content picture" in refused(run_cli("stylize", "--resume", "--out", "x"))
    (workdir / "mine").mkdir()
    (workdir / "mine" / "result.png").write_bytes(b"mine")
    ran = run_cli("stylize", "--resume", "--out", "mine", *arguments)
    assert "mine: holds no run to go on with" in refused(ran)
    assert (workdir / "mine" / "result.png").read_bytes() == b"mine"
    assert files_in(workdir) == {"mine/result.png"}


def test_one_of_another_version_is_refused(run_cli, stopped, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(checkpoints, "VERSION", 9)
        out = stopped("out", 3)
    before = (out / CURRENT).read_bytes()
    line = refused(run_cli("stylize", "--resume", "--out", "out"))
    assert "written by another version of nst-jax (format 9" in line
    assert (out / CURRENT).read_bytes() == before


def test_two_runs_do_not_share_a_folder(run_cli, stopped, arguments):
    out = stopped("out", 3)
    with locked(out):
        ran = run_cli("stylize", "--resume", "--out", "out")
        assert "another run is writing there" in refused(ran)
        ran = run_cli("stylize", "--overwrite", "--out", "out", *arguments)
        assert "another run is writing there" in refused(ran)
    resumed(run_cli, "--out", "out")
    assert ".lock" not in files_in(out)


def test_a_full_disk_at_a_checkpoint_is_a_warning(stylize_cli, workdir, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    ran = stylize_cli("--out", "out", "solver.checkpoint_seconds=1e-6")
    assert (ran.code, ran.err) == (0, "")
    assert "warning: no checkpoint: out/checkpoint: cannot be written" in ran.out
    assert (workdir / "out" / "result.png").is_file()


def test_a_start_that_begins_anew_leaves_no_checkpoint_of_another_run(
    stylize_cli, stopped
):
    out = stopped("out", 3)
    stylize_cli("--out", "out", "--overwrite", "--quiet")
    assert not (out / "checkpoint").exists()


# --- from Python ------------------------------------------------------------------


def test_progress_from_python(pictures, tiny_weights, capsys):
    arguments = {
        "size": 48,
        "network": {"weights": tiny_weights},
        "objective": {
            "content_layers": ["conv3_1"], "style_layers": ["conv1_1", "conv2_1"],
        },
        "solver": {"iterations": 12, "history": 4},
    }  # fmt: skip
    nst_jax.stylize(pictures.content, pictures.style, **arguments)
    assert capsys.readouterr() == ("", "")
    result = nst_jax.stylize(
        pictures.content, pictures.style, scales=[24, 48], progress=True, **arguments
    )
    out = capsys.readouterr().out.splitlines()
    assert "48 x 40 · 2 scales · 24 iterations" in out[0]
    assert out[-1].startswith("iteration 25/25  loss ")
    assert out[-1].endswith(" in all")
    assert [(r.iteration, r.scale) for r in result.records] == [
        (i, int(i > 12)) for i in range(26)
    ]
    assert all(record.state is None for record in result.records)


# --- killed -----------------------------------------------------------------------

MANY = 3000


def start(arguments, *more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, PROGRAM, "stylize", "--quiet", *arguments, *more]
    )


def end_at_a_random_moment(process, folder, number, chance) -> None:
    """Signal a process some time after its first checkpoint, or let it finish."""
    until = time.monotonic() + 90
    try:
        while not (folder / CURRENT).exists() and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1))
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()


def killed_and_resumed(arguments, run_cli, workdir, number, chance, times) -> None:
    long = (*arguments, f"solver.iterations={MANY}", "solver.checkpoint_seconds=0.2")
    for moment in range(times):
        process = start(long, "--out", "out", *(["--resume"] if moment else []))
        end_at_a_random_moment(process, workdir / "out", number, chance)
    said = resumed(run_cli, "--out", "out")
    assert "going on after iteration" in said
    first, second = workdir / "whole", workdir / "out"
    if not first.exists():
        assert run_cli("stylize", *long, "--out", "whole").code == 0
    same(first, second)
    assert files_in(first) == files_in(second)


@posix_only
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_a_process_that_is_killed_goes_on(run_cli, workdir, arguments, number):
    chance = random.Random(int(number))
    arguments = [x for x in arguments if x != "output.every=5"]
    killed_and_resumed(arguments, run_cli, workdir, number, chance, 1)


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_ten_moments(run_cli, workdir, arguments, seed):
    chance = random.Random(seed)
    number = signal.SIGKILL
    arguments = [x for x in arguments if x != "output.every=5"]
    if seed % 2:
        arguments.append("scales=[24, 48]")
    killed_and_resumed(arguments, run_cli, workdir, number, chance, 1 + seed % 3)
