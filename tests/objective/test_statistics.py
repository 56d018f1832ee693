"""Each style statistic against closed forms and slow NumPy twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.objective.presets import STYLE_LOSSES
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.statistics.mmd import GaussianMMD, LinearMMD, PolynomialMMD
from nst_jax.objective.statistics.moments import (
    GramChain,
    MeanStd,
    ShiftedGram,
    Together,
    Wasserstein,
    trace_root,
)
from nst_jax.objective.statistics.names import make_statistic
from nst_jax.objective.statistics.transport import (
    Histogram,
    SlicedWasserstein,
    ordered,
)
from tests.reference import losses as slow

# As (h, w, c); the style's is of another size and shape.
SHAPE, OTHER = (12, 10, 6), (9, 14, 6)
STATISTICS = {name: make_statistic(name, layers=("a",)) for name in STYLE_LOSSES}
GUIDED = [name for name, one in STATISTICS.items() if one.takes_guide]


def response(seed, shape=SHAPE):
    """Rectified, about half zeros, with channels that depend on each other."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal(shape) @ rng.standard_normal((shape[2], shape[2]))
    return np.maximum(mixed + 0.3, 0)


def described(statistic, f, guide=None):
    f = jnp.asarray(f)
    views = statistic.views({"a": f})
    guide = None if guide is None else jnp.asarray(guide, f.dtype)
    return statistic.describe(views["a"], guide)


def distance(statistic, f, *styles, weights=None, guide=None):
    ours = described(statistic, f, guide)
    theirs = [described(statistic, s) for s in styles]
    weights = weights or [1 / len(styles)] * len(styles)
    like = jax.eval_shape(lambda: ours)
    return statistic.distance(ours, statistic.target(theirs, weights, like))


@pytest.fixture
def wide():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_no_distance_to_itself_and_some_to_others(name):
    f, s = (jnp.asarray(response(n), jnp.float32) for n in (0, 1))
    itself, other = (float(distance(STATISTICS[name], f, x)) for x in (f, s))
    assert abs(itself) < 1e-3 * other
    assert other > 0


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_gradients_are_finite_differences(name, wide):
    # Zeros of a ReLU are as many equal values, where sorting has kinks.
    f, s = response(0), response(1, OTHER)
    f = f if STATISTICS[name].takes_guide else f + response(4)

    def loss(f):
        return distance(STATISTICS[name], f, s)

    gradient = jax.grad(loss)(jnp.asarray(f))
    assert np.isfinite(gradient).all()
    rng = np.random.default_rng(2)
    for _ in range(3):
        # So small that next to no two sorted values change places.
        d, step = rng.standard_normal(f.shape), 1e-7
        difference = (loss(f + step * d) - loss(f - step * d)) / (2 * step)
        np.testing.assert_allclose(np.vdot(gradient, d), difference, rtol=2e-5)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_places_do_not_count(name):
    f, s = response(0), response(1, OTHER)
    shuffled = np.random.default_rng(3).permutation(f.reshape(-1, 6)).reshape(f.shape)
    ours, again = (distance(STATISTICS[name], x, s) for x in (f, shuffled))
    np.testing.assert_allclose(ours, again, rtol=1e-4)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_flat_and_dead_responses_have_finite_gradients(name):
    for f in (jnp.zeros(SHAPE), jnp.ones(SHAPE)):
        for s in (jnp.zeros(OTHER), jnp.asarray(response(1, OTHER), jnp.float32)):
            loss, gradient = jax.value_and_grad(
                lambda f, s=s: distance(STATISTICS[name], f, s)
            )(f)
            assert np.isfinite(loss)
            assert np.isfinite(gradient).all()


# --- guides -----------------------------------------------------------------------


@pytest.mark.parametrize("name", GUIDED)
def test_a_guide_of_ones_is_none(name, wide):
    f, s = response(0), response(1, OTHER)
    plain = distance(STATISTICS[name], f, s)
    for value in (1.0, 0.3):
        ours = distance(STATISTICS[name], f, s, guide=np.full(SHAPE[:2], value))
        np.testing.assert_allclose(ours, plain, rtol=1e-9)


@pytest.mark.parametrize("name", GUIDED)
def test_a_guide_of_zeros_and_ones_cuts_a_region_out(name, wide):
    f, s = response(0), response(1, OTHER)
    guide = np.zeros(SHAPE[:2])
    guide[2:9, 1:7] = 1
    ours = distance(STATISTICS[name], f, s, guide=guide)
    region = distance(STATISTICS[name], f[2:9, 1:7], s)
    np.testing.assert_allclose(ours, region, rtol=1e-9)
    gradient = jax.grad(lambda f: distance(STATISTICS[name], f, s, guide=guide))(f)
    assert not np.asarray(gradient)[guide == 0].any()
    assert np.asarray(gradient).any()


@pytest.mark.parametrize("name", sorted(set(STYLE_LOSSES) - set(GUIDED)))
def test_sorted_values_take_no_guide(name):
    with pytest.raises(ValueError, match="takes no guide"):
        described(STATISTICS[name], response(0), np.ones(SHAPE[:2]))


# --- what each of them is -------------------------------------------------------------


def rows(f):
    return f.reshape(-1, f.shape[-1])


def test_mean_and_deviation_by_numpy(wide):
    f, s = response(0), response(1, OTHER)
    (a, b), (c, d) = ((rows(x).mean(0), rows(x).std(0)) for x in (f, s))
    expected = np.mean((a - c) ** 2) + np.mean((b - d) ** 2)
    np.testing.assert_allclose(distance(MeanStd(), f, s), expected, rtol=1e-5)
    squared = distance(MeanStd(times_channels_squared=True), f, s)
    np.testing.assert_allclose(squared, 36 * expected, rtol=1e-5)


def test_a_shifted_gram_is_the_gram_of_what_is_shifted(wide):
    f, s = response(0), response(1, OTHER)
    shifted = distance(GramMatrix(), f - 1, s - 1)
    np.testing.assert_allclose(distance(ShiftedGram(), f, s), shifted, rtol=1e-9)
    np.testing.assert_allclose(
        distance(ShiftedGram(0.0), f, s), distance(GramMatrix(), f, s), rtol=1e-9
    )


def test_the_chain_is_the_gram_of_neighbours_up_sampled(wide):
    fine, coarse = response(0, (12, 10, 3)), response(1, (6, 5, 4))
    chain = GramChain(("fine", "coarse"), shift=-1.0)
    views = chain.views({"fine": jnp.asarray(fine), "coarse": jnp.asarray(coarse)})
    enlarged = coarse.repeat(2, axis=0).repeat(2, axis=1)
    expected = rows(enlarged - 1).T @ rows(fine - 1) / 120
    np.testing.assert_allclose(chain.describe(views["coarse"]), expected, rtol=1e-9)
    own = rows(fine - 1).T @ rows(fine - 1) / 120
    np.testing.assert_allclose(chain.describe(views["fine"]), own, rtol=1e-9)


def bures(f, s):
    """Squared Wasserstein-2 distance of normal distributions, by eigenvalues."""
    a, b = (np.cov(rows(x).T, bias=True) for x in (f, s))
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(values) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ b @ root)).sum()
    means = np.sum((rows(f).mean(0) - rows(s).mean(0)) ** 2)
    return means + np.trace(a) + np.trace(b) - 2 * both


def test_wasserstein_by_eigenvalues(wide):
    f, s = response(0), response(1, OTHER)
    ours = distance(Wasserstein(epsilon=1e-9, steps=20), f, s)
    np.testing.assert_allclose(ours, bures(f, s) / 6, rtol=1e-6)
    np.testing.assert_allclose(
        distance(Wasserstein(), f, s), bures(f, s) / 6, rtol=1e-3
    )


def test_wasserstein_sees_the_mean_and_the_covariance_and_no_more(wide):
    f = response(0)
    moved = f + np.linspace(0, 0.5, 6)
    turned = (f - f.mean((0, 1))) @ np.diag([1, 1, 1, 1, 1, 1.3]) + f.mean((0, 1))
    assert distance(Wasserstein(), moved, f) > 0.01
    assert distance(Wasserstein(), turned, f) > 1e-3
    # Other values with the same mean and covariance.
    white = np.random.default_rng(5).standard_normal(rows(f).shape)
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T, bias=True))).T
    same = white @ np.linalg.cholesky(np.cov(rows(f).T, bias=True)).T + rows(f).mean(0)
    exact = Wasserstein(epsilon=1e-9, steps=20)
    assert abs(distance(exact, same.reshape(f.shape), f)) < 1e-6
    assert distance(Histogram(), same.reshape(f.shape), f) > 0.01


def test_the_root_of_a_singular_matrix_has_a_finite_gradient():
    matrix = jnp.diag(jnp.array([4.0, 1.0, 0.0]))
    value, gradient = jax.value_and_grad(lambda m: trace_root(m, steps=12))(matrix)
    assert value == pytest.approx(3.0, rel=1e-4)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(np.diag(gradient)[:2], [0.25, 0.5], rtol=1e-3)


def test_the_linear_kernel_compares_means(wide):
    f, s = response(0), response(1, OTHER)
    kernel = [rows(a) @ rows(b).T for a, b in ((f, f), (f, s), (s, s))]
    squared = kernel[0].mean() - 2 * kernel[1].mean() + kernel[2].mean()
    np.testing.assert_allclose(distance(LinearMMD(), f, s), squared / 6, rtol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1.5, None])
def test_the_polynomial_kernel_over_all_pairs(offset, wide):
    f, s = response(0), response(1, OTHER)
    c = 6 if offset is None else offset
    pairs = ((f, f), (f, s), (s, s))
    kernel = [(rows(a) @ rows(b).T + c) ** 2 for a, b in pairs]
    squared = kernel[0].mean() - 2 * kernel[1].mean() + kernel[2].mean()
    ours = distance(PolynomialMMD(offset), f, s)
    np.testing.assert_allclose(ours, squared / 36, rtol=1e-8)
    if offset == 0:
        np.testing.assert_allclose(ours, distance(GramMatrix(), f, s), rtol=1e-9)
        np.testing.assert_allclose(ours, slow.mmd_squared(f, s) / 36, rtol=1e-8)


def test_the_gaussian_kernel_over_all_pairs(wide):
    f, s = response(0), response(1, OTHER)

    def squares(a, b):
        return ((rows(a)[:, None] - rows(b)[None]) ** 2).sum(-1)

    gamma = 1 / squares(s, s).mean()
    kernel = [np.exp(-gamma * squares(a, b)) for a, b in ((f, f), (f, s), (s, s))]
    squared = kernel[0].mean() - 2 * kernel[1].mean() + kernel[2].mean()
    ours = [distance(GaussianMMD(20_000, seed), f, s) for seed in range(3)]
    np.testing.assert_allclose(np.mean(ours), squared, rtol=0.05)


def test_ordered_is_sorted_and_knows_the_way_back():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 500))
    found = ordered(jnp.asarray(values, jnp.float32))
    np.testing.assert_allclose(found, np.sort(values), rtol=3e-4, atol=1e-6)
    # Far enough apart to keep their places.
    values = jnp.asarray(rng.permuted(np.tile(np.arange(-250.0, 250), (3, 1)), axis=1))
    weights = jnp.arange(1500.0).reshape(3, 500)
    gradient = jax.grad(lambda v: jnp.sum(weights * ordered(v)))(values)
    np.testing.assert_array_equal(
        np.take_along_axis(np.asarray(gradient), np.argsort(values), 1), weights
    )


def test_the_histogram_is_transport_in_each_channel(wide):
    f, s = response(0), response(1)
    a, b = (np.sort(rows(x), axis=0) for x in (f, s))
    ours = distance(Histogram(), f, s)
    np.testing.assert_allclose(ours, np.mean((a - b) ** 2), rtol=1e-5)
    # The remapped response is constant: 2 (F - R(F)) / count.
    gradient = jax.grad(lambda f: distance(Histogram(), f, s))(jnp.asarray(f))
    ranks = rows(f).argsort(0, kind="stable").argsort(0)
    remapped = np.take_along_axis(b, ranks, 0).reshape(f.shape)
    np.testing.assert_allclose(gradient, 2 * (f - remapped) / f.size, atol=1e-6)


def test_sliced_wasserstein_sees_what_grams_do_not():
    """Heitz et al. 2021, figure 2: other histograms, the same Gram matrix."""
    two = np.tile([1.0, 3.0], 50)
    mean, square = two.mean(), np.mean(two**2)
    # Three values with the same first and second moment.
    deviation = np.sqrt((square - mean**2) * 3 / 2)
    three = mean + deviation * np.tile([-1.0, 0.0, 1.0], 34)[:99]
    f, s = two.reshape(10, 10, 1), three.reshape(9, 11, 1)
    assert distance(GramMatrix(), f, s) < 1e-9
    assert distance(SlicedWasserstein(), f, s) > 0.05


def test_large_layers_are_looked_at_everywhere():
    """Each direction looks at positions of its own, and together at all of them."""
    statistic = SlicedWasserstein(least=16)
    f = jnp.asarray(response(0), jnp.float32)
    gradient = jax.grad(lambda f: jnp.sum(described(statistic, f) ** 2))(f)
    assert described(statistic, f).shape == (6, 20)
    seen = np.abs(np.asarray(gradient)).sum(-1) > 0
    alive = np.asarray(f).any(-1)
    np.testing.assert_array_equal(seen, alive)


# --- blends -----------------------------------------------------------------------


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_a_blend_of_one_style_with_itself_is_that_style(name):
    f, s = (jnp.asarray(response(n), jnp.float32) for n in (0, 1))
    alone = distance(STATISTICS[name], f, s)
    twice = distance(STATISTICS[name], f, s, s, weights=[0.3, 0.7])
    np.testing.assert_allclose(twice, alone, rtol=1e-3)


MIXING = [
    name for name in STYLE_LOSSES if name not in ("sliced-wasserstein", "histogram")
]


@pytest.mark.parametrize("name", MIXING)
def test_a_blend_is_the_pictures_side_by_side(name, wide):
    """Raw moments of two styles of one size are those of both taken together."""
    f, s, t = (response(n) for n in range(3))
    blended = distance(STATISTICS[name], f, s, t)
    together = distance(STATISTICS[name], f, np.concatenate([s, t]))
    np.testing.assert_allclose(blended, together, rtol=1e-6)


def test_a_blend_of_sorted_values_is_between_the_distributions(wide):
    f = response(0)
    target = Histogram().target(
        [described(Histogram(), f), described(Histogram(), f + 4)],
        [0.25, 0.75],
        jax.eval_shape(lambda: described(Histogram(), f)),
    )
    np.testing.assert_allclose(target, described(Histogram(), f + 3), atol=1e-9)


def test_parts_together_are_their_sum(wide):
    f, s = response(0), response(1, OTHER)
    both = Together(((GramMatrix(), 2.0), (MeanStd(), 0.5)))
    expected = 2 * distance(GramMatrix(), f, s) + 0.5 * distance(MeanStd(), f, s)
    np.testing.assert_allclose(distance(both, f, s), expected, rtol=1e-9)
    assert not Together(((Histogram(), 1.0),)).takes_guide


def test_statistics_are_found_again_by_value():
    for name in STYLE_LOSSES:
        again = make_statistic(name, layers=("a",))
        assert again == STATISTICS[name]
        assert hash(again) == hash(STATISTICS[name])
    with pytest.raises(ValueError, match="unknown style_loss 'grams'; known are gram,"):
        make_statistic("grams", layers=())
