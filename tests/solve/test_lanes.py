import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve import lanes as module
from nst_jax.solve.adam import Adam
from nst_jax.solve.lanes import optimise_lanes
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from nst_jax.types import LossTerms

SHAPE = (6, 8, 3)
ITERATIONS = 8


class Problem(NamedTuple):
    target: jax.Array
    weight: jax.Array
    shared: jax.Array


AXES = Problem(0, 0, None)


class Quartic(NamedTuple):
    """weight * mean(d^2 + d^4) + mean((shared x)^2), with d = x - target."""

    def __call__(self, picture, problem):
        d = picture - problem.target
        total = problem.weight * jnp.mean(d**2 + d**4)
        total += jnp.mean((problem.shared * picture) ** 2)
        zero = jnp.zeros(())
        return total, LossTerms(total, total, zero, zero, {}, {})


def make(weights):
    rng = np.random.default_rng(0)
    count = len(weights)
    problems = Problem(
        target=jnp.asarray(rng.random((8, *SHAPE))[:count], jnp.float32),
        weight=jnp.asarray(weights, jnp.float32),
        shared=jnp.asarray(rng.random(SHAPE), jnp.float32),
    )
    return problems, jnp.asarray(rng.normal(size=(8, *SHAPE))[:count], jnp.float32)


def of_lane(problems, lane):
    return Problem(problems.target[lane], problems.weight[lane], problems.shared)


def lone(problems, starts, lane, solver, **options):
    problem = of_lane(problems, lane)
    return list(optimise(Quartic(), problem, solver, starts[lane], **options))


def run(problems, starts, solver, **options):
    """The records of each lane."""
    found = [[] for _ in starts]
    for lane, record in optimise_lanes(
        Quartic(), problems, solver, starts, axes=AXES, **options
    ):
        found[lane].append(record)
    return found


def losses(records):
    return [record.terms.total for record in records]


@pytest.mark.run
@pytest.mark.parametrize("solver", [LBFGS(4), Adam(0.05)])
@pytest.mark.parametrize("count", [3, 4])  # one by one, and in pairs
def test_each_lane_is_the_lone_run(solver, count):
    problems, starts = make([1.0, 30.0, 0.1, 5.0][:count])
    found = run(problems, starts, solver, iterations=ITERATIONS)
    for lane, records in enumerate(found):
        alone = lone(problems, starts, lane, solver, iterations=ITERATIONS)
        np.testing.assert_allclose(losses(records), losses(alone), rtol=1e-4)
        assert [r.iteration for r in records] == list(range(ITERATIONS + 1))
        assert [r.evaluations for r in records] == [r.evaluations for r in alone]
        assert [r.refused for r in records] == [r.refused for r in alone]
        assert records[-1].outcome == alone[-1].outcome
        np.testing.assert_allclose(records[-1].picture, alone[-1].picture, atol=1e-3)
        assert all(r.picture is None and r.outcome is None for r in records[:-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e36])
def test_a_lane_in_trouble_leaves_the_others_as_they_are(bad):
    healthy, starts = make([1.0, 2.0, 3.0, 4.0])
    broken = healthy._replace(weight=healthy.weight.at[1].set(bad))
    expected = run(healthy, starts, LBFGS(4), iterations=ITERATIONS)
    found = run(broken, starts, LBFGS(4), iterations=ITERATIONS)
    for lane in (0, 2, 3):
        assert losses(found[lane]) == losses(expected[lane])
        np.testing.assert_array_equal(
            found[lane][-1].picture, expected[lane][-1].picture
        )


def test_a_start_without_a_finite_objective_has_diverged():
    problems, starts = make([1.0, np.nan])
    found = run(problems, starts, LBFGS(4), iterations=ITERATIONS)
    assert found[1][-1].outcome.code == "diverged"
    assert not np.isfinite(losses(found[1])).any()
    np.testing.assert_array_equal(found[1][-1].picture, starts[1])
    assert found[0][-1].outcome.code == "finished"


@pytest.mark.run
def test_each_lane_converges_by_itself():
    problems, starts = make([1.0, 1e-3])
    options = {"iterations": 200, "tolerance": 0.05, "window": 10}
    solver = Adam(0.05)
    found = run(problems, starts, solver, **options)
    for lane, records in enumerate(found):
        alone = lone(problems, starts, lane, solver, **options)
        assert records[-1].iteration == alone[-1].iteration
        assert records[-1].outcome == alone[-1].outcome
        np.testing.assert_allclose(records[-1].picture, alone[-1].picture, atol=1e-5)
    assert found[0][-1].outcome.code == "converged"
    assert found[0][-1].iteration != found[1][-1].iteration


def test_all_lanes_end_when_asked_to():
    problems, starts = make([1.0, 2.0])
    found = run(
        problems, starts, LBFGS(4), iterations=ITERATIONS, should_stop=lambda: True
    )
    assert [len(records) for records in found] == [1, 1]
    assert {records[-1].outcome.code for records in found} == {"interrupted"}


def test_the_last_record_has_the_best_picture():
    problems, starts = make([1.0, 2.0])
    found = run(problems, starts, Adam(0.5), iterations=ITERATIONS)
    for lane, records in enumerate(found):
        assert losses(records)[-1] == min(losses(records))
        picture = jnp.asarray(records[-1].picture)
        total, _ = Quartic()(picture, of_lane(problems, lane))
        assert float(total) == pytest.approx(losses(records)[-1], rel=1e-5)


def lowered(count):
    problems, starts = make([1.0] * count)
    program = module._Program(module._InPairs(Quartic()), LBFGS(4), AXES)
    states = module._first_states(program, problems, starts)
    return module._chunk.lower(program, problems, states, 1)


def test_the_program_does_not_grow_with_the_lanes():
    sizes = {len(lowered(count).as_text().splitlines()) for count in (2, 4, 8)}
    assert len(sizes) == 1


def test_one_program_runs_chunks_of_all_lengths():
    problems, starts = make([1.0, 2.0, 3.0, 4.0, 5.0])
    before = module._chunk._cache_size()
    run(problems, starts, LBFGS(3), iterations=40)
    assert module._chunk._cache_size() == before + 1


def test_the_states_buffers_are_taken_over():
    text = lowered(2).compile().as_text()
    aliased = text.split("input_output_alias={", 1)[1].split("entry_computation", 1)[0]
    problems, starts = make([1.0, 2.0])
    program = module._Program(module._InPairs(Quartic()), LBFGS(4), AXES)
    states = module._first_states(program, problems, starts)
    assert aliased.count("may-alias") == len(jax.tree.leaves(states))


EIGHT_DEVICES = """
import os
import jax
import numpy as np
from nst_jax.solve import lanes as module
from nst_jax.solve.lbfgs import LBFGS
from scripts.jitter import VARIABLE, jittered
from tests.solve.test_lanes import AXES, Quartic, losses, make, run

assert len(jax.devices()) == 8
problems, starts = make([1.0, 30.0, 0.1, 5.0, 2.0])
options = {"iterations": 8}
with jittered(os.environ.get(VARIABLE)):
    one = run(problems, starts, LBFGS(4), **options)
    eight = run(problems, starts, LBFGS(4), devices=jax.devices(), **options)
assert [len(records) for records in eight] == [9] * 5
for a, b in zip(one, eight, strict=True):
    np.testing.assert_allclose(losses(a), losses(b), rtol=1e-4)
    np.testing.assert_allclose(a[-1].picture, b[-1].picture, atol=1e-3)

mesh = jax.sharding.Mesh(np.array(jax.devices()), ("lanes",))
program = module._Program(module._InPairs(Quartic()), LBFGS(4), AXES, mesh)
states = module._first_states(program, *module._spread(program, problems, starts))
assert states.picture.addressable_shards[3].data.shape == (1, 6, 8, 3)
problems, _ = module._spread(program, problems, starts)
text = module._chunk.lower(program, problems, states, 1).compile().as_text()
exchanges = ("all-gather", "all-reduce", "all-to-all", "collective", "reduce-scatter")
assert not [word for word in exchanges if word in text]
"""


@pytest.mark.run
def test_lanes_spread_over_eight_devices():
    root = Path(__file__).resolve().parents[2]
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES],
        cwd=root,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
