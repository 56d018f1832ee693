"""Measure one evaluation, the solver's step and a whole run; write a record.

Command: python scripts/benchmark.py --out docs/benchmarks
Time: about 8 minutes on two CPU cores; --quick takes one.
Result: DATE-DEVICE.json and .md under --out, and the table on the terminal.

Measured, in float32, with seeded random (He) weights, as speed does not depend on the
values:

* evaluation: one jitted value_and_grad of the objective, against PyTorch's on the
  same weights and pictures, taking turns (A B A B ...), medians;
* step: one step inside the solver's loop on the device, against one evaluation
  outside it, taking turns, at history 20;
* run: a whole process, from its start to the written picture: seconds, compile
  seconds and peak memory.

PyTorch (the extra [benchmark]) is optional: without it that column is empty.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import floored, mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import Weights, write
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.presets import STYLE_LAYERS
from nst_jax.objective.targets import make_targets
from nst_jax.outputs.manifest import device_name, versions
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import _chunk

HISTORY, STEPS = 20, 4


class Case(NamedTuple):
    """A problem of one size and width, ready to be evaluated."""

    weights: Weights
    objective: Objective
    problem: Problem
    content: jax.Array
    style: jax.Array
    start: jax.Array


def make_case(width: float, height: int, columns: int) -> Case:
    """Rescaled random network, noise pictures: what ``gatys2016`` runs on."""
    weights = random_weights("vgg19", seed=0, width=width, deepest="conv5_1")
    network = network_of(weights)
    keys = jax.random.split(jax.random.key(0), 3)
    content, style, start = (jax.random.uniform(k, (height, columns, 3)) for k in keys)
    params = device_params(weights)
    mu = floored(mean_activations(network, params, (content, style)))
    params = jax.block_until_ready(rescale(params, mu))
    targets = make_targets(
        network,
        params,
        content=content,
        style=style,
        content_layers=("conv4_2",),
        style_layers=STYLE_LAYERS,
    )
    layers: dict[str, float] = {k: 1 / len(STYLE_LAYERS) for k in STYLE_LAYERS}
    losses = loss_weights(alpha=1e-3, beta=1.0, content={"conv4_2": 1.0}, style=layers)
    problem = Problem(params, targets, losses)
    return Case(weights, Objective(network), problem, content, style, start)


def jax_evaluation(case: Case) -> Callable[[], Any]:
    """One jitted evaluation of objective and gradient, outside any loop."""
    evaluate = jax.jit(jax.value_and_grad(case.objective, has_aux=True))
    return lambda: jax.block_until_ready(evaluate(case.start, case.problem))


def jax_steps(case: Case) -> Callable[[], Any]:
    """``STEPS`` steps of L-BFGS inside the loop, the history full."""
    solver = LBFGS(HISTORY)
    state = solver.init(partial(case.objective, problem=case.problem), case.start)
    state = jax.tree.map(jnp.copy, state)
    advance = partial(_chunk, case.objective, solver, case.problem)
    box = [advance(state, HISTORY + 2)[0]]

    def steps() -> None:
        box[0], rows = advance(box[0], STEPS)
        jax.block_until_ready(rows)

    return steps


def torch_evaluation(case: Case) -> Callable[[], Any] | None:
    """The same evaluation in PyTorch, or None where it is not installed."""
    try:
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    from tests.reference.torch_gatys import evaluation

    params = jax.device_get(case.problem.params)
    convention = case.weights.input
    evaluate = evaluation(
        {layer: (a["kernel"], a["bias"]) for layer, a in params.items()},
        np.asarray(case.content),
        np.asarray(case.style),
        np.asarray(case.start),
        alpha=1e-3,
        beta=1.0,
        style_weights=dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS)),
        pooling="avg",
        mean=convention.mean,
        scale=convention.scale,
        device="cuda" if jax.default_backend() == "gpu" else "cpu",
    )
    ours = float(jax_evaluation(case)()[0][0])
    theirs = evaluate()[0]
    if abs(ours - theirs) > 1e-3 * abs(ours):
        raise ValueError(f"the two losses differ: {ours} and {theirs}")
    return evaluate


def take_turns(rounds: int, *functions: Callable[[], Any]) -> list[list[float]]:
    """Seconds of each function in each round, after a round that is not counted."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, kept in zip(functions, times, strict=True):
            before = time.perf_counter()
            function()
            if turn:
                kept.append(time.perf_counter() - before)
    return times


def ratio(numerators: list[float], denominators: list[float], per: int = 1) -> float:
    """Median of the ratios of neighbours in time."""
    pairs = zip(numerators, denominators, strict=True)
    return median(a / per / b for a, b in pairs)


def measure_case(width: float, height: int, columns: int, rounds: int) -> dict:
    """Evaluation, step and PyTorch's evaluation of one case, taking turns."""
    case = make_case(width, height, columns)
    ours, steps, theirs = jax_evaluation(case), jax_steps(case), torch_evaluation(case)
    times = take_turns(rounds, *(f for f in (ours, steps, theirs) if f))
    entry = {
        "width": width,
        "picture": f"{columns} x {height}",
        "evaluation_seconds": median(times[0]),
        "step_over_evaluation": ratio(times[1], times[0], per=STEPS),
        "torch_seconds": None,
        "evaluation_over_torch": None,
        "step_over_torch": None,
    }
    if theirs:
        entry["torch_seconds"] = median(times[2])
        entry["evaluation_over_torch"] = ratio(times[0], times[2])
        entry["step_over_torch"] = ratio(times[1], times[2], per=STEPS)
    return entry


def measure_run(width: float, size: int, iterations: int) -> dict:
    """A whole process: ``nst-jax stylize`` on two pictures of 4 : 3."""
    from nst_jax.images.io import save

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        weights = random_weights("vgg19", seed=0, width=width, deepest="conv5_1")
        write(place / "weights.h5", weights)
        rng = np.random.default_rng(0)
        for name in ("content", "style"):
            save(place / f"{name}.png", rng.random((size * 3 // 4, size, 3)))
        command = [
            *(sys.executable, "-m", "nst_jax", "stylize", "--quiet"),
            *("--content", place / "content.png", "--style", place / "style.png"),
            *("--weights", place / "weights.h5", "--out", place / "run"),
            *("--size", str(size), "--iterations", str(iterations)),
            f"solver.history={HISTORY}",
        ]
        before = time.perf_counter()
        subprocess.run([str(part) for part in command], check=True, cwd=ROOT)
        seconds = time.perf_counter() - before
        manifest = json.loads((place / "run" / "manifest.json").read_text())
    return {
        "width": width,
        "picture": f"{size} x {size * 3 // 4}",
        "iterations": iterations,
        "seconds": seconds,
        "compile_seconds": manifest["seconds"]["compile"],
        "solve_seconds": manifest["seconds"]["solve"],
        "peak_memory_bytes": manifest["peak_memory_bytes"],
    }


def benchmark(*, quick: bool) -> dict:
    """All measurements, with what they were made on."""
    rounds = 3 if quick else 15
    cases = [(1.0, 256, 256), (0.25, 288, 384)]
    if quick:
        cases = [(0.25, 96, 128)]
    try:
        import torch  # pyright: ignore[reportMissingImports]

        torch_version = torch.__version__
    except ImportError:
        torch_version = None
    return {
        "date": datetime.date.today().isoformat(),
        "device": device_name(jax.devices()[0]),
        "versions": {**versions(), "torch": torch_version},
        "rounds": rounds,
        "history": HISTORY,
        "cases": [measure_case(*case, rounds=rounds) for case in cases],
        "runs": [measure_run(0.25, 128 if quick else 384, 20 if quick else 300)],
    }


def as_markdown(result: dict) -> str:
    """The record as a page with two tables."""
    lines = [
        f"# {result['device']}, {result['date']}",
        "",
        "Made by `python scripts/benchmark.py`; how is in its first lines. Medians of "
        f"{result['rounds']} rounds, taking turns; history {result['history']}.",
        "",
        ", ".join(f"{k} {v}" for k, v in result["versions"].items() if v),
        "",
        "| width | picture | evaluation | step | PyTorch | evaluation and step / it |",
        "|---|---|---|---|---|---|",
    ]
    for case in result["cases"]:
        torch, reference = case["torch_seconds"], "| not installed | |"
        if torch:
            both = (case["evaluation_over_torch"], case["step_over_torch"])
            reference = f"| {torch:.4f} s | {both[0]:.2f}, {both[1]:.2f} |"
        lines.append(
            f"| {case['width']:g} | {case['picture']} "
            f"| {case['evaluation_seconds']:.4f} s "
            f"| {case['step_over_evaluation']:.2f} x evaluation {reference}"
        )
    lines += [
        "",
        "| width | picture | iterations | process | compile | steps | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in result["runs"]:
        lines.append(
            f"| {run['width']:g} | {run['picture']} | {run['iterations']} "
            f"| {run['seconds']:.1f} s | {run['compile_seconds']:.1f} s "
            f"| {run['solve_seconds']:.1f} s "
            f"| {run['peak_memory_bytes'] / 1e9:.2f} GB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    parser.add_argument(
        "--out", type=Path, help="folder for the record; none if absent"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    options = parser.parse_args()
    result = benchmark(quick=options.quick)
    page = as_markdown(result)
    print(page)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        device = "".join(c if c.isalnum() else "-" for c in result["device"].lower())
        stem = options.out / f"{result['date']}-{device.strip('-')}"
        stem.with_suffix(".md").write_text(page)
        stem.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
