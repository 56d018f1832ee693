import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.objective.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Style, Targets, make_targets
from nst_jax.types import LossTerms
from tests.reference import losses as slow

CONTENT, STYLE = {"conv2_2": 0.7, "conv1_2": 0.1}, {"conv1_1": 0.5, "conv2_1": 2.0}


@pytest.fixture(scope="module")
def setting():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv2_2")
    network, params = network_of(weights), device_params(weights)
    rng = np.random.default_rng(1)
    content, style, picture = (
        jnp.asarray(rng.random(shape), jnp.float32)
        for shape in ((20, 16, 3), (24, 14, 3), (20, 16, 3))
    )
    targets = make_targets(
        network,
        params,
        content=content,
        styles=(Style(style),),
        content_layers=tuple(CONTENT),
        style_layers=tuple(STYLE),
    )
    return network, params, targets, content, style, picture


def problem(params, targets, **changes):
    options = {"alpha": 0.3, "beta": 2.0, "tv": 0.05} | changes
    weights = loss_weights(**options, content=CONTENT, style=STYLE)
    return Problem(params, targets, weights)


def test_terms_and_total_are_those_of_the_slow_twin(setting):
    network, params, targets, content, style, picture = setting
    total, terms = Objective(network)(picture, problem(params, targets))
    layers = tuple({**CONTENT, **STYLE})
    of_picture, of_content, of_style = (
        {k: np.float64(v) for k, v in network(params, x, layers).items()}
        for x in (picture, content, style)
    )
    content_sum = style_sum = 0.0
    for layer, weight in CONTENT.items():
        loss = slow.content_loss(of_picture[layer], of_content[layer])
        np.testing.assert_allclose(terms.content_layers[layer], loss, rtol=1e-5)
        content_sum += weight * loss
    for layer, weight in STYLE.items():
        grams = (slow.gram_matrix(x[layer]) for x in (of_picture, of_style))
        loss = slow.style_loss(*grams)
        np.testing.assert_allclose(terms.style_layers[layer], loss, rtol=1e-4)
        style_sum += weight * loss
    tv = slow.total_variation(np.float64(picture))
    np.testing.assert_allclose(terms.content, content_sum, rtol=1e-5)
    np.testing.assert_allclose(terms.style, style_sum, rtol=1e-4)
    np.testing.assert_allclose(terms.tv, tv, rtol=1e-5)
    expected = 0.3 * content_sum + 2.0 * style_sum + 0.05 * tv
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    assert terms.total == total


def test_gradient_is_a_finite_difference(setting):
    network, params, targets, *_, picture = setting
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), (params, targets))
        args = problem(*wide)

        def loss(picture):
            return Objective(network)(picture, args)[0]

        x = jnp.asarray(picture, jnp.float64)
        gradient = jax.jit(jax.grad(loss))(x)
        rng = np.random.default_rng(2)
        for _ in range(3):
            # Small enough to cross next to no kink of a ReLU.
            d, step = jnp.asarray(rng.standard_normal(x.shape)), 1e-6
            difference = (loss(x + step * d) - loss(x - step * d)) / (2 * step)
            np.testing.assert_allclose(jnp.vdot(gradient, d), difference, rtol=1e-5)


def test_own_pictures_have_no_loss(setting):
    network, params, targets, content, style, _ = setting
    _, terms = Objective(network)(content, problem(params, targets))
    assert terms.content == 0
    _, terms = Objective(network)(
        style,
        problem(params, targets._replace(content={}))._replace(
            weights=loss_weights(alpha=0, beta=1, content={}, style=STYLE)
        ),
    )
    assert terms.style < 1e-10


def test_other_weights_and_pictures_compile_nothing(setting):
    network, params, targets, *_, picture = setting
    traces = []

    @jax.jit
    def loss(picture, args):
        traces.append(1)
        return Objective(network)(picture, args)[0]

    first = loss(picture, problem(params, targets))
    second = loss(picture + 0.1, problem(params, targets, alpha=9.0, beta=0, tv=1.0))
    assert len(traces) == 1
    assert first != second


def test_weights_can_be_swept_by_vmap(setting):
    network, params, targets, *_, picture = setting
    alphas = jnp.array([0.0, 0.1, 1.0])

    def total(alpha):
        args = problem(params, targets)
        args = args._replace(weights=args.weights._replace(alpha=alpha))
        return Objective(network)(picture, args)[0]

    together = jax.vmap(total)(alphas)
    np.testing.assert_allclose(together, [total(a) for a in alphas], rtol=1e-6)


def test_layers_without_a_weight_are_refused(setting):
    network, params, targets, *_, picture = setting
    args = problem(params, Targets(targets.content, {}))
    with pytest.raises(ValueError, match="style layers of targets and weights differ"):
        Objective(network)(picture, args)


def test_an_objective_is_found_again_by_jit(setting):
    network = setting[0]
    assert hash(Objective(network)) == hash(Objective(network._replace()))


def test_the_plain_program_is_the_method_written_out(setting):
    """Statistics, blends and guides that are not asked for cost nothing."""
    network, params, targets, *_, picture = setting
    args = problem(params, targets)

    def written_out(picture, args):
        weights, layers = args.weights, tuple(sorted({*CONTENT, *STYLE}))
        features = network(args.params, picture, layers)
        content = {
            layer: content_loss(features[layer], p)
            for layer, p in args.targets.content.items()
        }
        style = {
            layer: style_loss(gram_matrix(features[layer]), a)
            for layer, a in args.targets.style.items()
        }
        tv = total_variation(picture)
        sums = []
        for w, losses in ((weights.content, content), (weights.style, style)):
            terms = [w[layer] * loss for layer, loss in losses.items()]
            sums.append(sum(terms, jnp.zeros(())))
        total = weights.alpha * sums[0] + weights.beta * sums[1] + weights.tv * tv
        return total, LossTerms(total, *sums, tv, content, style)

    def program(function):
        gradient = jax.value_and_grad(function, has_aux=True)
        return str(jax.make_jaxpr(gradient)(picture, args))

    assert program(Objective(network)) == program(written_out)
    assert program(Objective(network, Other())) != program(written_out)


class Other(GramMatrix):
    def distance(self, description, target):
        return 2 * super().distance(description, target)


def test_two_styles_are_blended_and_cost_nothing(setting):
    network, params, one, content, style, picture = setting

    def made(*styles):
        return make_targets(
            network, params, content=content, styles=styles,
            content_layers=tuple(CONTENT), style_layers=tuple(STYLE),
        )  # fmt: skip

    other = content[::-1] ** 2
    two = made(Style(style, 3.0), Style(other, 1.0, ("conv2_1",)))
    np.testing.assert_array_equal(two.style["conv1_1"], one.style["conv1_1"])
    others = made(Style(other)).style["conv2_1"]
    expected = 0.75 * one.style["conv2_1"] + 0.25 * others
    np.testing.assert_allclose(two.style["conv2_1"], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        made(Style(style, 7.0)).style["conv1_1"], one.style["conv1_1"]
    )
    programs = {
        str(jax.make_jaxpr(Objective(network))(picture, problem(params, targets)))
        for targets in (one, two)
    }
    assert len(programs) == 1


@pytest.mark.parametrize(
    ("weights", "layers", "message"),
    [
        ((1, -1), None, "must not be negative: -1"),
        ((0, 0), None, "no style has a weight at the style layer conv1_1"),
        ((0, 1), ("conv1_1",), "no style has a weight at the style layer conv2_1"),
    ],
)
def test_blends_of_nothing_are_refused(setting, weights, layers, message):
    network, params, _, content, style, _ = setting
    styles = [Style(style, weight, layers) for weight in weights]
    with pytest.raises(ValueError, match=message):
        make_targets(
            network, params, content=content, styles=styles,
            content_layers=(), style_layers=tuple(STYLE),
        )  # fmt: skip


def test_a_guide_of_ones_changes_nothing():
    rng = np.random.default_rng(0)
    f = jnp.asarray(rng.random((6, 5, 4)), jnp.float32)
    guide = jnp.asarray(rng.random((6, 5)), jnp.float32)
    plain = GramMatrix().describe(f)
    for value in (1.0, 0.3):
        ours = GramMatrix().describe(f, jnp.full((6, 5), value))
        np.testing.assert_allclose(ours, plain, rtol=1e-5)
    t, flat = np.float64(guide).ravel() ** 2, np.float64(f).reshape(-1, 4)
    expected = (flat * t[:, None]).T @ flat / t.sum()
    np.testing.assert_allclose(GramMatrix().describe(f, guide), expected, rtol=1e-5)
    assert not GramMatrix().describe(f, 0 * guide).any()
