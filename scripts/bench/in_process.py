"""Evaluations, steps and the host's part, measured inside this process."""

import time
from collections import deque
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import jax

from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from scripts.bench.cases import (
    TINY,
    Spec,
    Steps,
    evaluation,
    loop,
    make_case,
    ratio,
    seconds_of,
    take_turns,
    torch_evaluation,
)

Entry = dict[str, Any]
# Evaluations or steps per turn: for about half a second, between these.
FEWEST, MOST = 2, 50


class SolverSpec(NamedTuple):
    """A case, and the history to measure its steps with."""

    spec: Spec
    history: int

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{self.spec.name}, history {self.history}"


def evaluation_specs(*, gpu: bool, quick: bool) -> list[Spec]:
    """The sizes, widths and precisions of the table."""
    sizes: list[tuple[float | str, int, int]]
    if quick:
        sizes = [(1 / 16, 48, 64)]
    elif gpu:
        sizes = [(1.0, size, size) for size in (512, 1024, 2048)]
    else:
        sizes = [(1.0, 256, 256), (1.0, 512, 512)]
        sizes += [(0.25, 288, 384), (0.25, 384, 512), (TINY, 384, 512)]
    precisions = ("float32", "default", "bfloat16") if gpu else ("float32", "bfloat16")
    return [Spec(*size, precision) for size in sizes for precision in precisions]


def measure_evaluation(spec: Spec, *, rounds: int) -> Iterator[tuple[str, Entry]]:
    """One evaluation: alone, in a loop, and in PyTorch, taking turns."""
    case = make_case(spec)
    alone = evaluation(case)
    count = _count(alone)
    reference = torch_evaluation(case, "float32")
    same = None
    if spec.precision != "float32":
        same = torch_evaluation(case, spec.precision)
    functions = {
        "alone": alone,
        "loop": loop(case, count),
        "torch": reference,
        "torch_same": same,
    }
    there = {name: function for name, function in functions.items() if function}
    times = dict(zip(there, take_turns(rounds, *there.values()), strict=True))
    times["loop"] = [seconds / count for seconds in times["loop"]]
    entry: Entry = {
        "case": f"{spec.name}, {spec.precision}",
        "rounds": rounds,
        "alone_seconds": median(times["alone"]),
        "loop_seconds": median(times["loop"]),
        "loop_over_alone": ratio(times["loop"], times["alone"]),
    }
    for name in ("torch", "torch_same"):
        known = name in times
        entry[f"{name}_seconds"] = median(times[name]) if known else None
        over = ratio(times["loop"], times[name]) if known else None
        entry[f"loop_over_{name}"] = over
    yield "evaluation", entry


def solver_specs(*, gpu: bool, quick: bool) -> list[SolverSpec]:
    """The cases whose steps are measured."""
    if quick:
        return [SolverSpec(Spec(1 / 16, 48, 64), 4)]
    precision = "default"
    widths: tuple[float | str, ...] = (0.25, 1.0)
    return [
        SolverSpec(Spec(width, 512, 512, precision), history)
        for width in widths
        for history in (40, 100)
    ]


def measure_solver(wanted: SolverSpec, *, rounds: int) -> Iterator[tuple[str, Entry]]:
    """A step in the solver's loop, over an evaluation outside and inside a loop."""
    case = make_case(wanted.spec)
    alone = evaluation(case)
    count = _count(alone)
    steps = Steps(case, history=wanted.history, count=count)
    times = take_turns(rounds, alone, loop(case, count), steps)
    inside, stepping = ([t / count for t in kept] for kept in times[1:])
    yield (
        "solver",
        {
            "case": f"{wanted.name}, {wanted.spec.precision}",
            "rounds": rounds,
            "evaluation_seconds": median(times[0]),
            "loop_seconds": median(inside),
            "step_seconds": median(stepping),
            "step_over_evaluation": ratio(stepping, times[0]),
            "step_over_loop": ratio(stepping, inside),
            "refused": steps.refused,
        },
    )


def host_specs(*, gpu: bool, quick: bool) -> list[Spec]:
    """The cases whose chunks are looked at: quick steps, where the host counts most."""
    if quick:
        return [Spec(1 / 16, 48, 64)]
    precision = "default" if gpu else "float32"
    return [Spec(TINY, 384, 512, precision), Spec(1.0, 512, 512, precision)]


def measure_host(
    spec: Spec, *, seconds: float, history: int = 20
) -> Iterator[tuple[str, Entry]]:
    """The share of a run's time that passes between chunks."""
    case = make_case(spec)
    evaluate = evaluation(case)
    evaluate()
    pace = seconds_of(evaluate)
    iterations = max(20, min(2000, round(seconds / pace)))
    records = optimise(
        case.objective, case.problem, LBFGS(history), case.start, iterations=iterations
    )
    first = next(records)
    began = time.perf_counter()
    last = deque(records, maxlen=1)[0]
    ended = time.perf_counter()
    in_chunks = last.solve_seconds - first.solve_seconds
    yield (
        "host",
        {
            "case": f"{spec.name}, {spec.precision}",
            "iterations": last.iteration,
            "seconds": ended - began,
            "in_chunks_seconds": in_chunks,
            "between_chunks_share": 1 - in_chunks / (ended - began),
        },
    )


def _count(function) -> int:
    jax.block_until_ready(function())
    return max(FEWEST, min(MOST, round(0.5 / seconds_of(function))))
