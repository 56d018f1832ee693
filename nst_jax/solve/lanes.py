"""The loop for many runs at once: lanes of one compiled program, under ``jax.vmap``.

Each lane has its own problem and start, and takes one evaluation per step, whatever
the others do: a lane in trouble shortens its own steps only. A lane that is over goes
on unheeded until all are, since the program is one.

On a CPU the lanes' objectives are evaluated two at a time. All at once the network's
responses outgrow the caches: 1.16 times the time of a lone run per lane and step was
measured so, for 16 lanes of 256 pixels. Accelerators take all at once.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nst_jax.solve.loop import (
    LONGEST_CHUNK,
    Limits,
    Outcome,
    Record,
    chunk_length,
    give_back,
    look_every,
    outcome_of,
)
from nst_jax.solve.state import Solver, State
from nst_jax.types import Device, Image, LossTerms

LANES = PartitionSpec("lanes")


class LaneRecord(NamedTuple):
    """A record (see ``solve.loop``), and the number of the lane that it is of."""

    lane: int
    record: Record


class _Rows(NamedTuple):
    """What a chunk brings back: arrays with an entry per step and lane."""

    terms: LossTerms
    evaluations: jax.Array
    refused: jax.Array


class _End(NamedTuple):
    """How a lane ended, and the losses of its best picture."""

    outcome: Outcome
    best_terms: LossTerms


def optimise_lanes(
    objective,
    problems,
    solver: Solver,
    starts: Image,
    *,
    axes,
    iterations: int,
    minutes: float | None = None,
    tolerance: float | None = None,
    window: int = 50,
    should_stop: Callable[[], bool] = lambda: False,
    began: float | None = None,
    devices: Sequence[Device] = (),
) -> Iterator[LaneRecord]:
    """Minimise ``objective(picture, problem)`` for many problems at once.

    Args:
        objective: hashable; ``(picture, problem) -> (total, LossTerms)``.
        problems: pytree of arrays; those that differ between lanes have an axis more
            in front.
        solver: hashable; see ``solve.state.Solver``.
        starts: (lanes, h, w, 3).
        axes: like ``problems`` or a prefix of it: 0 where lanes differ, None where
            they share; hashable.
        iterations: steps of each lane after the evaluation of its start.
        minutes: see ``solve.loop.optimise``.
        tolerance: see there; each lane by itself.
        window: see there.
        should_stop: asked between chunks; True ends all lanes.
        began: ``time.perf_counter()`` value that ``Record.seconds`` counts from.
        devices: spread the lanes over these, which are of this process; none or one:
            they stay where they are.

    Yields:
        The records of each lane in order; its last one has picture and outcome. Times
        are those of all lanes together. A lane whose start has no finite objective
        ends at once, as "diverged".
    """
    began = time.perf_counter() if began is None else began
    limits = Limits(iterations, minutes, tolerance, window)
    lanes, size = len(starts), max(starts.shape[1:3])
    program = _Program(objective, solver, axes)
    if len(devices) > 1:
        program = program._replace(mesh=Mesh(np.array(devices), ("lanes",)))
        problems, starts = _spread(program, problems, starts)
    if next(iter(starts.devices())).platform == "cpu":
        program = program._replace(objective=_InPairs(objective))
    states = _first_states(program, problems, starts)
    states, compile_seconds = _compile(program, problems, states)
    going, totals = list(range(lanes)), [[] for _ in range(lanes)]
    steps, solved, pace = 0, 0.0, None
    while going:
        count = chunk_length(
            steps, iterations, pace, frozenset(), every=look_every(limits)
        )
        before = time.perf_counter()
        states, rows = _chunk(program, problems, states, count)
        rows, books = jax.device_get((rows, _books(states)))
        now = time.perf_counter()
        pace, stop = (now - before) / count, should_stop()
        ends: dict[int, _End] = {}
        for lane in going:
            totals[lane] += rows.terms.total[:count, lane].tolist()
            book = jax.tree.map(lambda leaf, i=lane: leaf[i], books)
            outcome = _lane_outcome(
                book, steps + count - 1, limits, totals[lane], now - began, stop
            )
            if outcome is not None:
                ends[lane] = _End(outcome, jax.tree.map(float, book.best_terms))
        pictures = _pictures(states, ends)
        for lane in going:
            for index, (terms, evaluations, refused) in enumerate(
                _of_lane(rows, lane, count)
            ):
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
                if index == count - 1 and lane in ends:
                    outcome, best = ends[lane]
                    record = record._replace(
                        terms=best, picture=pictures[lane], outcome=outcome
                    )
                yield LaneRecord(lane, record)
        going = [lane for lane in going if lane not in ends]
        steps, solved = steps + count, solved + pace * count


class _Program(NamedTuple):
    """What the compiled program depends on, but for shapes; see ``optimise_lanes``."""

    objective: Any
    solver: Solver
    axes: Any
    mesh: Mesh | None = None

    def on_each_device(self, function: Callable, places, out) -> Callable:
        """``function`` of the lanes on a device, all devices doing their own.

        Args:
            function: of arrays with lanes in front, and such that all lanes share.
            places: of its arguments: 0 for the former, None for the latter.
            out: of its results; the axis of the lanes, 0 or 1.
        """
        if self.mesh is None:
            return function
        specs = {None: PartitionSpec(), 0: LANES, 1: PartitionSpec(None, "lanes")}
        in_specs, out_specs = jax.tree.map(
            specs.__getitem__, (places, out), is_leaf=lambda place: place is None
        )
        # Nothing is exchanged between devices: no lane depends on another.
        return jax.shard_map(
            function, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs,
            check_vma=False,
        )  # fmt: skip


def _spread(program: _Program, problems, starts):
    """Lanes over the devices, as many on each; what they share on all of them."""
    mesh = program.mesh
    assert mesh is not None
    apart, same = NamedSharding(mesh, LANES), NamedSharding(mesh, PartitionSpec())
    # The last lane once more, until there are as many for each device.
    missing = -len(starts) % mesh.size

    def spread(axis, tree):
        if axis is None:
            return jax.device_put(tree, same)
        return jax.tree.map(
            lambda leaf: jax.device_put(
                jnp.concatenate([leaf, jnp.repeat(leaf[-1:], missing, axis=0)]), apart
            ),
            tree,
        )

    # Axes may be a prefix of problems: None stands for all that is below it.
    problems = jax.tree.map(
        spread, program.axes, problems, is_leaf=lambda axis: axis is None
    )
    return problems, spread(0, starts)


def _first_states(program: _Program, problems, starts) -> State:
    states = _initial(program, problems, starts)
    # Chunks take their state's buffers over, so each must be a buffer of its own.
    return states._replace(
        picture=jnp.copy(states.picture), best_picture=jnp.copy(states.best_picture)
    )


@partial(jax.jit, static_argnums=0)
def _initial(program: _Program, problems, starts) -> State:
    def one(problem, start):
        loss = partial(program.objective, problem=problem)
        return program.solver.init(loss, start)

    places = program.axes, 0
    initial = jax.vmap(one, in_axes=places)
    return program.on_each_device(initial, places, 0)(problems, starts)


def _compile(program: _Program, problems, states: State) -> tuple[State, float]:
    """A chunk of no steps compiles the loop; see ``solve.loop``."""
    before = time.perf_counter()
    give_back()
    states, rows = _chunk(program, problems, states, 0)
    jax.block_until_ready(rows)
    give_back()
    return states, time.perf_counter() - before


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def _chunk(program: _Program, problems, states: State, count) -> tuple[State, _Rows]:
    """``count`` steps of every lane; it is traced, so one program makes any number."""

    def one(problem, state):
        loss = partial(program.objective, problem=problem)
        return program.solver.step(loss, state)

    step = jax.vmap(one, in_axes=(program.axes, 0))

    def steps(problems, states, count):
        def body(index, carry):
            states, rows = carry
            states = step(problems, states)
            new = _Rows(states.terms, states.evaluations, states.refused)
            return states, jax.tree.map(lambda a, b: a.at[index].set(b), rows, new)

        def empty(leaf):
            return jnp.zeros((LONGEST_CHUNK, *leaf.shape), leaf.dtype)

        rows = _Rows(states.terms, states.evaluations, states.refused)
        return jax.lax.fori_loop(0, count, body, (states, jax.tree.map(empty, rows)))

    places = program.axes, 0, None
    return program.on_each_device(steps, places, (0, 1))(problems, states, count)


def _books(states: State) -> State:
    """The states without what is large: a few numbers per lane."""
    return states._replace(picture=None, best_picture=None, inner=None)  # pyright: ignore


def _of_lane(
    rows: _Rows, lane: int, count: int
) -> Iterator[tuple[LossTerms, int, int]]:
    """A lane's rows, step by step, as Python numbers."""
    leaves, structure = jax.tree.flatten(rows)
    columns = [leaf[:count, lane].tolist() for leaf in leaves]
    return (structure.unflatten(values) for values in zip(*columns, strict=True))


def _lane_outcome(
    books: State,
    done: int,
    limits: Limits,
    totals: Sequence[float],
    seconds: float,
    stop: bool,
) -> Outcome | None:
    if not np.isfinite(totals[0]):
        return Outcome(
            "diverged", "the objective of the starting picture is not finite"
        )
    return outcome_of(books, done, limits, totals, seconds, stop=stop)


def _pictures(states: State, lanes: Collection[int]) -> dict[int, np.ndarray]:
    """The best pictures of some lanes, fetched at once."""
    if not lanes:
        return {}
    pictures = np.asarray(states.best_picture)
    # Copies: the next chunk takes over the buffer that this may be a view of.
    return {lane: pictures[lane].copy() for lane in lanes}


# --- two at a time ----------------------------------------------------------------


class _InPairs(NamedTuple):
    """The same objective; ``jax.vmap`` of its gradient takes two lanes at a time."""

    objective: Any

    def __call__(self, picture: Image, problem):
        return _paired(self.objective, picture, problem)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _paired(objective, picture, problem):
    return objective(picture, problem)


def _paired_forward(objective, picture, problem):
    @custom_vmap
    def evaluate(picture, problem):
        return jax.value_and_grad(objective, has_aux=True)(picture, problem)

    @evaluate.def_vmap
    def evaluate_lanes(lanes, batched, picture, problem):
        leaves, structure = jax.tree.flatten((picture, problem))
        flags = jax.tree.leaves(batched)

        def one(own):
            rest = iter(own)
            merged = [
                next(rest) if flag else leaf
                for leaf, flag in zip(leaves, flags, strict=True)
            ]
            picture, problem = structure.unflatten(merged)
            return jax.value_and_grad(objective, has_aux=True)(picture, problem)

        own = [leaf for leaf, flag in zip(leaves, flags, strict=True) if flag]
        # One left over would need a program of its own.
        result = jax.lax.map(one, own, batch_size=2 if lanes % 2 == 0 else None)
        return result, jax.tree.map(lambda _: True, result)

    return evaluate(picture, problem)


def _paired_backward(objective, gradient, cotangents):
    return cotangents[0] * gradient, None


_paired.defvjp(_paired_forward, _paired_backward)
