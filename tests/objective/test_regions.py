import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.guides import layer_guides
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.regions import Regions
from nst_jax.objective.targets import Style, make_targets
from tests.reference import losses as slow

LAYERS = ("conv1_1", "conv2_1")
STYLE = {"conv1_1": 0.5, "conv2_1": 2.0}
SHAPE = (24, 20)


@pytest.fixture(scope="module")
def network():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv2_1")
    return network_of(weights), device_params(weights)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(1)
    shapes = ((*SHAPE, 3), (18, 28, 3), (20, 20, 3), (*SHAPE, 3))
    return [jnp.asarray(rng.random(shape), jnp.float32) for shape in shapes]


def left_half(shape=SHAPE):
    mask = np.zeros(shape, np.float32)
    mask[:, : shape[1] // 2] = 1
    return mask


def guides(*masks, mode="simple"):
    return layer_guides(np.stack(masks), LAYERS, layout="vgg19", mode=mode)


def objective_of(network, content, styles, regions, *, alpha=0.0, layers=(), tv=0.1):
    """Its value and its parts as a function of the picture."""
    extract, params = network
    targets = make_targets(
        extract, params, content=content, styles=styles,
        content_layers=layers, style_layers=LAYERS, regions=regions,
    )  # fmt: skip
    weights = loss_weights(
        alpha=alpha, beta=1, tv=tv, content=dict.fromkeys(layers, 1.0), style=STYLE
    )
    problem = Problem(params, targets, weights)
    return (lambda picture: Objective(extract)(picture, problem)), problem


def test_masks_of_ones_are_no_masks(network, pictures):
    content, style, _, picture = pictures
    ones = np.ones(SHAPE, np.float32)
    plain, _ = objective_of(network, content, [Style(style)], None)
    for mode in ("simple", "inside", "all"):
        regions = Regions(guides(ones, mode=mode), [1.0])
        whole = guides(np.ones(style.shape[:2], np.float32), mode=mode)
        own, _ = objective_of(network, content, [Style(style, guides=whole)], regions)
        assert own(picture)[0] == pytest.approx(float(plain(picture)[0]), rel=1e-6)
        ours, theirs = (jax.grad(lambda x, f=f: f(x)[0])(picture) for f in (own, plain))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-9)


def test_the_loss_of_two_regions_is_that_of_the_slow_twin(network, pictures):
    content, a, b, picture = pictures
    extract, params = network
    soft = np.linspace(0, 1, SHAPE[1], dtype=np.float32)[None].repeat(SHAPE[0], 0)
    regions = Regions(guides(soft, 1 - soft), [1.0, 3.0])
    # The first style has both regions, the second one only the second.
    half, none = left_half(a.shape[:2]), np.zeros(b.shape[:2], np.float32)
    styles = [
        Style(a, 1.0, guides=guides(half, 1 - half)),
        Style(b, 3.0, guides=guides(none, none + 1)),
    ]
    own, _ = objective_of(network, content, styles, regions)
    _, terms = own(picture)
    responses = [extract(params, x, LAYERS) for x in (picture, a, b)]

    def gram(response, guide):
        flat = np.float64(response).reshape(-1, response.shape[-1])
        t = np.float64(guide).reshape(-1) ** 2
        return (flat * t[:, None]).T @ flat / t.sum()

    for layer in LAYERS:
        ours = [gram(responses[0][layer], t) for t in regions.guides[layer]]
        first, second = (gram(responses[1][layer], t) for t in styles[0].guides[layer])
        other = gram(responses[2][layer], styles[1].guides[layer][1])
        expected = slow.style_loss(ours[0], first) / 2
        expected += 3 * slow.style_loss(ours[1], 0.25 * second + 0.75 * other) / 2
        np.testing.assert_allclose(terms.style_layers[layer], expected, rtol=1e-4)


def test_no_gradient_reaches_outside_the_receptive_field_of_a_region(network, pictures):
    content, style, _, picture = pictures
    mask = np.zeros(SHAPE, np.float32)
    mask[:8, :7] = 1
    # A position of conv2_1 that touches the mask sees up to pixel 11, one that sees
    # nothing else none beyond it.
    for mode, rows, columns in (("inside", 8, 7), ("simple", 12, 12)):
        regions = Regions(guides(mask, mode=mode), [1.0])
        own, _ = objective_of(
            network, content, [Style(style)], regions, tv=0.0
        )  # fmt: skip
        gradient = jax.grad(lambda x, f=own: f(x)[0])(picture)
        reached = np.abs(gradient).sum(-1) > 0
        assert reached[: rows - 2, : columns - 2].any()
        assert not reached[rows:].any()
        assert not reached[:, columns:].any()
    plain, _ = objective_of(network, content, [Style(style)], None, tv=0.0)
    assert np.abs(jax.grad(lambda x: plain(x)[0])(picture)).sum(-1).all()


def test_the_target_of_a_constant_texture_does_not_depend_on_the_area(network):
    extract, params = network
    flat = jnp.full((32, 32, 3), 0.3)
    targets = []
    for rows, columns in ((12, 12), (20, 16)):
        mask = np.zeros((32, 32), np.float32)
        mask[6 : 6 + rows, 6 : 6 + columns] = 1  # away from the zeros at the border
        made = make_targets(
            extract, params, content=flat, styles=[Style(flat, guides=guides(mask))],
            content_layers=(), style_layers=LAYERS, regions=Regions(guides(mask), [1]),
        )  # fmt: skip
        targets.append(made.style)
    for layer in LAYERS:
        first, second = (t[layer][0] for t in targets)
        np.testing.assert_allclose(first, second, rtol=1e-5)


def test_a_region_that_vanishes_is_left_out_there_and_all_stays_finite(
    network, pictures
):
    content, style, _, picture = pictures
    thin = np.zeros(SHAPE, np.float32)
    thin[:, :3] = 1
    shaped = guides(thin, 1 - thin, mode="inside")
    shaped["conv1_1"][0] = 0
    own, problem = objective_of(
        network, content, [Style(style)], Regions(shaped, [1, 1])
    )
    regions = problem.targets.regions
    assert regions is not None
    np.testing.assert_array_equal(regions.weights["conv1_1"], [0, 0.5])
    assert np.isfinite(jax.grad(lambda x: own(x)[0])(picture)).all()
    # In no style that counts at the layer: left out, too.
    none, all_ = np.zeros(style.shape[:2]), np.ones(style.shape[:2])
    styles = [Style(style, guides=guides(none, all_)), Style(style, 0.0)]
    own, problem = objective_of(
        network, content, styles, Regions(guides(thin, 1 - thin), [1, 1])
    )
    regions = problem.targets.regions
    assert regions is not None
    np.testing.assert_array_equal(regions.weights["conv2_1"], [0, 0.5])
    assert np.isfinite(own(picture)[0])


def test_what_is_kept_is_the_content_and_gets_no_gradient(network, pictures):
    content, style, _, picture = pictures
    kept = left_half()
    regions = Regions(guides(1 - kept), [1.0], kept)
    own, _ = objective_of(
        network, content, [Style(style)], regions, alpha=1.0, layers=("conv1_1",)
    )
    gradient = jax.grad(lambda x: own(x)[0])(picture)
    assert not gradient[:, :10].any()
    assert gradient[:, 10:].any()
    mixed = jnp.where(kept[..., None] > 0, content, picture)
    assert own(picture)[0] == pytest.approx(float(own(mixed)[0]), rel=1e-6)


def test_other_masks_compile_nothing(network, pictures):
    content, style, _, picture = pictures
    extract, traces = network[0], []

    @jax.jit
    def loss(picture, problem):
        traces.append(1)
        return Objective(extract)(picture, problem)[0]

    values = []
    for mask in (left_half(), left_half() * 0.5, np.ones(SHAPE, np.float32)):
        regions = Regions(guides(mask, 1 - mask), [1.0, 2.0])
        _, problem = objective_of(network, content, [Style(style)], regions)
        values.append(float(loss(picture, problem)))
    assert len(traces) == 1
    assert len(set(values)) == 3
