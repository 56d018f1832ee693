"""Fixtures that several tests share: a tiny network, small pictures, the CLI."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from scripts.jitter import VARIABLE, jittered

# Programs of tests run for milliseconds and compile for seconds: the compiler may be
# lazy, here and in the processes that tests start. Set before JAX is imported.
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
).strip()

# ``nst-jax`` in a process of its own, under the same jitter as the tests.
PROGRAM = Path(__file__).resolve().parents[1] / "scripts" / "jitter.py"
HEIGHT, WIDTH = 40, 48
# One size and one set of layers for all runs: what is compiled once serves them all.
SMALL = (
    f"size={WIDTH}",
    "objective.content_layers=[conv3_1]",
    "objective.style_layers=[conv1_1, conv2_1]",
    "solver.iterations=12",
    "solver.history=4",
)


class Pictures(NamedTuple):
    """Picture files, each of 48 x 40 pixels."""

    content: Path
    style: Path
    transparent: Path
    sixteen_bit: Path


class Ran(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What runs keep for the next ones stays out of the user's cache folder."""
    if "NST_JAX_CACHE_DIR" in os.environ:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NST_JAX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _jitter():
    """Runs are chaotic: with a seed in the variable each starts a little elsewhere."""
    with jittered(os.environ.get(VARIABLE)):
        yield


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A VGG-19 to conv5_1 with a sixteenth of the channels, all random."""
    from nst_jax.features.random_weights import random_weights
    from nst_jax.features.weights import write

    path = tmp_path_factory.mktemp("weights") / "tiny.h5"
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv5_1")
    write(path, weights)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Pictures:
    """A gradient, stripes; the gradient with a transparent half, and with 16 bits."""
    folder = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    gradient = np.stack([x / WIDTH, y / HEIGHT, 0.5 + 0 * x], axis=-1)
    stripes = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1) / 2 + 0.5
    eight = (gradient * 255).astype(np.uint8)
    alpha = np.where(x < WIDTH / 2, 0, 255).astype(np.uint8)
    sixteen = (gradient[..., 0] * 65535).astype(np.uint16)
    files = Pictures(*(folder / f"{name}.png" for name in Pictures._fields))
    Image.fromarray(eight).save(files.content)
    Image.fromarray((stripes * 255).astype(np.uint8)).save(files.style)
    Image.fromarray(np.dstack([eight, alpha])).save(files.transparent)
    Image.fromarray(sixteen).save(files.sixteen_bit)
    return files


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run_cli(workdir) -> Callable[..., Ran]:
    """``run_cli("presets")`` runs a command in this process, in the working folder."""
    from nst_jax.cli import main

    def run(*arguments) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as end:  # of argparse
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def stylize_cli(run_cli, pictures, tiny_weights) -> Callable[..., Ran]:
    """``nst-jax stylize`` of the small pictures; later KEY=VALUE win."""
    files = (
        *("--content", pictures.content, "--style", pictures.style),
        *("--weights", tiny_weights),
    )

    def run(*arguments) -> Ran:
        return run_cli("stylize", *files, *SMALL, *arguments)

    return run
