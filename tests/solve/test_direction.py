import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve.direction import _products, direction, dot, no_products
from nst_jax.solve.lbfgs import jaxopt
from tests.reference.lbfgs import explicit_product

ROWS, SIZE = 6, 37
STEP = jax.jit(direction)


def pairs_of(count, seed=0):
    """Steps and gradient differences of a convex quadratic: <s, y> > 0."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)
    hessian = factor @ factor.T + 0.1 * np.eye(SIZE)
    s = rng.normal(size=(count, SIZE))
    return s, s @ hessian, rng.normal(size=SIZE)


def after(s, y, gradient, stale=0.0, gamma=0.3):
    """The arguments of ``direction`` once all pairs came, one after another.

    ``gradient`` is that before the first pair; each y changes it.
    """
    s_rows, y_rows = jnp.full((2, ROWS, SIZE), stale)
    rho, products = jnp.zeros(ROWS), no_products(ROWS, s_rows.dtype)
    gradient = jnp.asarray(gradient)
    arguments = (gradient, s_rows, y_rows, rho, products, jnp.asarray(gamma), 0)
    for number in range(len(s)):
        _, products = STEP(*arguments)
        row = number % ROWS
        gradient += y[number]
        s_rows = s_rows.at[row].set(s[number])
        y_rows = y_rows.at[row].set(y[number])
        sy, yy = s[number] @ y[number], y[number] @ y[number]
        rho = rho.at[row].set(1 / sy)
        gamma = jnp.asarray(sy / yy)
        arguments = (gradient, s_rows, y_rows, rho, products, gamma, number + 1)
    return arguments


@pytest.mark.parametrize("count", [0, 1, 3, 6, 7, 15])
def test_the_product_is_that_of_jaxopt(count):
    """From an empty history to one whose rows have been overwritten twice."""
    with jax.enable_x64(True):
        gradient, s, y, rho, products, gamma, stored = after(*pairs_of(count))
        reference = jaxopt._src.lbfgs.inv_hessian_product(
            gradient, s, y, rho, gamma, stored % ROWS
        )
        found, products = STEP(gradient, s, y, rho, products, gamma, stored)
        np.testing.assert_allclose(-found, reference, rtol=1e-10, atol=1e-13)
        # A step that was undone: the same pairs, at another gradient.
        other = gradient[::-1] + 1
        found, _ = STEP(other, s, y, rho, products, gamma, stored)
        reference = jaxopt._src.lbfgs.inv_hessian_product(
            other, s, y, rho, gamma, stored % ROWS
        )
        np.testing.assert_allclose(-found, reference, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("count", [1, 4, 6])
def test_the_product_is_that_of_the_whole_matrix(count):
    with jax.enable_x64(True):
        s, y, start = pairs_of(count)
        arguments = after(s, y, start)
        gradient = np.asarray(arguments[0])
        expected = explicit_product(gradient, list(zip(s, y, strict=True)))
        np.testing.assert_allclose(-STEP(*arguments)[0], expected, rtol=1e-9)


def test_what_a_restart_leaves_in_the_rows_does_not_matter():
    with jax.enable_x64(True):
        clean = after(*pairs_of(3))
        stale = after(*pairs_of(3), stale=1e30)
        np.testing.assert_array_equal(STEP(*stale)[0], STEP(*clean)[0])
        junk = jax.tree.map(
            lambda x: x.at[3:].set(jnp.nan).at[..., 3:].set(jnp.nan),
            clean[4]._replace(count=jnp.zeros(ROWS)),
        )._replace(count=clean[4].count)
        again, _ = STEP(*clean[:4], junk, *clean[5:])
        np.testing.assert_array_equal(again, STEP(*clean)[0])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="one product elsewhere")
def test_rows_that_are_not_filled_are_not_read():
    s, y, gradient = map(jnp.asarray, pairs_of(3))
    unread = jnp.full((3, SIZE), jnp.nan)
    s, y = jnp.concatenate([s, unread]), jnp.concatenate([y, unread])
    found = _products(s, y, gradient, jnp.asarray(3))
    assert np.isfinite(found).all()
    assert found[:3].all()
    assert not found[3:].any()


def test_lanes_are_lone_runs_whatever_their_neighbours_hold():
    with jax.enable_x64(True):
        lanes = [after(*pairs_of(count, seed=count)) for count in (0, 2, 9)]
        batch = jax.tree.map(lambda *x: jnp.stack([*map(jnp.asarray, x)]), *lanes)
        together, _ = jax.jit(jax.vmap(direction))(*batch)
        for lane, arguments in enumerate(lanes):
            alone, _ = STEP(*arguments)
            np.testing.assert_allclose(together[lane], alone, rtol=1e-11)


@pytest.mark.parametrize("size", [1, 15, 16, 37, 1000, 12_289])
def test_dot_leaves_nothing_out(size):
    """Small whole numbers: every sum is exact in float32."""
    rng = np.random.default_rng(size)
    a, b = rng.integers(-3, 4, (2, size))
    assert dot(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)) == a @ b
