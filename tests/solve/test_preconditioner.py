"""The solver's basis against closed forms, and L-BFGS in it against that around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve.direction import packed, unpacked
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import optimise
from nst_jax.solve.preconditioner import precondition
from nst_jax.types import LossTerms

SIZES = pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5), (1, 4), (1, 1)])


@SIZES
def test_a_wave_is_scaled_by_its_frequency(size):
    height, width = size
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    gains = {
        (v, u): (0.1 + np.hypot(min(v, height - v) / height, u / width)) ** -0.5
        for v in range(height)
        for u in [*range(width // 2 + 1), *range(-((width - 1) // 2), 0)]
    }
    mean_square = np.mean([gains[v, u] ** 2 for v, u in gains])
    for v, u in ((0, 0), (height // 3, 0), (0, width // 3), (height // 2, width // 2)):
        wave = np.cos(2 * np.pi * (v * rows / height + u * columns / width) + 0.3)
        found = precondition(jnp.asarray(np.repeat(wave[..., None], 3, axis=2)))
        expected = gains[v, u] / np.sqrt(mean_square) * wave
        np.testing.assert_allclose(found[..., 1], expected, atol=1e-6)


@SIZES
def test_it_is_its_own_transpose_and_keeps_colours_apart(size):
    a, b = (jax.random.normal(jax.random.key(k), (*size, 3)) for k in (0, 1))
    there = float(jnp.sum(a * precondition(b)))
    back = float(jnp.sum(precondition(a) * b))
    assert there == pytest.approx(back, rel=1e-5, abs=1e-5)
    red = a.at[..., 1:].set(0.0)
    assert not np.any(precondition(red)[..., 1:])


def rosenbrock(picture, problem):
    x = picture.ravel()
    total = jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    zero = jnp.zeros_like(total)
    return total, LossTerms(total, zero, zero, zero, {}, {})


@pytest.mark.run
def test_it_is_the_plain_method_on_other_variables():
    """x = x0 + P z: the losses of both ways, in float64."""
    with jax.enable_x64(True):
        start = 0.3 * jax.random.normal(jax.random.key(0), (5, 6, 3), jnp.float64)

        def around(z, problem):
            return rosenbrock(start + precondition(z), problem)

        options = {"iterations": 60}
        ours = optimise(rosenbrock, None, LBFGS(5), start, **options)
        plain = LBFGS(5, preconditioned=False)
        theirs = optimise(around, None, plain, jnp.zeros_like(start), **options)
        ours, theirs = ([r.terms.total for r in records] for records in (ours, theirs))
    assert ours[-1] < 0.1 * ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_rounded_pairs_are_the_nearest_bfloat16():
    vector = jnp.asarray(
        [0.0, 1.0, -1.0, 1 + 2**-9, 1 + 3 * 2**-9, 3e-30, -7e33, 1 / 3], jnp.float32
    )
    found = unpacked(packed(vector), jnp.float32)
    expected = vector.astype(jnp.bfloat16).astype(jnp.float32)
    assert packed(vector).dtype == jnp.uint16
    np.testing.assert_array_equal(found, expected)


@pytest.mark.run
def test_rounded_pairs_lead_as_far():
    start = 0.3 * jax.random.normal(jax.random.key(0), (6, 6, 3))

    def end(solver):
        (*_, last) = optimise(rosenbrock, None, solver, start, iterations=200)
        return last.terms.total

    plain, rounded = (end(LBFGS(20, rounded=choice)) for choice in (False, True))
    assert rounded < 1.1 * plain
