"""The command line: flags, precedence, refusals in one line, signals."""

import dataclasses
import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_jax.cli_keys import FLAGS, SWITCHES
from nst_jax.config import Config, load

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def refused(ran, *, late: bool = False) -> str:
    """The one line of a command that was refused."""
    assert ran.code == 2, ran
    # Mistakes that only the first step shows come after headline and memory.
    assert ran.out == "" or (late and ran.out.count("\n") == 2)
    assert ran.err.startswith("nst-jax: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err


def files_in(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*")}


# --- help ------------------------------------------------------------------------


def keys(record: Any = Config, prefix=""):
    for field in dataclasses.fields(record):
        if dataclasses.is_dataclass(field.default_factory):
            yield from keys(field.default_factory, f"{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def test_help_names_every_key_and_none_that_there_is_not(run_cli):
    ran = run_cli("stylize", "--help")
    assert ran.code == 0
    listed = ran.out.split("keys for KEY=VALUE")[1].split("example:")[0]
    words = {word.strip(",") for word in listed.split()}
    assert set(keys()) <= words
    assert {word for word in words if word.startswith(("solver.", "output."))} <= set(
        keys()
    )
    assert len(set(keys())) > 20


def test_every_flag_stands_for_a_key(run_cli):
    assert {key for key, _, _ in (FLAGS | SWITCHES).values()} <= set(keys())
    out = run_cli("stylize", "--help").out
    assert all(f"--{flag} " in out for flag in FLAGS | SWITCHES)


def test_the_other_commands_answer(run_cli):
    assert "gatys2016: CVPR 2016" in run_cli("presets").out
    info = run_cli("info")
    assert info.code == 0
    assert "jaxlib" in info.out
    assert "vgg19" in run_cli("weights", "list").out
    assert run_cli("--version").out.strip()


# --- a run -----------------------------------------------------------------------


def test_a_run_says_what_it_does_and_where_the_result_is(stylize_cli, workdir):
    ran = stylize_cli("--out", "out")
    assert (ran.code, ran.err) == (0, "")
    first, *_, outcome, path = ran.out.splitlines()
    for part in ("CPU", "vgg19 random", "48 x 40", "12 iterations"):
        assert part in first
    assert any(line.startswith("about ") for line in ran.out.splitlines())
    assert outcome.startswith("all iterations were made (12)")
    assert path == str(Path("out/result.png"))
    assert (workdir / path).is_file()


def test_quiet_says_nothing(stylize_cli, workdir):
    ran = stylize_cli("--quiet", "--out", "out")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (workdir / "out" / "result.png").is_file()


def test_folders_are_numbered_under_the_working_folder(stylize_cli, workdir):
    stylize_cli("--quiet")
    stylize_cli("--quiet")
    assert {p.name for p in (workdir / "runs").iterdir()} == {"0001", "0002"}


def test_a_picture_can_be_asked_for(stylize_cli, workdir):
    ran = stylize_cli("--out", "a/night.jpg")
    assert ran.out.splitlines()[-1] == str(Path("a/night.jpg"))
    with Image.open(workdir / "a" / "night.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (48, 40))
    assert (workdir / "a" / "night" / "trace.csv").is_file()


def test_overwrite_keeps_the_users_own_files(stylize_cli, workdir):
    stylize_cli("--out", "out", "output.every=5")
    (workdir / "out" / "notes.txt").write_text("mine")
    before = (workdir / "out" / "result.png").read_bytes()
    assert "out: exists already" in refused(stylize_cli("--out", "out", "seed=3"))
    assert (workdir / "out" / "result.png").read_bytes() == before
    ran = stylize_cli("--out", "out", "seed=3", "--overwrite")
    assert ran.code == 0
    assert (workdir / "out" / "notes.txt").read_text() == "mine"
    assert (workdir / "out" / "result.png").read_bytes() != before
    assert files_in(workdir / "out" / "snapshots") == set()


def test_snapshots_at_the_usual_iterations(stylize_cli, workdir):
    stylize_cli(
        *("--out", "out", "--quiet", "solver.iterations=205", "output.every=50")
    )
    assert files_in(workdir / "out" / "snapshots") == {
        f"iteration_{i:04d}.png" for i in (50, 100, 150, 200)
    }


# --- precedence ------------------------------------------------------------------


def test_yaml_then_flags_then_overrides(stylize_cli, workdir):
    (workdir / "x.yaml").write_text(
        "size: 64\nseed: 1\nobjective: {alpha: 0.5, tv: 0.25}\nsweep: {seed: [1, 2]}\n"
    )
    # KEY=VALUE may stand before and between flags, and wins all the same.
    ran = stylize_cli(
        *("--config", "x.yaml", "objective.alpha=2", "--seed", 2, "--quiet"),
        *("seed=3", "--out", "out"),
    )
    assert ran.code == 0
    config = load(workdir / "out" / "config.yaml")
    assert (config.size, config.seed, config.solver.history) == (48, 3, 4)
    assert (config.objective.alpha, config.objective.tv) == (2, 0.25)
    assert config.objective.preset == Config().objective.preset


def test_paths_in_a_yaml_are_relative_to_it(run_cli, pictures, tiny_weights, workdir):
    folder = workdir / "configs"
    folder.mkdir()
    (folder / "c.png").write_bytes(pictures.content.read_bytes())
    (folder / "w.h5").write_bytes(tiny_weights.read_bytes())
    (folder / "x.yaml").write_text(
        f"content: c.png\nstyle: {pictures.style}\nsize: 48\n"
        "network: {weights: w.h5}\noutput: {dir: ../out}\n"
        "objective: {content_layers: [conv3_1], style_layers: [conv1_1, conv2_1]}\n"
        "solver: {iterations: 12, history: 4}\n"
    )
    ran = run_cli("stylize", "--config", "configs/x.yaml", "--quiet")
    assert ran.code == 0, ran.err
    assert (workdir / "out" / "result.png").is_file()


# --- refusals --------------------------------------------------------------------


@pytest.fixture
def bad_pictures(tmp_path, pictures) -> Path:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "empty.png").write_bytes(b"")
    whole = pictures.content.read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save(folder / "one.png")
    Image.new("RGB", (3, 5000)).save(folder / "strip.png")
    Image.new("1", (12000, 12000)).save(folder / "bomb.png")
    return folder


@pytest.mark.parametrize("flag", ["--content", "--style", "--start"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.png", "no such file"),
        ("empty.png", "the file is empty"),
        ("truncated.png", "truncated or damaged"),
        ("text.png", "not a picture"),
        ("one.png", "1 x 1 is too small"),
        ("strip.png", "3 x 5000 is too small"),
        ("bomb.png", "too large"),
        (".", "a folder"),
    ],
)
def test_bad_pictures_are_refused(
    stylize_cli, bad_pictures, workdir, flag, name, message
):
    path = bad_pictures / name
    line = refused(stylize_cli(flag, path, "--out", "out"))
    assert str(path) in line
    assert message in line
    assert files_in(workdir) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["objective.style_layers=[conv9_1]"], "unknown layer conv9_1"),
        (["objective.style_layers={conv1_1: -1}"], "a weight must be 0 or from"),
        (["objective.alpha=0", "objective.beta=0"], "nothing would be matched"),
        (
            ["objective.alpha=0", "objective.style_layers=[]"],
            "nothing would be matched",
        ),
        (["objective.alpha=.nan"], "nan is not a finite number"),
        (["objective.beta=1e39"], "objective.beta: a weight must be 0 or from"),
        (["objective.preset=gatys"], "unknown preset 'gatys'"),
        (["--preset", "x"], "unknown preset 'x'"),
        (["--size", "0"], "--size: size must be from 1 to 32768, not 0"),
        (["--size", "-3"], "--size: size must be from 1 to 32768, not -3"),
        (["--size", "40000"], "size must be from 1 to 32768"),
        (["--size", "many"], "expected a whole number, not the text many"),
        (["--size", ""], "expected a whole number, not nothing"),
        (["size=3"], "choose a larger size"),
        (["--seed", "-1"], "seed must be from 0"),
        (["--iterations", "0"], "solver.iterations must be from 1"),
        (["--device", "toaster"], "device 'toaster' is not there; JAX sees"),
        (["--device", "cpu:99"], "device 'cpu:99' is not there"),
        (["--content", ""], "--content: content: expected text"),
        (
            ["--start", "nosie"],
            "start 'nosie': no such file, nor noise, content, content-recoloured",
        ),
        (["siez=3"], "unknown key siez; did you mean size?"),
        (["nonsense"], "nonsense: expected section.key=value"),
        (["--nonsense"], "unknown argument --nonsense"),
        (["--size"], "argument --size: expected one argument; see nst-jax stylize"),
        (["--config", "missing.yaml"], "missing.yaml: cannot be read"),
        (["--config", "."], ".: cannot be read"),
        (["network.name=vgg16"], "holds a vgg19, but network.name is vgg16"),
        (["--weights", "vgg19", "network.name=vgg16"], "choose weights of a vgg16"),
        (["--weights", "vgg20"], "did you mean 'vgg19'?"),
        (["--out", "x.gif"], "pictures are written as .png"),
        (["--out", "x.webp", "size=16384"], "a WebP has at most 16383 pixels"),
        (["--out", ""], "--out: output.dir: expected text"),
    ],
)
def test_mistakes_are_one_line_and_make_nothing(
    stylize_cli, workdir, arguments, message
):
    assert message in refused(stylize_cli("--out", "out", *arguments))
    assert files_in(workdir) == set()


def test_content_and_style_must_be_given(run_cli, pictures):
    assert "no content picture: give --content FILE" in refused(run_cli("stylize"))
    ran = run_cli("stylize", "--content", pictures.content)
    assert "no style picture: give --style FILE" in refused(ran)
    assert "required: COMMAND" in refused(run_cli())


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile",)


def bad_weights(kind: str, folder: Path, good: Path) -> Path:
    path = folder / f"{kind}.h5"
    if kind == "truncated":
        path.write_bytes(good.read_bytes()[:3000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "hostile":
        path = folder / "hostile.pth"
        path.write_bytes(pickle.dumps(Hostile()))
    else:
        import h5py

        path.write_bytes(good.read_bytes())
        with h5py.File(path, "r+") as file:
            del file["conv2_1/kernel"]
            shape = (3, 3, 99, 8) if kind == "shape" else (3, 3, 4, 8)
            value = np.nan if kind == "nan" else 0.0
            file["conv2_1/kernel"] = np.full(shape, value, np.float32)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "truncated.h5: damaged HDF5 file"),
        ("empty", "empty.h5: "),
        ("hostile", "hostile.pth: "),
        ("shape", "conv2_1: kernel (3, 3, 99, 8)"),
        ("nan", "conv2_1: values are not all finite"),
    ],
)
def test_bad_weights_are_refused(
    stylize_cli, tiny_weights, tmp_path, workdir, monkeypatch, kind, message
):
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "cache"))
    path = bad_weights(kind, tmp_path, tiny_weights)
    assert message in refused(stylize_cli("--weights", path, "--out", "out"))
    assert files_in(workdir) == set()


def test_a_layer_deeper_than_the_weights_is_refused(stylize_cli, tmp_path, workdir):
    from nst_jax.features.random_weights import random_weights
    from nst_jax.features.weights import write

    path = tmp_path / "short.h5"
    write(path, random_weights("vgg19", seed=0, width=1 / 32, deepest="conv2_1"))
    line = refused(stylize_cli("--weights", path, "--out", "out"))
    assert "layer conv3_1 is deeper than the weights file" in line
    assert "which ends at conv2_1" in line
    assert files_in(workdir) == set()


def test_places_that_cannot_be_written_to_are_refused(stylize_cli, workdir):
    (workdir / "file").write_text("mine")
    for place, message in (
        ("file", "is a file; a folder goes there"),
        ("file/out", "cannot be written to"),
        ("file/out.png", "cannot be written to"),
        ("x" * 300, "cannot be written to"),
    ):
        assert message in refused(stylize_cli("--out", place))
    assert files_in(workdir) == {"file"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_not_even_root_writes_there(stylize_cli):
    assert "cannot be written to" in refused(stylize_cli("--out", "/proc/out"))


def test_an_input_is_not_overwritten(stylize_cli, pictures, workdir):
    (workdir / "c.png").write_bytes(pictures.content.read_bytes())
    arguments = ("--content", "c.png", "--out", "c.png", "--overwrite")
    assert "the run reads this file" in refused(stylize_cli(*arguments))
    assert files_in(workdir) == {"c.png"}


def test_a_start_that_cannot_be_evaluated_makes_nothing(stylize_cli, workdir):
    (workdir / "out").mkdir()
    (workdir / "out" / "result.png").write_bytes(b"old")
    weights = "objective.style_layers={conv1_1: 1e30, conv2_1: 1e30}"
    line = refused(
        stylize_cli("--out", "out", "--overwrite", "objective.beta=1e30", weights),
        late=True,
    )
    assert "the objective of the starting picture is not finite" in line
    assert files_in(workdir) == {"out", "out/result.png"}


def test_out_of_memory_is_one_line(stylize_cli, workdir, monkeypatch):
    def exhausted(*arguments, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    monkeypatch.setattr("nst_jax.run.multiscale", exhausted)
    line = refused(stylize_cli("--out", "out"), late=True)
    assert "out of memory: choose a smaller --size" in line
    assert files_in(workdir) == set()


# --- trouble during the run -------------------------------------------------------


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


def test_a_full_disk_at_a_snapshot_is_a_warning(stylize_cli, workdir, full_disk):
    full_disk("iteration_0005.png")
    ran = stylize_cli("--out", "out", "output.every=5")
    assert ran.code == 0
    warnings = [x for x in ran.out.splitlines() if x.startswith("warning: no snapshot")]
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0]
    assert files_in(workdir / "out" / "snapshots") == {"iteration_0010.png"}
    assert (workdir / "out" / "result.png").is_file()


def test_a_full_disk_at_the_end_is_one_line(stylize_cli, workdir, full_disk):
    full_disk("result.png")
    ran = stylize_cli("--out", "out")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "result.png: cannot write: No space left on device" in ran.err
    assert {"out/trace.csv", "out/manifest.json"} <= files_in(workdir)
    assert not [name for name in files_in(workdir) if name.endswith(".tmp")]


# --- signals ---------------------------------------------------------------------


@pytest.fixture
def long_run(pictures, tiny_weights, workdir):
    """A process in the middle of a run that would take very long."""
    root = Path(__file__).resolve().parent.parent
    command = [
        *(sys.executable, "-m", "nst_jax", "stylize", "--out", "out"),
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights, "size=32", "solver.iterations=1000000"),
        *("objective.content_layers=[conv2_1]", "objective.style_layers=[conv1_1]"),
        *("solver.history=2", "network.rescale=false"),
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "1000000 iterations" in first, process.stderr.read()  # pyright: ignore
            assert process.stdout.readline().startswith("memory: about ")
            # This line comes with the first iterations.
            assert process.stdout.readline().startswith("about ")
            yield process
        finally:
            process.kill()


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_best_picture_and_all_the_rest(long_run, workdir, number):
    long_run.send_signal(number)
    out, err = long_run.communicate(timeout=60)
    assert (long_run.returncode, err) == (130, "")
    assert "stopping after this step" in out
    assert out.splitlines()[-2:] == [
        str(Path("out/result.png")),
        "go on with: nst-jax stylize --resume --out out",
    ]
    out = workdir / "out"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["outcome"]["code"] == "interrupted"
    assert manifest["outcome"]["text"].startswith("stopped on request after ")
    with Image.open(out / "result.png") as image:
        assert image.size == (32, 27)
    assert (out / "losses.png").is_file()
    rows = (out / "trace.csv").read_text().splitlines()[1:]
    totals = [float(row.split(",")[4]) for row in rows]
    assert len(totals) == manifest["evaluations"]
    assert totals[-1] == min(totals)


@posix_only
def test_a_second_signal_stops_at_once(long_run, workdir):
    # Stopped, the process finds both signals when it wakes.
    os.kill(long_run.pid, signal.SIGSTOP)
    os.kill(long_run.pid, signal.SIGINT)
    os.kill(long_run.pid, signal.SIGTERM)
    os.kill(long_run.pid, signal.SIGCONT)
    _, err = long_run.communicate(timeout=60)
    assert (long_run.returncode, err) == (130, "nst-jax: stopped\n")
    assert "out/result.png" not in files_in(workdir)
    assert "out/config.yaml" in files_in(workdir)


@posix_only
def test_a_reader_who_leaves_does_not_stop_a_listing(tmp_path):
    root = Path(__file__).resolve().parent.parent
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "nst_jax", "presets"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")
