import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.solve.adam import Adam
from nst_jax.solve.loop import optimise
from nst_jax.types import LossTerms


def terms_of(total):
    zero = jnp.zeros_like(total)
    return LossTerms(total, zero, zero, zero, {}, {})


def bowl(picture, problem):
    total = 0.5 * jnp.sum((picture - problem) ** 2)
    return total, terms_of(total)


@pytest.mark.run
def test_iterates_are_those_of_kingma_and_ba():
    """Algorithm 1 in NumPy, float64: alpha 0.05, beta1 0.9, beta2 0.999, eps 1e-8."""
    rng = np.random.default_rng(0)
    centre, start = rng.random((3, 4, 3)), rng.random((3, 4, 3))
    records = list(
        optimise(
            bowl,
            jnp.asarray(centre, jnp.float32),
            Adam(0.05),
            jnp.asarray(start, jnp.float32),
            iterations=12,
        )
    )
    x, m, v = start.copy(), 0.0, 0.0
    for step, record in enumerate(records, start=1):
        loss = 0.5 * np.sum((x - centre) ** 2)
        assert record.terms.total == pytest.approx(loss, rel=1e-4)
        g = x - centre
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.05 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


@pytest.mark.run
def test_a_step_without_a_number_is_undone():
    def cliff(picture, problem):
        total = jnp.where(jnp.max(picture) > 0.6, jnp.nan, bowl(picture, problem)[0])
        return total, terms_of(total)

    start = jnp.full((4, 4, 3), 0.5)
    records = list(
        optimise(cliff, jnp.full((4, 4, 3), 0.7), Adam(0.3), start, iterations=40)
    )
    assert records[-1].refused > 0
    assert np.isfinite(records[-1].picture).all()
    assert records[-1].terms.total < records[0].terms.total


def run_of(solver, start, centre, *, iterations=12):
    return list(optimise(bowl, centre, solver, start, iterations=iterations))


def test_the_average_is_the_bias_corrected_mean_of_the_pictures():
    """K. Crowson's recurrence in NumPy, over the pictures that plain Adam passes."""
    rng = np.random.default_rng(1)
    centre, start = rng.random((2, 4, 5, 3), np.float32)
    value, weight, decay = 0.0, 1.0, 0.8
    for n in range(9):
        # Without an average the best picture of a falling run is its last one.
        picture = run_of(Adam(0.01), start, centre, iterations=n)[-1].picture
        value, weight = decay * value + (1 - decay) * picture, decay * weight
    averaged = run_of(Adam(0.01, average=decay), start, centre, iterations=8)
    plain = run_of(Adam(0.01), start, centre, iterations=8)
    np.testing.assert_allclose(averaged[-1].picture, value / (1 - weight), atol=1e-6)
    assert np.abs(averaged[-1].picture - plain[-1].picture).max() > 1e-3
    # The losses stay those of the pictures that were evaluated, one each.
    assert [r.terms.total for r in averaged] == [r.terms.total for r in plain]
    assert averaged[-1].evaluations == 9
    assert "the picture is an average" in averaged[-1].outcome.text
    assert "the picture is that of iteration 8" in plain[-1].outcome.text


def test_one_picture_is_its_own_average():
    start = np.full((2, 3, 3), 0.25, np.float32)
    (record,) = run_of(Adam(average=0.99), start, start, iterations=0)
    np.testing.assert_allclose(record.picture, start, atol=1e-6)


@pytest.mark.run
def test_refused_steps_are_not_averaged():
    def cliff(picture, problem):
        total = jnp.where(jnp.max(picture) > 0.6, jnp.nan, bowl(picture, problem)[0])
        return total, terms_of(total)

    centre, start = (jnp.full((2, 2, 3), value) for value in (0.7, 0.5))
    records = list(
        optimise(cliff, centre, Adam(0.3, average=0.9), start, iterations=30)
    )
    assert records[-1].refused > 0
    assert np.isfinite(records[-1].picture).all()
    assert records[-1].picture.max() <= 0.6


@pytest.mark.run
@pytest.mark.parametrize("average", [None, 0.9])
def test_the_box_holds_and_the_rest_gets_where_it_should(average):
    """A bowl whose bottom is partly outside: the nearest point of the box."""
    rng = np.random.default_rng(2)
    centre = rng.uniform(-0.5, 1.5, (4, 4, 3)).astype(np.float32)
    start = rng.uniform(-0.2, 1.2, (4, 4, 3)).astype(np.float32)
    solver = Adam(0.02, average=average, box=True)
    last = run_of(solver, start, centre, iterations=300)[-1]
    np.testing.assert_allclose(last.picture, np.clip(centre, 0, 1), atol=2e-3)
    assert (last.picture >= 0).all()
    assert (last.picture <= 1).all()
    free = run_of(Adam(0.02), start, centre, iterations=300)[-1].picture
    assert free.max() > 1.2
