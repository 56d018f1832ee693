import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.pretrained import resolve
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import FLOOR, floored, mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import read


def pictures():
    rng = np.random.default_rng(3)
    return [jnp.asarray(rng.random(s), jnp.float32) for s in ((40, 56, 3), (64, 32, 3))]


def check_rescaling(weights, pooling, pictures):
    network, params = network_of(weights, pooling=pooling), device_params(weights)
    measured = mean_activations(network, params, pictures)
    mu = floored(measured)
    rescaled = rescale(params, mu)
    for picture in pictures:
        before = network(params, picture, network.layers)
        after = network(rescaled, picture, network.layers)
        for layer in network.layers:
            restored = after[layer] * mu[layer]
            error = np.abs(restored - before[layer]).max()
            assert error <= 1e-4 * np.abs(before[layer]).max(), layer
    means = mean_activations(network, rescaled, pictures)
    floored_channels = 0
    for layer in network.layers:
        alive = np.asarray(measured[layer]) > FLOOR * np.asarray(measured[layer]).mean()
        np.testing.assert_allclose(np.asarray(means[layer])[alive], 1, atol=1e-3)
        assert (np.asarray(means[layer])[~alive] <= 1 + 1e-3).all()
        floored_channels += int((~alive).sum())
    return floored_channels


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_function_is_unchanged_and_means_are_one(pooling):
    weights = random_weights("vgg19", seed=2, width=1 / 8, deepest="conv5_1")
    check_rescaling(weights, pooling, pictures())


@pytest.mark.weights
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_real_weights_have_filters_that_hardly_fire(tmp_path, monkeypatch, pooling):
    folder = os.environ.get("NST_JAX_TEST_WEIGHTS")
    if not folder:
        pytest.skip("NST_JAX_TEST_WEIGHTS is not set")
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path))
    weights = read(resolve(str(Path(folder) / "vgg19_quarter.pth")))
    with np.load(Path(folder) / "vgg19_quarter_golden.npz") as golden:
        picture = jnp.asarray(golden["image_uint8"] / np.float32(255))
    assert check_rescaling(weights, pooling, [picture]) > 100


def test_one_scale_per_layer_would_not_do():
    """A public converter divides each layer by one number and leaves later biases."""
    weights = random_weights("vgg19", seed=2, width=1 / 8, deepest="conv2_2")
    network, params = network_of(weights), device_params(weights)
    params = {k: {**v, "bias": v["bias"] + 0.3} for k, v in params.items()}
    (picture, _) = pictures()
    mu = mean_activations(network, params, [picture])
    wrong = {
        layer: {key: value / mu[layer].mean() for key, value in arrays.items()}
        for layer, arrays in params.items()
    }
    before = network(params, picture, ("conv2_2",))["conv2_2"]
    after = network(wrong, picture, ("conv2_2",))["conv2_2"]
    ratio = after / jnp.where(before > 1e-3, before, jnp.nan)
    assert np.nanstd(ratio) / np.nanmean(ratio) > 0.01


def test_every_picture_counts_the_same():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv1_2")
    network, params = network_of(weights), device_params(weights)
    first, second = pictures()  # of different sizes
    both = mean_activations(network, params, [first, second])
    alone = [mean_activations(network, params, [p]) for p in (first, second)]
    for layer in network.layers:
        expected = (alone[0][layer] + alone[1][layer]) / 2
        np.testing.assert_allclose(both[layer], expected, rtol=1e-6)


def test_floor_by_hand():
    mu = {"a": jnp.array([0.0, 1.0, 5.0]), "dead": jnp.zeros(2)}
    result = floored(mu, floor=0.1)
    np.testing.assert_allclose(result["a"], [0.2, 1.0, 5.0])
    np.testing.assert_array_equal(result["dead"], [1.0, 1.0])


def test_no_pictures():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv1_1")
    with pytest.raises(ValueError, match="at least one picture"):
        mean_activations(network_of(weights), device_params(weights), [])
