import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve import loop
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from nst_jax.types import LossTerms


def bowl(picture, problem):
    total = 0.5 * jnp.sum((picture - problem) ** 2)
    zero = jnp.zeros(())
    return total, LossTerms(total, total, zero, zero, {"conv1_1": total}, {})


CENTRE, START = jnp.full((6, 9, 3), 0.25), jnp.zeros((6, 9, 3))


def run(**options):
    return list(optimise(bowl, CENTRE, Adam(0.01), START, **options))


def test_a_record_per_iteration_with_pictures_at_pauses():
    records = run(iterations=30, pauses=frozenset({7, 8, 20}))
    assert [r.iteration for r in records] == list(range(31))
    assert [r.iteration for r in records if r.picture is not None] == [7, 8, 20, 30]
    assert {r.size for r in records} == {9}
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(records))
    assert [r.outcome is not None for r in records] == [False] * 30 + [True]
    assert records[-1].outcome.code == "finished"
    assert records[3].terms.content_layers == {"conv1_1": records[3].terms.total}


def test_pictures_belong_to_their_records():
    for record in run(iterations=20, pauses=frozenset({5, 10})):
        if record.picture is not None:
            total = 0.5 * np.sum((record.picture - np.asarray(CENTRE)) ** 2)
            assert record.terms.total == pytest.approx(total, rel=1e-4)


def test_a_run_stops_when_asked():
    asked = iter([False, False, True])
    records = run(iterations=10_000, should_stop=lambda: next(asked))
    assert records[-1].outcome.code == "interrupted"
    assert records[-1].picture is not None
    assert "stopped on request" in records[-1].outcome.text


def test_a_run_that_cannot_go_down_ends():
    def spiked(picture, problem):
        """Every point but the start is far worse."""
        total = jnp.where(jnp.all(picture == 0), 1.0, 1e6) + jnp.sum(picture)
        zero = jnp.zeros(())
        return total, LossTerms(total, total, zero, zero, {}, {})

    records = list(optimise(spiked, None, LBFGS(3), START, iterations=500))
    assert records[-1].outcome.code == "stalled"
    assert records[-1].iteration < 100
    assert records[-1].terms.total == 1.0


@pytest.mark.run
def test_undone_steps_are_told():
    def narrow(picture, problem):
        total = jnp.sum(jnp.exp(40 * jnp.abs(picture - problem)))
        zero = jnp.zeros(())
        return total, LossTerms(total, total, zero, zero, {}, {})

    records = list(optimise(narrow, CENTRE, LBFGS(3), START, iterations=30))
    assert records[-1].refused > 0
    assert "undone on the way" in records[-1].outcome.text


def test_every_length_of_chunk_is_the_same_program():
    before = loop._chunk._cache_size()
    run(iterations=3, pauses=frozenset({1}))
    run(iterations=40, pauses=frozenset({1, 2, 30}))
    assert loop._chunk._cache_size() - before <= 1


# --- going on ---------------------------------------------------------------------


def valley(picture, problem):
    """Curved, and steeper along some pixels than others."""
    scale = jnp.linspace(0.1, 3, picture.size).reshape(picture.shape)
    total = jnp.sum(scale * (picture - problem) ** 2 + 0.1 * (picture - problem) ** 4)
    zero = jnp.zeros(())
    return total, LossTerms(total, total, zero, zero, {"conv1_1": total}, {})


def never():
    """For ``keep_state``: only the last record has a state."""
    return False


def run_valley(solver, **options):
    options = {"iterations": 12, "keep_state": never, **options}
    return list(optimise(valley, CENTRE, solver, START, **options))


def same_steps(first, second):
    """Whether records tell of the same steps, the clock aside."""
    steps = ([(r.iteration, r.evaluations, r.terms, r.refused, r.outcome) for r in rs]
             for rs in (first, second))  # fmt: skip
    return len({str(step) for step in steps}) == 1


SOLVERS = pytest.mark.parametrize("solver", [LBFGS(3), Adam(0.1)])


@SOLVERS
@pytest.mark.parametrize("split", range(13))
def test_a_run_that_goes_on_is_the_same_to_the_bit(solver, split):
    whole = run_valley(solver)
    asked = iter([False] * split + [True])
    stopped = run_valley(
        solver,
        pauses=frozenset(range(13)),  # chunks of one step
        should_stop=lambda: next(asked),
    )
    assert stopped[-1].iteration == split
    rest = run_valley(solver, resume=stopped[-1].state)
    assert same_steps(rest, whole[split + 1 :] or whole[-1:])
    np.testing.assert_array_equal(rest[-1].picture, whole[-1].picture)
    for a, b in zip(
        *(jax.tree.leaves(r[-1].state) for r in (rest, whole)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@SOLVERS
def test_states_are_kept_when_asked_for_and_stay_as_they_were(solver):
    asked = itertools.cycle([False, False, True])
    records = run_valley(
        solver, pauses=frozenset(range(13)), keep_state=lambda: next(asked)
    )
    kept = [r for r in records if r.state is not None]
    assert [r.iteration for r in kept] == [2, 5, 8, 11, 12]
    for record in kept:
        assert record.state.evaluations == record.evaluations
        assert all(type(x) is np.ndarray for x in jax.tree.leaves(record.state))
        assert record.state.best_terms.total <= record.terms.total
        rest = run_valley(solver, resume=record.state)
        np.testing.assert_array_equal(rest[-1].picture, records[-1].picture)


def test_more_iterations_than_were_asked_for_at_first():
    first, whole = run_valley(LBFGS(3)), run_valley(LBFGS(3), iterations=20)
    rest = run_valley(LBFGS(3), iterations=20, resume=first[-1].state)
    assert same_steps(rest, whole[13:])
    fewer = run_valley(LBFGS(3), iterations=5, resume=first[-1].state)
    assert [r.iteration for r in fewer] == [12]
    assert fewer[0].outcome.code == "finished"
    np.testing.assert_array_equal(fewer[0].picture, first[-1].picture)


def test_a_state_of_another_solver_is_refused():
    state = run_valley(LBFGS(3))[-1].state
    for solver in (LBFGS(4), Adam(0.1)):
        with pytest.raises(ValueError, match="of another solver or size"):
            run_valley(solver, resume=state)


# --- when it ends -----------------------------------------------------------------


def slow(picture, problem):
    """With Adam the loss falls by the same amount at every step."""
    total = 1 + jnp.mean(picture)
    zero = jnp.zeros(())
    return total, LossTerms(total, total, zero, zero, {}, {})


def run_slow(**options):
    options = {"iterations": 400, "tolerance": 0.1, "window": 10, **options}
    return list(optimise(slow, None, Adam(0.005), START + 1, **options))


@pytest.mark.run
def test_a_run_ends_when_the_loss_hardly_falls():
    # Worked out: the loss is 2 - 0.005 k at iteration k. Within ten iterations it
    # falls by 2.5 per cent of itself at first, by 0.05 / (2.05 - 0.005 k) later, and
    # it is looked at when k is even.
    records = run_slow()
    assert records[-1].iteration == 10
    assert records[-1].outcome.code == "converged"
    assert "fell by less than 0.1 of itself within 10 iterations, after 10 of 400" in (
        records[-1].outcome.text
    )
    assert run_slow(tolerance=0.024, iterations=300)[-1].outcome.code == "finished"
    assert run_slow(tolerance=None, iterations=300)[-1].outcome.code == "finished"


@pytest.mark.parametrize("split", [3, 7, 10, 13])
def test_the_loss_hardly_falls_after_a_run_went_on_either(split, monkeypatch):
    def run(**options):
        return list(
            optimise(
                bowl, CENTRE, Adam(0.05), START, iterations=300, tolerance=0.2,
                window=12, **{"keep_state": never, **options},
            )
        )  # fmt: skip

    whole = run()
    assert whole[-1].outcome.code == "converged"
    assert split < whole[-1].iteration < 300
    monkeypatch.setattr(loop, "SHORTEST_CHUNK", 1)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 0)  # other chunks end at the same place
    asked = iter([False] * split + [True])
    first = run(should_stop=lambda: next(asked))
    rest = run(
        resume=first[-1].state, totals=[r.terms.total for r in whole[: split + 1]]
    )
    assert same_steps(rest, whole[split + 1 :])
    again = run(resume=rest[-1].state, totals=[r.terms.total for r in whole])
    assert same_steps(again, whole[-1:])


def test_a_run_ends_when_its_time_is_over():
    began = time.perf_counter() - 119.5

    def run(**options):
        limits = {"iterations": 10**6, "minutes": 2, "began": began}
        options = {"keep_state": never, **limits, **options}
        return list(optimise(slow, None, Adam(1e-6), START, **options))

    records = run()
    assert records[-1].outcome.code == "time"
    assert records[-1].iteration < 10**6
    assert records[-1].outcome.text.startswith("2 minutes were over after ")
    assert records[-1].seconds >= 119.5
    again = run(resume=records[-1].state)
    assert [r.iteration for r in again] == [records[-1].iteration]


@pytest.mark.parametrize(
    ("steps", "pace", "pauses", "expected"),
    [
        (0, None, (), 1),  # the first step is timed alone
        (1, 10.0, (), 1),  # slower than a chunk
        (1, 1.0, (), 4),  # chunks of one step cost more
        (1, 1.0, (3,), 3),
        (1, 1e-9, (), loop.LONGEST_CHUNK),
        (1, 0.1, (), 5),
        (1, 0.1, (3,), 3),  # iterations 1, 2, 3
        (4, 0.1, (3,), 5),
        (499, 0.1, (), 2),  # 499 and 500
    ],
)
def test_chunks_end_at_pauses(steps, pace, pauses, expected):
    assert loop.chunk_length(steps, 500, pace, frozenset(pauses)) == expected


@pytest.mark.parametrize(("steps", "expected"), [(1, 10), (10, 1), (11, 10), (495, 6)])
def test_chunks_end_where_the_tolerance_is_looked_at(steps, expected):
    assert loop.chunk_length(steps, 500, 1e-9, frozenset(), every=10) == expected
