"""Whole processes: peak memory, time to the first step, and runs to a loss."""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from nst_jax.features import pretrained
from nst_jax.features.vgg import network_of
from nst_jax.features.weights import write
from nst_jax.images.io import load, save
from nst_jax.images.resize import fit_area, fit_longer_side
from nst_jax.memory import Work, plan
from nst_jax.objective.presets import STYLE_LAYERS
from scripts.bench.cases import TINY, torch_version, weights_of

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "configs" / "pictures"
CHILD = Path(__file__).parent / "child.py"
# ``nst-jax``, which also tells when it thinks that it began.
OURS = """
import sys
from nst_jax import cli
with open(sys.argv[1], "w") as file:
    file.write(repr(cli.BEGAN))
cli.program(arguments=sys.argv[2:])
"""
HISTORY, TORCH_HISTORY = 40, 100
PAIR_BYTES = 24  # per pixel: two float32 vectors of three channels

Entry = dict[str, Any]


class Ran(NamedTuple):
    """A process that has ended.

    Attributes:
        began: ``time.perf_counter()`` just before it was started.
        seconds: it took.
        peak_bytes: of its memory.
        folder: of what it left.
    """

    began: float
    seconds: float
    peak_bytes: int
    folder: Path


def run_command(command: Sequence[object], folder: Path, *, cache: Path | None = None):
    """Run a command from the repository's folder and measure it.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "child.json"
    env = dict(os.environ)
    if cache is not None:
        env["NST_JAX_CACHE_DIR"] = str(cache)
        env.pop("JAX_COMPILATION_CACHE_DIR", None)
    parts = [sys.executable, CHILD, result, *command]
    subprocess.run([str(part) for part in parts], check=True, cwd=ROOT, env=env)
    return Ran(**json.loads(result.read_text()), folder=folder)


def run_ours(arguments: Sequence[object], folder: Path, *, cache: Path | None = None):
    """``nst-jax stylize`` with these arguments, into ``folder``/run."""
    command = [
        *(sys.executable, "-c", OURS, folder / "began", "stylize", "--quiet"),
        *("--out", folder / "run", *arguments),
    ]
    return run_command(command, folder, cache=cache)


def manifest_of(ran: Ran) -> dict[str, Any]:
    """The manifest that a run left."""
    return json.loads((ran.folder / "run" / "manifest.json").read_text())


def trace_of(ran: Ran) -> list[dict[str, float]]:
    """The rows of its trace; ``seconds`` since the process was started."""
    late = float((ran.folder / "began").read_text()) - ran.began
    with (ran.folder / "run" / "trace.csv").open() as file:
        rows = [
            {key: float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
    for row in rows:
        row["seconds"] += late
    return rows


class Inputs(NamedTuple):
    """Files that both sides read: pictures at their final sizes, weights."""

    content: Path
    style: Path
    weights: Path
    height: int
    columns: int

    @property
    def flags(self) -> tuple[object, ...]:
        """For both command lines."""
        files = ("--content", self.content, "--style", self.style)
        return (*files, "--weights", self.weights)


def make_inputs(
    folder: Path,
    *,
    network: float | str,
    size: int,
    content: Path = PICTURES / "town.jpg",
    style: Path = PICTURES / "night_sky.jpg",
) -> Inputs:
    """Write them: so that none of the two has to resize or to convert."""
    folder.mkdir(parents=True, exist_ok=True)
    sized = fit_longer_side(load(content).pixels, size)
    height, columns = sized.shape[:2]
    pixels = sized, fit_area(load(style).pixels, height * columns)
    paths = folder / "content.png", folder / "style.png"
    for path, picture in zip(paths, pixels, strict=True):
        save(path, picture)
    if isinstance(network, str):
        weights = Path(pretrained.resolve(network))
    else:
        weights = folder / "weights.h5"
        write(weights, weights_of(network))
    return Inputs(*paths, weights, height, columns)


def name_of(network: float | str) -> str:
    """A network in words."""
    if isinstance(network, str):
        return network if network == TINY else Path(network).name
    return f"width {network:g}"


# --- memory -----------------------------------------------------------------------


class Sized(NamedTuple):
    """A network and a size."""

    network: float | str
    size: int

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{name_of(self.network)}, {self.size} px"


def memory_specs(*, gpu: bool, quick: bool) -> list[Sized]:
    """The cases whose peaks are measured."""
    if quick:
        return [Sized(1 / 16, 64)]
    if gpu:
        return [Sized(1.0, size) for size in (512, 1024, 2048)]
    return [Sized(1.0, 256), Sized(1.0, 512), Sized(0.25, 512), Sized(0.25, 1024)]


def measure_memory(case: Sized, *, gpu: bool) -> Iterator[tuple[str, Entry]]:
    """Peaks of our process, fast and low, and of PyTorch's, after a few evaluations."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        inputs = make_inputs(folder, network=case.network, size=case.size)
        entry: Entry = {
            "case": case.name,
            "picture": f"{inputs.columns} x {inputs.height}",
            "history": HISTORY,
        }
        for memory in ("fast", "low"):
            # Its history is allocated at the start: the first steps show the peak.
            ran = run_ours(
                [
                    *(*inputs.flags, "--size", case.size, "--iterations", HISTORY),
                    *("--minutes", 0.1, "compile_cache=false"),
                    *(f"solver.history={HISTORY}", f"solver.memory={memory}"),
                    *("objective.preset=gatys-notebook",),
                ],
                folder / memory,
            )
            peak = manifest_of(ran)["peak_memory_bytes"] if gpu else ran.peak_bytes
            entry[f"{memory}_bytes"] = peak
            entry[f"{memory}_predicted_bytes"] = _predicted(case, inputs, memory, gpu)
        entry |= _torch_memory(inputs, folder, gpu=gpu)
    yield "memory", entry


def _predicted(case: Sized, inputs: Inputs, memory, gpu: bool) -> int:
    network = network_of(weights_of(case.network), pooling="max")
    shape = inputs.height, inputs.columns
    layers = ("conv4_2", *STYLE_LAYERS)
    work = Work(network, shape, shape, layers, HISTORY, rounded=not gpu)
    platform = "gpu" if gpu else "cpu"
    return plan(work, memory=memory, available=None, platform=platform).predicted


def _torch_memory(inputs: Inputs, folder: Path, *, gpu: bool) -> Entry:
    """Its history grows as it goes: the full one is added by calculation."""
    if torch_version() is None:
        return {"torch_bytes": None, "torch_full_bytes": None}
    evaluations = 4
    ran = run_torch(inputs, folder / "torch", evaluations=evaluations, gpu=gpu)
    trace = json.loads((ran.folder / "trace.json").read_text())
    peak = trace["peak_bytes"] if gpu else ran.peak_bytes
    missing = TORCH_HISTORY - (evaluations - 1)
    pixels = inputs.height * inputs.columns
    return {
        "torch_bytes": peak,
        "torch_full_bytes": peak + PAIR_BYTES * missing * pixels,
    }


def run_torch(
    inputs: Inputs,
    folder: Path,
    *,
    evaluations: int,
    gpu: bool,
    precision: str = "float32",
) -> Ran:
    """The process of the PyTorch reference."""
    command = [
        *(sys.executable, "-m", "tests.reference.torch_gatys", *inputs.flags),
        *("--evaluations", evaluations, "--precision", precision),
        *("--device", "cuda" if gpu else "cpu"),
        *("--trace", folder / "trace.json", "--out", folder / "result.png"),
    ]
    return run_command(command, folder)


# --- compile ----------------------------------------------------------------------


class Started(NamedTuple):
    """A command whose start is measured."""

    name: str
    arguments: tuple[object, ...]


def compile_specs(*, gpu: bool, quick: bool) -> list[Started]:
    """The commands whose start is measured."""
    del gpu
    files = ("--content", PICTURES / "town.jpg", "--style", PICTURES / "night_sky.jpg")
    tiny = ("--weights", TINY)
    if quick:
        flags = (*files, *tiny, "--size", 64, "--iterations", 3)
        return [Started(f"{TINY}, 64 px, 3 iterations", flags)]
    flags = (*files, *tiny, "--size", 256, "--iterations", 10)
    config = ("--config", ROOT / "configs" / "starry.yaml", *tiny)
    return [
        Started(f"{TINY}, 256 px, 10 iterations", flags),
        Started("configs/starry.yaml", config),
    ]


def measure_compile(wanted: Started, *, rounds: int) -> Iterator[tuple[str, Entry]]:
    """With an empty cache of compiled programs, and then with the one it left."""
    kept: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for state, runs in kept.items():
                ran = run_ours(wanted.arguments, folder / state, cache=folder / "cache")
                seconds = manifest_of(ran)["seconds"]
                first = next(row for row in trace_of(ran) if row["iteration"] == 1)
                runs.append(
                    {
                        "first_step": first["seconds"],
                        "compile": seconds["compile"],
                        "process": ran.seconds,
                    }
                )
    entry: Entry = {"case": wanted.name, "rounds": rounds}
    for state, runs in kept.items():
        for what in runs[0]:
            entry[f"{state}_{what}_seconds"] = median(run[what] for run in runs)
    yield "compile", entry


# --- runs to a loss ---------------------------------------------------------------


class Settings(NamedTuple):
    """What the runs are made with.

    Attributes:
        weights: a file for the quarter width, or None: random filters.
        content: its picture, or None: an example picture.
        style: likewise.
        evaluations: of PyTorch.
        iterations: of ours at most.
        keys: ``KEY=VALUE`` of ours.
        torch_precision: of PyTorch.
    """

    weights: str | None = None
    content: Path | None = None
    style: Path | None = None
    evaluations: int = 500
    iterations: int = 700
    keys: tuple[str, ...] = ()
    torch_precision: str = "float32"


def run_specs(settings: Settings, *, gpu: bool, quick: bool) -> list[Sized]:
    """The runs to a loss."""
    if quick:
        return [Sized(1 / 16, 64)]
    if gpu:
        return [Sized(1.0, 512), Sized(1.0, 1024)]
    return [Sized(settings.weights or 0.25, 512), Sized(1.0, 256)]


def measure_run(
    case: Sized, settings: Settings, *, rounds: int, gpu: bool
) -> Iterator[tuple[str, Entry]]:
    """Seconds to the loss that PyTorch ends with; an entry after each round."""
    entry: Entry = {
        "case": " ".join([case.name, *settings.keys]),
        "evaluations": settings.evaluations,
        "iterations": settings.iterations,
        "keys": list(settings.keys),
        "torch_precision": settings.torch_precision,
        "rounds": [],
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        own = {"content": settings.content, "style": settings.style}
        own = {name: path for name, path in own.items() if path is not None}
        inputs = make_inputs(folder, network=case.network, size=case.size, **own)
        entry["picture"] = f"{inputs.columns} x {inputs.height}"
        # Programs are there from an earlier run, as they are for all runs but one.
        # Ended at once: with fewer iterations, the history would be another.
        _ours(case, settings, inputs, folder / "first", "--minutes", 0.001)
        for number in range(rounds):
            entry["rounds"].append(
                _one_round(case, settings, inputs, folder / str(number), gpu)
            )
            yield "runs", entry


def _ours(case: Sized, settings: Settings, inputs: Inputs, folder: Path, *more):
    return run_ours(
        [
            *(*inputs.flags, "--size", case.size, "--preset", "gatys-notebook"),
            *("--iterations", settings.iterations, *settings.keys, *more),
        ],
        folder,
        cache=inputs.content.parent / "cache",
    )


def _one_round(case: Sized, settings: Settings, inputs: Inputs, folder: Path, gpu):
    mine = _ours(case, settings, inputs, folder / "ours")
    rows = [row for row in trace_of(mine) if row["size"] == case.size]
    if torch_version() is None:
        return compare(rows, None, mine.seconds, None)
    theirs = run_torch(
        inputs,
        folder / "torch",
        evaluations=settings.evaluations,
        gpu=gpu,
        precision=settings.torch_precision,
    )
    trace = json.loads((theirs.folder / "trace.json").read_text())
    late = trace["began"] - theirs.began
    records = [(seconds + late, loss) for seconds, loss in trace["records"]]
    return compare(rows, records, mine.seconds, theirs.seconds)


def compare(
    rows: Sequence[dict[str, float]],
    records: Sequence[tuple[float, float]] | None,
    seconds: float,
    torch_seconds: float | None,
) -> Entry:
    """One round in figures.

    Args:
        rows: of our trace, at the final size.
        records: PyTorch's seconds and losses; None: it is not installed.
        seconds: of our whole process.
        torch_seconds: of PyTorch's.

    The loss to reach is the lowest that PyTorch has seen: at most that of its end.
    """
    totals = [row["total"] for row in rows]
    entry: Entry = {
        "process_seconds": seconds,
        "lowest": min(totals),
        "solve_seconds_per_evaluation": _pace([row["seconds"] for row in rows]),
    }
    if records is None:
        return entry
    goal = min(loss for _, loss in records)
    reached = next((row for row in rows if row["total"] < goal), None)
    entry |= {
        "torch_process_seconds": torch_seconds,
        "torch_seconds": records[-1][0],
        "torch_last": records[-1][1],
        "torch_lowest": goal,
        "torch_solve_seconds_per_evaluation": _pace([s for s, _ in records]),
        "seconds": reached and reached["seconds"],
        "evaluations": reached and int(reached["evaluations"]),
        "over_torch": reached and reached["seconds"] / records[-1][0],
        # What the same number of evaluations leads to.
        "loss_at_as_many": float(np.min(totals[: len(records)])),
    }
    return entry


def _pace(seconds: Sequence[float]) -> float:
    """Between evaluations, without what comes before the first."""
    return (seconds[-1] - seconds[0]) / max(1, len(seconds) - 1)
