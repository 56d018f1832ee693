import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import floored, mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.modes.single import single
from nst_jax.objective.objective import loss_weights
from nst_jax.objective.targets import Style
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS


@pytest.fixture(scope="module")
def setting():
    weights = random_weights("vgg19", seed=0, width=1 / 8, deepest="conv3_1")
    network, params = network_of(weights), device_params(weights)
    keys = jax.random.split(jax.random.key(0), 3)
    row, column = jnp.mgrid[:32, :40] / 8
    content = jnp.stack([jnp.sin(row), jnp.cos(column), jnp.sin(row + column)], -1)
    stripes = jnp.sign(jnp.sin(4 * column))[..., None] * jnp.array([0.3, 0.1, -0.2])
    content, style = 0.5 + 0.4 * content, 0.5 + stripes
    start = 0.5 + 0.1 * jax.random.normal(keys[0], (32, 40, 3))
    mu = floored(mean_activations(network, params, [content, style]))
    return network, rescale(params, mu), content, style, start


def run(setting, *, alpha, beta, layer="conv2_2", solver=LBFGS(10), **options):  # noqa: B008
    network, params, content, style, start = setting
    weights = loss_weights(
        alpha=alpha,
        beta=beta,
        content={layer: 1},
        style={"conv1_1": 1, "conv2_1": 1},
    )
    return list(
        single(
            content, (Style(style),), start, extract=network, params=params,
            weights=weights, solver=solver, **{"iterations": 60, **options},
        )
    )  # fmt: skip


@pytest.mark.run
def test_content_alone_gives_the_content_back(setting):
    """Mahendran and Vedaldi 2015; Gatys et al. 2016, figure 1, top."""
    records = run(setting, alpha=1.0, beta=0.0, layer="conv1_1", iterations=150)
    content = np.asarray(setting[2])

    def error(picture):
        return np.sqrt(np.mean((np.asarray(picture) - content) ** 2))

    assert records[-1].terms.content < 0.01 * records[0].terms.content
    assert error(records[-1].picture) < 0.35 * error(setting[4])


@pytest.mark.run
def test_style_alone_gives_the_statistics_and_forgets_the_layout(setting):
    records = run(setting, alpha=0.0, beta=1.0)
    assert records[-1].terms.style < 0.01 * records[0].terms.style
    result, content = np.asarray(records[-1].picture), np.asarray(setting[2])
    assert abs(np.corrcoef(result.ravel(), content.ravel())[0, 1]) < 0.3


@pytest.mark.run
def test_alpha_trades_style_for_content(setting):
    low, high = (run(setting, alpha=a, beta=1.0)[-1].terms for a in (1e-2, 10.0))
    assert high.content < low.content
    assert high.style > low.style


@pytest.mark.run
def test_both_solvers_reach_the_same_place(setting):
    by_lbfgs = run(setting, alpha=0.1, beta=1.0, iterations=150)[-1].terms.total
    by_adam = run(setting, alpha=0.1, beta=1.0, iterations=150, solver=Adam())[-1]
    assert by_adam.terms.total < 2 * by_lbfgs


def test_a_run_repeats_bit_for_bit(setting):
    first, second = (run(setting, alpha=0.1, beta=1.0)[-1] for _ in range(2))
    np.testing.assert_array_equal(first.picture, second.picture)
