"""Presets evaluate to their algebraic multiples, on one picture.

The expressions are those of reference implementations, written out here once more
from the NumPy losses; docs/presets.md has the table.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.config import from_tree
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.presets import PRESETS, STYLE_LAYERS, find_preset
from nst_jax.objective.targets import Style, make_targets
from nst_jax.resolve import Layout, check_objective, resolve, wanted_layers
from tests.reference import losses as slow

HEIGHT, WIDTH = 32, 48


@pytest.fixture(scope="module")
def setting():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv5_1")
    network, params = network_of(weights), device_params(weights)
    rng = np.random.default_rng(1)
    shapes = ((HEIGHT, WIDTH, 3), (40, 36, 3), (HEIGHT, WIDTH, 3))
    pictures = [jnp.asarray(rng.random(s), jnp.float32) for s in shapes]
    layers = ("conv4_2", *STYLE_LAYERS)
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
    assert name == "neural-style"
    x = 255 * np.float64(picture)
    squares = np.mean((x[1:] - x[:-1]) ** 2) + np.mean((x[:, 1:] - x[:, :-1]) ** 2)
    return 5 * slow.content_loss(f, p) + 100 * raw + 1e-3 / 2 * squares * x.size


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_their_multiples(setting, name):
    network, params, (content, style, picture), features = setting
    config = resolve(
        from_tree({"objective": {"preset": name}}),
        Layout("vgg19", dict(network.widths)),
        HEIGHT,
        WIDTH,
    )
    objective = config.objective
    targets = make_targets(
        network,
        params,
        content=content,
        styles=(Style(style),),
        content_layers=tuple(objective.content_layers),
        style_layers=tuple(objective.style_layers),
    )
    weights = loss_weights(
        alpha=objective.alpha,
        beta=objective.beta,
        tv=objective.tv,
        content=objective.content_layers,
        style=objective.style_layers,
    )
    total, _ = Objective(network)(picture, Problem(params, targets, weights))
    np.testing.assert_allclose(total, expected(name, features, picture), rtol=1e-5)


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
