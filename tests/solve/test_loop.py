import itertools

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


@pytest.mark.parametrize(
    ("steps", "pace", "pauses", "expected"),
    [
        (0, None, (), 1),  # the first step is timed alone
        (1, 10.0, (), 1),  # slower than a chunk
        (1, 1e-9, (), loop.LONGEST_CHUNK),
        (1, 0.1, (), 5),
        (1, 0.1, (3,), 3),  # iterations 1, 2, 3
        (4, 0.1, (3,), 5),
        (499, 0.1, (), 2),  # 499 and 500
    ],
)
def test_chunks_end_at_pauses(steps, pace, pauses, expected):
    assert loop._chunk_length(steps, 500, pace, frozenset(pauses)) == expected
