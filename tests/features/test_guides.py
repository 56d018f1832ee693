import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.guides import layer_guides
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of

LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv3_1")


def seen_by(padding: str) -> dict[str, np.ndarray]:
    """Layer -> (h', w', h, w): whether a pixel reaches a position, by its gradient."""
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv3_1")
    params = {
        # All positive: no path through the network can cancel another or be cut off.
        layer: {"kernel": np.abs(a["kernel"]), "bias": np.ones_like(a["bias"])}
        for layer, a in weights.params.items()
    }
    weights = weights._replace(params=params)
    network, arrays = network_of(weights, padding=padding), device_params(weights)
    picture = jnp.full((20, 17, 3), 9.0)  # above the mean that is taken off

    def sums(picture):
        return {k: v.sum(-1) for k, v in network(arrays, picture, LAYERS).items()}

    gradients = jax.jacrev(sums)(picture)
    return {layer: np.abs(g).sum(-1) > 0 for layer, g in gradients.items()}


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
def test_inside_and_all_are_the_receptive_fields_of_the_network(padding):
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 17), np.float32)
    mask[3:19, 5:] = 1.0
    masks = np.stack([mask, 1 - mask, rng.random((20, 17)).astype(np.float32)])
    seen = seen_by(padding)
    options = {"layout": "vgg19", "circular": padding == "circular"}
    least = layer_guides(masks, LAYERS, mode="inside", **options)
    most = layer_guides(masks, LAYERS, mode="all", **options)
    for layer, reached in seen.items():
        values = masks[:, None, None]
        inside = np.where(reached, values, 1).min((-1, -2))
        touching = np.where(reached, values, 0).max((-1, -2))
        np.testing.assert_array_equal(least[layer], inside)
        np.testing.assert_array_equal(most[layer], touching)
    assert least["conv2_1"][0].any()
    assert not np.array_equal(least["conv2_1"], most["conv2_1"])


def test_simple_is_the_mean_over_the_pixels_of_a_position():
    mask = np.random.default_rng(1).random((1, 22, 19)).astype(np.float32)
    guides = layer_guides(mask, LAYERS, layout="vgg19", mode="simple")
    np.testing.assert_array_equal(guides["conv1_2"], mask)
    expected = mask[0, :20, :16].reshape(5, 4, 4, 4).mean((1, 3))
    np.testing.assert_allclose(guides["conv3_1"][0], expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["simple", "inside", "all"])
def test_a_mask_of_ones_stays_one(mode):
    guides = layer_guides(np.ones((1, 40, 33)), LAYERS, layout="vgg16", mode=mode)
    assert all((guide == 1).all() for guide in guides.values())


def test_unknown_modes_and_layers_are_refused():
    masks = np.ones((1, 16, 16))
    with pytest.raises(ValueError, match="unknown mode 'outside'; known are simple"):
        layer_guides(masks, LAYERS, layout="vgg19", mode="outside")  # pyright: ignore
    with pytest.raises(ValueError, match="unknown layer conv9_9"):
        layer_guides(masks, ("conv9_9",), layout="vgg19")
