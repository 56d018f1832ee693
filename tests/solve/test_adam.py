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
