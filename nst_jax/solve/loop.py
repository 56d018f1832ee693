"""The only loop: chunks of steps on the device, one record per step out."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.solve.state import Solver, State
from nst_jax.types import Image, LossTerms

# A chunk aims at this many seconds: long enough that the host's part is nothing,
# short enough that progress moves and Ctrl-C is answered.
CHUNK_SECONDS = 0.5
LONGEST_CHUNK = 64
# Steps refused in a row after which the run is over: each is shorter than the one
# before, and the history has been dropped many times.
STALLED_AFTER = 30


class Outcome(NamedTuple):
    """Why a run ended: a code for programs, a sentence for people."""

    code: str
    text: str


class Record(NamedTuple):
    """One step of a run.

    Attributes:
        iteration: 0 is the start.
        evaluations: evaluations of objective and gradient so far.
        seconds: since ``began``; interpolated within a chunk.
        size: longer side of the picture.
        terms: losses, as Python floats.
        picture: the best picture so far as (h, w, 3) float32, at pauses and at the
            end; else None. Not clipped to [0, 1].
        outcome: at the end, else None. The last record holds the losses of the best
            picture, which is the one handed out, even if its step was not the last.
        compile_seconds: time spent compiling the loop.
        solve_seconds: time spent in its steps so far.
        refused: steps refused so far.
    """

    iteration: int
    evaluations: int
    seconds: float
    size: int
    terms: LossTerms
    picture: np.ndarray | None = None
    outcome: Outcome | None = None
    compile_seconds: float = 0.0
    solve_seconds: float = 0.0
    refused: int = 0


class Rows(NamedTuple):
    """What a chunk brings back: arrays with one entry per step, and the best."""

    terms: LossTerms
    evaluations: jax.Array
    refused: jax.Array
    best_picture: Image


def optimise(
    objective,
    problem,
    solver: Solver,
    start: Image,
    *,
    iterations: int,
    pauses: frozenset[int] = frozenset(),
    should_stop: Callable[[], bool] = lambda: False,
    began: float | None = None,
) -> Iterator[Record]:
    """Minimise ``objective(picture, problem)`` from ``start``.

    Args:
        objective: hashable; ``(picture, problem) -> (total, LossTerms)``.
        problem: pytree of arrays.
        solver: hashable; see ``solve.state.Solver``.
        start: (h, w, 3).
        iterations: steps after the evaluation of the start.
        pauses: iterations whose record must carry the picture.
        should_stop: asked between chunks; True ends the run with what there is.
        began: ``time.perf_counter()`` value that ``Record.seconds`` counts from.

    Yields:
        ``iterations + 1`` records, unless the run ends early; the last one has the
        picture and the outcome.

    Raises:
        ValueError: if the objective of the start is not finite.
    """
    began = time.perf_counter() if began is None else began
    size, steps, solved = max(start.shape[:2]), 0, 0.0
    pace, outcome = None, None
    state = solver.init(partial(objective, problem=problem), jnp.asarray(start))
    # Chunks take their state's buffers over, so each must be a buffer of its own.
    state = jax.tree.map(jnp.copy, state)
    state, compile_seconds = _compile(objective, solver, problem, state)
    while outcome is None:
        count = _chunk_length(steps, iterations, pace, pauses)
        before = time.perf_counter()
        state, rows = _chunk(objective, solver, problem, state, count)
        losses = jax.device_get((rows.terms, rows.evaluations, rows.refused))
        pace = (time.perf_counter() - before) / count
        if steps == 0:
            _check_start(losses[0])
        outcome = _outcome(state, steps + count - 1, iterations, should_stop())
        for index in range(count):
            terms, evaluations, refused = jax.tree.map(
                lambda values, i=index: values[i].item(), losses
            )
            record = Record(
                iteration=steps + index,
                evaluations=evaluations,
                seconds=before - began + pace * (index + 1),
                size=size,
                terms=terms,
                compile_seconds=compile_seconds,
                solve_seconds=solved + pace * (index + 1),
                refused=refused,
            )
            if index == count - 1:
                record = _with_picture(record, state, rows, outcome, pauses)
            yield record
        steps, solved = steps + count, solved + pace * count


def _compile(objective, solver, problem, state: State) -> tuple[State, float]:
    """A chunk of no steps compiles the loop; the same program then runs any number."""
    before = time.perf_counter()
    state, rows = _chunk(objective, solver, problem, state, 0)
    jax.block_until_ready(rows)
    return state, time.perf_counter() - before


def _chunk_length(steps: int, iterations: int, pace, pauses: frozenset[int]) -> int:
    """Steps until the next pause, the end, or about ``CHUNK_SECONDS``."""
    wished = 1 if pace is None else int(CHUNK_SECONDS / max(pace, 1e-6))
    # Step number k (from 0) is iteration k.
    stops = [pause for pause in (*pauses, iterations) if pause >= steps]
    return max(1, min(wished, LONGEST_CHUNK, min(stops) - steps + 1))


def _check_start(terms: LossTerms) -> None:
    if not np.isfinite(terms.total[0]):
        parts = ", ".join(
            f"{name} {getattr(terms, name)[0]:g}" for name in ("content", "style", "tv")
        )
        raise ValueError(
            f"the objective of the starting picture is not finite ({parts}); lower "
            "alpha, beta, tv or the layers' weights"
        )


def _outcome(state: State, done: int, iterations: int, stop: bool) -> Outcome | None:
    """Whether the run ends after iteration ``done``, and in what words."""
    if done >= iterations:
        code, text = "finished", f"all iterations were made ({iterations})"
    elif stop:
        code = "interrupted"
        text = f"stopped on request after {done} of {iterations} iterations"
    elif int(state.refused_in_a_row) >= STALLED_AFTER:
        code = "stalled"
        text = (
            f"no step led down any more after {done} of {iterations} iterations; "
            "float32 gives no better picture from here"
        )
    else:
        return None
    text += f"; the picture is that of iteration {int(state.best_step)}"
    if refused := int(state.refused):
        text += f"; {refused} step{'s' if refused > 1 else ''} undone on the way"
    return Outcome(code, text)


def _with_picture(record: Record, state: State, rows, outcome, pauses) -> Record:
    if outcome is None and record.iteration not in pauses:
        return record
    record = record._replace(picture=np.asarray(rows.best_picture), outcome=outcome)
    if outcome is None:
        return record
    best = jax.tree.map(float, jax.device_get(state.best_terms))
    return record._replace(terms=best)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def _chunk(objective, solver, problem, state: State, count) -> tuple[State, Rows]:
    """``count`` steps; it is traced, so every length runs the same program."""

    def loss(picture):
        return objective(picture, problem)

    def body(index, carry):
        state, terms, evaluations, refused = carry
        state = solver.step(loss, state)
        write = lambda rows, value: rows.at[index].set(value)  # noqa: E731
        terms = jax.tree.map(write, terms, state.terms)
        return (
            state, terms, write(evaluations, state.evaluations),
            write(refused, state.refused),
        )  # fmt: skip

    def empty(leaf):
        return jnp.zeros((LONGEST_CHUNK, *leaf.shape), leaf.dtype)

    carry = (
        state, jax.tree.map(empty, state.terms), empty(state.evaluations),
        empty(state.refused),
    )  # fmt: skip
    state, terms, evaluations, refused = jax.lax.fori_loop(0, count, body, carry)
    return state, Rows(terms, evaluations, refused, state.best_picture)
