"""The only loop: chunks of steps on the device, one record per step out."""

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.solve.state import AVERAGE, Solver, State
from nst_jax.types import Image, LossTerms

# A chunk aims at this many seconds: long enough that the host's part is nothing,
# short enough that progress moves and Ctrl-C is answered.
CHUNK_SECONDS = 0.5
LONGEST_CHUNK = 64
# Each chunk turns kernels into the form that its convolutions want, and takes fresh
# memory: on a CPU, chunks of one step cost up to a quarter more per step.
SHORTEST_CHUNK, SHORTEST_SECONDS = 4, 5.0
# Steps refused in a row after which the run is over: each is shorter than the one
# before, and the history has been dropped many times.
STALLED_AFTER = 30
# ``tolerance`` is looked at so many times per window, at fixed iterations: were it at
# the ends of chunks, which depend on the clock, no run would repeat.
LOOKS_PER_WINDOW = 5


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
            picture, which is the one handed out, even if its step was not the last; of
            a solver that hands out an average, those of its last picture.
        compile_seconds: time spent compiling the loop.
        solve_seconds: time spent in its steps so far, by this process.
        refused: steps refused so far.
        scale: index of the scale that the step belongs to, from coarse to fine.
        state: the solver's state after the step, as NumPy arrays, where it was asked
            for and at the end; else None.
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
    scale: int = 0
    state: State | None = None


class Resume(NamedTuple):
    """Where a run of one or several scales goes on.

    Attributes:
        record: the last one that was handed out.
        state: the solver's state after it.
    """

    record: Record
    state: State


class Limits(NamedTuple):
    """What ends a run; see ``optimise``."""

    iterations: int
    minutes: float | None = None
    tolerance: float | None = None
    window: int = 50


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
    minutes: float | None = None,
    tolerance: float | None = None,
    window: int = 50,
    pauses: frozenset[int] = frozenset(),
    should_stop: Callable[[], bool] = lambda: False,
    keep_state: Callable[[], bool] | None = None,
    began: float | None = None,
    resume: State | None = None,
    totals: Sequence[float] = (),
) -> Iterator[Record]:
    """Minimise ``objective(picture, problem)`` from ``start``.

    Args:
        objective: hashable; ``(picture, problem) -> (total, LossTerms)``.
        problem: pytree of arrays.
        solver: hashable; see ``solve.state.Solver``.
        start: (h, w, 3).
        iterations: steps after the evaluation of the start.
        minutes: ends the run so long after ``began``; None: no limit.
        tolerance: ends the run when the best objective fell by less than this share
            of itself within the last ``window`` iterations; None: never.
        window: see ``tolerance``.
        pauses: iterations whose record must carry the picture.
        should_stop: asked between chunks; True ends the run with what there is.
        keep_state: asked between chunks; True makes the chunk's last record carry the
            solver's state, as the last record of all does then. None: none does.
        began: ``time.perf_counter()`` value that ``Record.seconds`` counts from.
        resume: a ``Record.state`` to go on from; the next record is that of the next
            iteration. On a CPU the rest of the run is then the same to the bit.
        totals: objectives of the iterations that led to ``resume``, oldest first, as
            their records have them; only ``tolerance`` needs them.

    Yields:
        ``iterations + 1`` records, unless the run ends early; the last one has the
        picture and the outcome. After ``resume`` those that were still to
        come; if there are none, its last one once more.

    Raises:
        ValueError: if the objective of the start is not finite, or if ``resume`` is of
            another solver or size.
    """
    began = time.perf_counter() if began is None else began
    limits = Limits(iterations, minutes, tolerance, window)
    loss = partial(objective, problem=problem)
    state = _first_state(solver, loss, start, resume)
    size, steps, solved = max(start.shape[:2]), int(state.evaluations), 0.0
    pace, outcome = None, None
    totals = list(totals)
    if steps > 0:
        seconds = time.perf_counter() - began
        outcome = outcome_of(state, steps - 1, limits, totals, seconds)
        if outcome is not None:
            yield _end_again(state, size, seconds, outcome)
            return
    state, compile_seconds = _compile(objective, solver, problem, state)
    while outcome is None:
        count = chunk_length(steps, iterations, pace, pauses, every=look_every(limits))
        before = time.perf_counter()
        state, rows = _chunk(objective, solver, problem, state, count)
        losses = jax.device_get((rows.terms, rows.evaluations, rows.refused))
        now = time.perf_counter()
        pace = (now - before) / count
        if steps == 0:
            _check_start(losses[0])
        totals += losses[0].total[:count].tolist()
        outcome = outcome_of(
            state, steps + count - 1, limits, totals, now - began, stop=should_stop()
        )
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
                if keep_state and (outcome is not None or keep_state()):
                    record = record._replace(state=_on_host(state))
            yield record
        del record  # its state is as large as the solver's own
        steps, solved = steps + count, solved + pace * count


def _first_state(solver: Solver, loss, start: Image, resume: State | None) -> State:
    if resume is None:
        return _apart(solver.init(loss, jnp.array(start)))
    expected = jax.eval_shape(partial(solver.init, loss), jnp.asarray(start))
    fits = jax.tree.structure(resume) == jax.tree.structure(expected) and all(
        np.shape(leaf) == wanted.shape
        for leaf, wanted in zip(
            jax.tree.leaves(resume), jax.tree.leaves(expected), strict=True
        )
    )
    if not fits:
        raise ValueError("the state to go on from is of another solver or size")
    return jax.tree.map(lambda x, y: jnp.array(x, y.dtype), resume, expected)


def _apart(state: State) -> State:
    """Chunks take their state's buffers over, so each must be a buffer of its own."""
    seen: set[int] = set()

    def own(leaf):
        if id(leaf) in seen:
            return jnp.copy(leaf)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(own, state)


def _on_host(state: State) -> State:
    # A copy: the next chunk takes over the buffers that a view would look at.
    return jax.tree.map(lambda leaf: np.array(leaf), state)


def look_every(limits: Limits) -> int:
    """How many iterations lie between two looks at ``tolerance``; 0: no looks."""
    if limits.tolerance is None:
        return 0
    return max(1, limits.window // LOOKS_PER_WINDOW)


def _converged(totals: Sequence[float], done: int, limits: Limits) -> bool:
    every, before = look_every(limits), totals[: -limits.window]
    if limits.tolerance is None or done % every or not before:
        return False
    return min(totals) > (1 - limits.tolerance) * min(before)


def _end_again(state: State, size: int, seconds: float, outcome: Outcome) -> Record:
    """The last record of a run of which nothing is left to do."""
    return Record(
        iteration=int(state.evaluations) - 1,
        evaluations=int(state.evaluations),
        seconds=seconds,
        size=size,
        terms=jax.tree.map(float, jax.device_get(state.best_terms)),
        picture=np.array(state.best_picture),
        outcome=outcome,
        refused=int(state.refused),
        state=_on_host(state),
    )


def _compile(objective, solver, problem, state: State) -> tuple[State, float]:
    """A chunk of no steps compiles the loop; the same program then runs any number."""
    before = time.perf_counter()
    give_back()
    state, rows = _chunk(objective, solver, problem, state, 0)
    jax.block_until_ready(rows)
    give_back()
    return state, time.perf_counter() - before


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it.

    After preparing and after compiling that is 0.2 to 0.3 GB, on top of which the run's
    own arrays would come.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc


def chunk_length(
    steps: int, iterations: int, pace, pauses: frozenset[int], *, every: int = 0
) -> int:
    """Steps until the next pause, the end, or about ``CHUNK_SECONDS``.

    ``every``: pause also at its multiples, if it is not 0.
    """
    wished = 1 if pace is None else int(CHUNK_SECONDS / max(pace, 1e-6))
    if pace is not None and pace * SHORTEST_CHUNK <= SHORTEST_SECONDS:
        wished = max(wished, SHORTEST_CHUNK)
    # Step number k (from 0) is iteration k.
    stops = [pause for pause in (*pauses, iterations) if pause >= steps]
    if every:
        stops.append(-(-steps // every) * every)
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


def outcome_of(
    state: State,
    done: int,
    limits: Limits,
    totals: Sequence[float],
    seconds: float,
    *,
    stop: bool = False,
) -> Outcome | None:
    """Whether the run ends after iteration ``done``, and in what words."""
    after = f"after {done} of {limits.iterations} iterations"
    if done >= limits.iterations:
        code, text = "finished", f"all iterations were made ({limits.iterations})"
    elif stop:
        code, text = "interrupted", f"stopped on request {after}"
    elif int(state.refused_in_a_row) >= STALLED_AFTER:
        code = "stalled"
        text = (
            f"no step led down any more {after}; float32 gives no better picture from "
            "here"
        )
    elif _converged(totals, done, limits):
        code = "converged"
        text = (
            f"the loss fell by less than {limits.tolerance:.2g} of itself within "
            f"{limits.window} iterations, {after}"
        )
    elif limits.minutes is not None and seconds >= 60 * limits.minutes:
        code, text = "time", f"{limits.minutes:g} minutes were over {after}"
    else:
        return None
    if int(state.best_step) == AVERAGE:
        text += "; the picture is an average over the last iterations"
    else:
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
