"""L-BFGS within bounds, against SciPy's L-BFGS-B; and what bounds cost when off."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from nst_jax.solve.preconditioner import precondition
from nst_jax.types import LossTerms

SHAPE = (6, 5, 3)


def terms_of(total):
    zero = jnp.zeros_like(total)
    return LossTerms(total, zero, zero, zero, {}, {})


def quadratic(picture, problem):
    matrix, centre = problem
    apart = picture.ravel() - centre
    total = 0.5 * apart @ matrix @ apart
    return total, terms_of(total)


@pytest.fixture
def problem():
    """Ill conditioned, every entry tied to every other, half the bounds active."""
    rng, n = np.random.default_rng(0), int(np.prod(SHAPE))
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return basis * np.logspace(0, 2, n) @ basis.T, rng.normal(0.5, 0.6, n)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def run_of(solver, problem, *, iterations):
    start = jnp.full(SHAPE, 0.5)
    problem = tuple(map(jnp.asarray, problem))
    return list(optimise(quadratic, problem, solver, start, iterations=iterations))


@pytest.mark.run
@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_end_is_that_of_another_bounded_solver(problem, float64, preconditioned):
    matrix, centre = problem

    def both(x):
        return 0.5 * (x - centre) @ matrix @ (x - centre), matrix @ (x - centre)

    known = minimize(
        both,
        np.full(len(centre), 0.5),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * len(centre),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )
    assert 0.3 < np.mean((known.x == 0) | (known.x == 1)) < 0.7
    solver = LBFGS(10, preconditioned=preconditioned, box=True)
    last = run_of(solver, problem, iterations=200)[-1]
    assert last.terms.total == pytest.approx(known.fun, rel=1e-8)
    np.testing.assert_allclose(last.picture.ravel(), known.x, atol=1e-4)


@pytest.mark.run
def test_without_bounds_in_reach_the_steps_are_the_free_ones(problem, float64):
    matrix, _ = problem
    inside = matrix, np.full(len(matrix), 0.5) + 0.01 * np.cos(np.arange(len(matrix)))
    records = [
        [r.terms.total for r in run_of(LBFGS(5, box=box), inside, iterations=20)]
        for box in (False, True)
    ]
    np.testing.assert_allclose(*records, rtol=1e-6)


@pytest.mark.run
def test_every_picture_is_inside(problem):
    solver = LBFGS(10, box=True)
    step = jax.jit(lambda state: solver.step(loss, state))
    loss = partial(quadratic, problem=[jnp.asarray(x, jnp.float32) for x in problem])
    state = solver.init(loss, jnp.linspace(-1, 2, 90, dtype=jnp.float32).reshape(SHAPE))
    for _ in range(30):
        state = step(state)
        assert float(state.picture.min()) >= 0
        assert float(state.picture.max()) <= 1
    assert int(state.refused) < 5


def test_the_basis_can_be_left_again():
    vector = jax.random.normal(jax.random.key(0), (9, 14, 3))
    back = precondition(precondition(vector), inverse=True)
    np.testing.assert_allclose(back, vector, atol=1e-5)


@pytest.mark.parametrize("solver", [LBFGS(3), Adam()])
def test_a_box_that_is_off_is_not_in_the_program(problem, solver):
    """Nor is the average: the state has as many arrays, the step no bounds."""
    loss = partial(quadratic, problem=[jnp.asarray(x, jnp.float32) for x in problem])

    def program(solver):
        state = solver.init(loss, jnp.full(SHAPE, 0.5))
        return str(jax.make_jaxpr(partial(solver.step, loss))(state)), state

    (off, state), (on, _) = program(solver), program(solver._replace(box=True))
    assert "clip" in on
    assert "clip" not in off
    if isinstance(solver, Adam):
        _, averaged = program(solver._replace(average=0.9))
        leaves = [len(jax.tree.leaves(s)) for s in (state, averaged)]
        assert leaves[1] == leaves[0] + 2
