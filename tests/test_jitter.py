"""scripts/jitter.py: starts are moved by little, each alike, and only when asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from scripts.jitter import jittered
from tests.solve.test_lanes import losses, make, run
from tests.solve.test_loop import CENTRE, START, never, valley

SOLVERS = pytest.mark.parametrize("solver", [LBFGS(3), Adam(0.1)])


def start_of(solver, seed, picture=START + 0.5) -> np.ndarray:
    def loss(picture):
        return jnp.sum(picture**2), jnp.sum(picture)

    with jittered(seed):
        return np.asarray(solver.init(loss, picture).picture)


@SOLVERS
def test_a_start_is_moved_by_a_millionth_and_by_the_seed(solver):
    init = type(solver).init
    one, again, other = (start_of(solver, seed) for seed in (1, "1", 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert 0.5e-6 < np.std(one / 0.5 - 1) < 2e-6
    assert type(solver).init is init  # as it was


def test_float64_is_moved_by_its_own_last_places():
    with jax.enable_x64(True):
        wide = start_of(Adam(0.1), 1, jnp.full((6, 9, 3), 0.5))
    assert wide.dtype == np.float64
    assert 0.5e-15 < np.std(wide / 0.5 - 1) < 5e-15


@pytest.mark.parametrize("seed", [None, ""])
def test_without_a_seed_nothing_is_moved(seed):
    np.testing.assert_array_equal(start_of(Adam(0.1), seed), START + 0.5)


@pytest.mark.parametrize("seed", ["x", "-1", "1.5"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="a jitter's seed is a whole number"):
        start_of(Adam(0.1), seed)


def test_lanes_of_one_problem_stay_alike():
    problems, starts = make([1.0, 1.0])
    problems = problems._replace(target=problems.target[:1].repeat(2, 0))
    starts = starts[:1].repeat(2, 0)
    with jittered(1):
        one, two = run(problems, starts, LBFGS(4), iterations=2)
    assert losses(one) == losses(two)


@SOLVERS
def test_a_run_that_goes_on_is_not_moved_again(solver):
    def valley_from_gray(*, iterations=12, resume=None):
        options = {"iterations": iterations, "resume": resume, "keep_state": never}
        return list(optimise(valley, CENTRE, solver, START + 0.5, **options))[-1]

    with jittered(1):
        whole, first = valley_from_gray(), valley_from_gray(iterations=5)
        rest = valley_from_gray(resume=first.state)
    np.testing.assert_array_equal(rest.picture, whole.picture)
    assert (whole.picture != valley_from_gray().picture).any()
