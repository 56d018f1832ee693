"""Presets evaluate to their algebraic multiples, on one picture.

The expressions are those of reference implementations, written out here once more
from the NumPy losses; docs/presets.md has the table.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.config import changed, from_tree
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.presets import (
    ALL_LAYERS,
    PRESETS,
    STYLE_LAYERS,
    find_preset,
    layer_scheme,
)
from nst_jax.objective.statistics.names import make_statistic
from nst_jax.objective.targets import Style, make_targets
from nst_jax.resolve import (
    Layout,
    check_objective,
    resolve,
    wanted_layers,
    with_layers_there,
)
from tests.reference import losses as slow

HEIGHT, WIDTH = 32, 48


@pytest.fixture(scope="module")
def setting():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv5_1")
    network, params = network_of(weights), device_params(weights)
    rng = np.random.default_rng(1)
    shapes = ((HEIGHT, WIDTH, 3), (40, 36, 3), (HEIGHT, WIDTH, 3))
    pictures = [jnp.asarray(rng.random(s), jnp.float32) for s in shapes]
    layers = network.layers
    features = [
        {k: np.float64(v) for k, v in network(params, p, layers).items()}
        for p in pictures
    ]
    return network, params, pictures, features


def expected(name: str, features, picture) -> float:
    of_content, of_style, of_picture = features
    f, p = of_picture["conv4_2"], of_content["conv4_2"]
    grams = {
        layer: [slow.gram_matrix(x[layer]) for x in (of_picture, of_style)]
        for layer in STYLE_LAYERS
    }
    mean = {layer: slow.style_loss(*pair) for layer, pair in grams.items()}
    channels = {layer: of_picture[layer].shape[-1] for layer in STYLE_LAYERS}
    if name == "gatys2016":
        return 1e-3 * slow.content_loss(f, p) + np.mean(list(mean.values()))
    if name == "gatys2016-literal":
        # The paper's pictures have one size; another one's Gram matrix is carried to
        # this size by its number of positions M.
        style = np.mean(
            [
                slow.style_loss_paper(
                    of_picture[layer],
                    slow.gram_matrix(of_style[layer])
                    * np.prod(of_picture[layer].shape[:2]),
                )
                for layer in STYLE_LAYERS
            ]
        )
        return 1e-3 * slow.content_loss_paper(f, p) + style
    if name == "gatys-normalised":
        return 1e6 * slow.content_loss(f, p) + sum(1e9 / 5 * g for g in mean.values())
    raw = sum(mean[layer] / channels[layer] ** 2 for layer in STYLE_LAYERS)
    if name == "gatys-notebook":
        return slow.content_loss(f, p) + 1e3 * raw
    if name == "spst":
        return slow.content_loss(f, p) + sum(
            1e3 * g / channels[layer] ** 2
            + 1e4 * mean_and_deviation(of_picture[layer], of_style[layer])
            for (layer, g) in mean.items()
        )
    x = np.float64(picture)
    if name == "crowson":
        weights = np.array([256, 64, 16, 4, 1]) / 341
        distances = [wasserstein(of_picture[k], of_style[k]) for k in STYLE_LAYERS]
        return 0.015 * slow.content_loss(f, p) + weights @ distances + 2 * squares(x)
    if name == "novak":
        layers = [layer for layer in ALL_LAYERS if layer in of_picture]
        weights = 0.5 ** np.arange(len(layers))
        losses = [chained(of_picture, of_style, layers, n) for n in range(len(layers))]
        style = weights / weights.sum() @ losses
        return 1e-3 * slow.content_loss(f, p) + style
    assert name == "neural-style"
    x = 255 * x
    squares_ = squares(x)
    return 5 * slow.content_loss(f, p) + 100 * raw + 1e-3 / 2 * squares_ * x.size


def squares(x) -> float:
    return np.mean((x[1:] - x[:-1]) ** 2) + np.mean((x[:, 1:] - x[:, :-1]) ** 2)


def mean_and_deviation(f, s) -> float:
    axes = (0, 1)
    means = np.mean((f.mean(axes) - s.mean(axes)) ** 2)
    return means + np.mean((f.std(axes) - s.std(axes)) ** 2)


def wasserstein(f, s) -> float:
    f, s = (x.reshape(-1, x.shape[-1]) for x in (f, s))
    a, b = (np.cov(x.T, bias=True).reshape(x.shape[1], -1) for x in (f, s))
    least = 1e-4 * np.mean(np.diag(b)) + 1e-8
    a, b = (x + least * np.eye(len(x)) for x in (a, b))
    # tr (B^1/2 A B^1/2)^1/2 is the sum of the roots of the eigenvalues of A B.
    both = np.sqrt(np.abs(np.linalg.eigvals(a @ b))).sum()
    means = np.sum((f.mean(0) - s.mean(0)) ** 2)
    return (means + np.trace(a) + np.trace(b) - 2 * both) / len(a)


def chained(of_picture, of_style, layers, number: int) -> float:
    """The finer response averaged over the positions of the deeper one."""
    own, before = layers[number], layers[max(number - 1, 0)]

    def gram(features):
        deep, fine = features[own] - 1, features[before] - 1
        h, w = deep.shape[:2]
        rows, columns = fine.shape[0] // h, fine.shape[1] // w
        cells = [
            [
                fine[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
                for j in range(w)
            ]
            for i in range(h)
        ]
        fine = np.array([[cell.mean((0, 1)) for cell in row] for row in cells])
        return np.einsum("hwi,hwj->ij", deep, fine) / (h * w)

    return np.mean((gram(of_picture) - gram(of_style)) ** 2)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_their_multiples(setting, name):
    network, params, (content, style, picture), features = setting
    config, note = with_layers_there(
        from_tree({"objective": {"preset": name}}), network.layers
    )
    assert bool(note) == (name == "novak")
    config = resolve(
        config,
        Layout("vgg19", dict(network.widths)),
        HEIGHT,
        WIDTH,
    )
    objective = config.objective
    style_layers = tuple(objective.style_layers)
    statistic = make_statistic(objective.style_loss, layers=style_layers)
    targets = make_targets(
        network,
        params,
        content=content,
        styles=(Style(style),),
        content_layers=tuple(objective.content_layers),
        style_layers=style_layers,
        statistic=statistic,
    )
    weights = loss_weights(
        alpha=objective.alpha,
        beta=objective.beta,
        tv=objective.tv,
        content=objective.content_layers,
        style=objective.style_layers,
    )
    problem = Problem(params, targets, weights)
    total, _ = Objective(network, statistic)(picture, problem)
    # The root of a covariance has converged to about this; variances have a millionth
    # of their mean added.
    rtol = {"crowson": 2e-3, "spst": 5e-5}.get(name, 1e-5)
    np.testing.assert_allclose(total, expected(name, features, picture), rtol=rtol)


def resolved(tree: dict):
    widths = dict.fromkeys(("conv4_2", *STYLE_LAYERS), 8)
    return resolve(from_tree(tree), Layout("vgg19", widths), 64, 64)


def test_given_keys_win_over_the_preset():
    config = resolved(
        {
            "start": "style",
            "network": {"pooling": "avg", "rescale": True},
            "objective": {
                "preset": "neural-style",
                "alpha": 0.0,
                "tv": 0,
                "style_layers": ["conv1_1", "conv3_1"],
            },
        }
    )
    assert config.start == "style"
    assert (config.network.pooling, config.network.rescale) == ("avg", True)
    assert (config.objective.alpha, config.objective.beta) == (0.0, 100.0)
    assert config.objective.tv == 0
    assert config.objective.style_layers == {"conv1_1": 0.5, "conv3_1": 0.5}
    assert config.objective.content_layers == {"conv4_2": 1.0}


def test_a_list_is_averaged_and_a_mapping_taken_as_given():
    layers = {"style_layers": {"conv1_1": 3, "conv2_1": 0}, "content_layers": []}
    config = resolved({"objective": layers})
    assert config.objective.style_layers == {"conv1_1": 3.0, "conv2_1": 0.0}
    assert config.objective.content_layers == {}


def test_resolving_again_changes_nothing():
    for name in PRESETS:
        config = resolved({"objective": {"preset": name}})
        widths = dict.fromkeys(("conv4_2", *STYLE_LAYERS), 8)
        assert resolve(config, Layout("vgg19", widths), 64, 64) == config


def test_wanted_layers():
    config = from_tree({"objective": {"style_layers": ["conv1_1"]}})
    assert wanted_layers(config) == {"conv1_1", "conv4_2"}


@pytest.mark.parametrize(
    "objective",
    [
        {"style_layers": [], "content_layers": []},
        {"style_layers": {"conv1_1": 0}, "alpha": 0},
        {"content_layers": {"conv4_2": 0}, "beta": 0},
    ],
)
def test_an_objective_of_nothing_is_refused(objective):
    with pytest.raises(ValueError, match="nothing would be matched"):
        check_objective(from_tree({"objective": objective}))


def test_unknown_preset():
    with pytest.raises(ValueError, match="unknown preset 'gatys'; known are gatys2016"):
        find_preset("gatys")


def test_schemes_of_layer_weights():
    channels = dict(zip(STYLE_LAYERS, (2, 4, 8, 8, 8), strict=True))

    def weights(name):
        return list(layer_scheme(name, channels).values())

    np.testing.assert_allclose(weights("equal"), [0.2] * 5)
    np.testing.assert_allclose(weights("geometric"), np.array([16, 8, 4, 2, 1]) / 31)
    np.testing.assert_allclose(weights("crowson"), np.array([256, 64, 16, 4, 1]) / 341)
    np.testing.assert_allclose(weights("per-channel"), [1 / 4, 1 / 16, *[1 / 64] * 3])
    with pytest.raises(
        ValueError, match="unknown layer_weights 'falling'; known are eq"
    ):
        layer_scheme("falling", channels)


def test_a_scheme_weighs_the_layers_in_their_order():
    objective = {"layer_weights": "crowson", "style_layers": ["conv3_1", "conv1_1"]}
    config = resolved({"objective": objective})
    assert config.objective.style_layers == {"conv1_1": 0.8, "conv3_1": 0.2}
    # Worked out once: the resolved config gives the same again.
    assert config.objective.layer_weights is None
    objective = {"layer_weights": "equal", "style_layers": {"conv1_1": 1}}
    with pytest.raises(ValueError, match="style_layers have weights already"):
        check_objective(from_tree({"objective": objective}))


def test_novak_takes_the_layers_there_are():
    config = from_tree({"objective": {"preset": "novak"}})
    there = [layer for layer in ALL_LAYERS if layer <= "conv5_1"]
    found, note = with_layers_there(config, there)
    assert found.objective.style_layers == tuple(there)
    assert note == (
        "preset novak: 13 of its 16 style layers; the weights lack conv5_2 to conv5_4"
    )
    assert with_layers_there(config, ALL_LAYERS) == (config, "")
    check_objective(changed(config, network={"name": "vgg16"}))
    weights = resolve(found, Layout("vgg19", {}), 64, 64).objective.style_layers
    assert weights["conv1_1"] == 2 * weights["conv1_2"]
    assert sum(weights.values()) == pytest.approx(1)
