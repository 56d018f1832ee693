import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.scores import (
    gram_errors,
    mean_score,
    random_filter_distance,
    response_errors,
)
from tests.reference import losses as slow


def texture(seed, size=(72, 80), contrast=0.2):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((size[0] // 4 + 1, size[1] // 4 + 1, 3))
    coarse = np.kron(noise, np.ones((4, 4, 1)))[: size[0], : size[1]]
    return jnp.asarray(np.clip(0.5 + contrast * coarse, 0, 1), jnp.float32)


@pytest.fixture(scope="module")
def network():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv2_2")
    return network_of(weights), device_params(weights)


def test_errors_are_those_of_the_slow_twin(network):
    extract, params = network
    result, style, layers = texture(0), texture(1, (64, 90)), ("conv1_2", "conv2_2")
    ours = gram_errors(extract, params, result=result, style=style, layers=layers)
    features = [
        {k: np.float64(v) for k, v in extract(params, x, layers).items()}
        for x in (result, style)
    ]
    for layer in layers:
        g, a = (slow.gram_matrix(f[layer]) for f in features)
        assert ours[layer] == pytest.approx(
            np.sum((g - a) ** 2) / np.sum(a**2), rel=1e-3
        )


def test_content_error_by_hand(network):
    extract, params = network
    picture = texture(0)
    errors = response_errors(
        extract, params, result=picture, content=picture, layers=("conv2_1",)
    )
    assert errors == {"conv2_1": 0.0}
    doubled = {k: {**v, "kernel": 0 * v["kernel"]} for k, v in params.items()}
    nothing = {k: {**v, "bias": v["bias"] + 1} for k, v in doubled.items()}
    # Constant responses of 1 everywhere, whatever the picture: nothing to tell apart.
    same = response_errors(
        extract, nothing, result=picture, content=texture(3), layers=("conv1_1",)
    )
    assert same == {"conv1_1": 0.0}
    with pytest.raises(ValueError, match="sizes differ"):
        response_errors(extract, params, result=picture, content=picture[:-1])


def test_random_filters_know_a_texture_from_another():
    style = texture(0)
    assert random_filter_distance(style, style) == 0
    like = random_filter_distance(texture(5), style)
    shuffled = jax.random.permutation(jax.random.key(0), style.reshape(-1, 3))
    unlike = random_filter_distance(shuffled.reshape(style.shape), style)
    pale = random_filter_distance(texture(5, contrast=0.02), style)
    assert like < 0.25 * unlike  # the same pixels in another order are another style
    assert like < 0.25 * pale


def test_random_filters_are_seeded():
    a, b = texture(0), texture(1, contrast=0.1)
    assert random_filter_distance(a, b) == random_filter_distance(a, b)
    assert random_filter_distance(a, b) != random_filter_distance(a, b, seed=1)
    with pytest.raises(ValueError, match="octaves need 56 pixels"):
        random_filter_distance(a[:40], b)


def test_mean_score_is_geometric():
    assert mean_score({"a": 0.01, "b": 1.0}) == pytest.approx(0.1)
