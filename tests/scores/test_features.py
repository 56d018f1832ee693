import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.scores.features import (
    cosines,
    gram_errors,
    mean_score,
    response_errors,
    sliced_distance,
    sliced_wasserstein,
)
from nst_jax.scores.filters import random_filter_distance
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
    with pytest.raises(ValueError, match="4 octaves need 56 pixels"):
        random_filter_distance(a[:40], b)


def test_mean_score_is_geometric():
    assert mean_score({"a": 0.01, "b": 1.0}) == pytest.approx(0.1)


def test_cosine_by_hand(network):
    extract, params = network
    # All kernels 0 and a bias per channel: constant responses of known direction.
    first, second = (
        {k: {"kernel": 0 * v["kernel"], "bias": b * jnp.ones_like(v["bias"])}
         for k, v in params.items()}
        for b in (1.0, 3.0)
    )  # fmt: skip
    looks = {"result": texture(0), "content": texture(3), "layers": ("conv1_1",)}
    assert cosines(extract, first, **looks)["conv1_1"] == pytest.approx(1)
    assert cosines(extract, second, **looks)["conv1_1"] == pytest.approx(1)
    same = cosines(extract, params, result=texture(0), content=texture(0),
                   layers=("conv2_1",))  # fmt: skip
    assert same["conv2_1"] == pytest.approx(1)
    ours, theirs = (
        np.float64(extract(params, x, ("conv2_2",))["conv2_2"]).ravel()
        for x in (texture(0), texture(3))
    )
    expected = ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs))
    looks["layers"] = ("conv2_2",)
    found = cosines(extract, params, **looks)["conv2_2"]
    assert found == pytest.approx(expected, rel=1e-4)
    assert found < 0.99
    with pytest.raises(ValueError, match="sizes differ"):
        cosines(extract, params, **looks | {"content": texture(0)[:-1]})


def distance(ours, theirs, directions=3):
    clouds = (np.asarray(x, np.float32) for x in (ours, theirs))
    return sliced_distance(*clouds, directions=directions, rng=np.random.default_rng(0))


def test_sliced_distance_in_one_dimension_is_that_of_sorted_numbers():
    # In one dimension every direction is +1 or -1.
    assert distance([[0], [3], [1]], [[1], [0], [3]]) == 0
    assert distance([[1], [2]], [[3], [1]]) == pytest.approx((0 + 1) / (1 + 9))
    # Quantiles: 0, 1, 2, 3 at the places of two numbers are 0.5 and 2.5.
    assert distance([[0], [1], [2], [3]], [[1], [3]]) == pytest.approx(0.5 / 10)
    assert distance([[0], [0]], [[5], [2]]) == pytest.approx(1)


def test_sliced_distance_of_gaussians_is_the_known_one():
    # Of two normal clouds N(0, s^2) and N(m, t^2) in each direction: (v m)^2 + (s-t)^2.
    rng = np.random.default_rng(1)
    ours = 2 * rng.standard_normal((40_000, 2))
    theirs = rng.standard_normal((40_000, 2)) + np.array([3, 0])
    expected = (9 / 2 + 1) / (
        9 / 2 + 1
    )  # on average over directions; scale t^2 + m^2/2
    assert distance(ours, theirs, directions=400) == pytest.approx(expected, rel=0.05)
    assert distance(theirs + 0.1, theirs, directions=400) == pytest.approx(
        0.01 / (9 / 2 + 1), rel=0.1
    )


def test_sliced_distance_sees_what_gram_matrices_do_not():
    # The same second moments, other distributions (Heitz et al. 2021, figure 2).
    rng = np.random.default_rng(2)
    ours = np.sign(rng.standard_normal((5000, 1)))
    theirs = rng.standard_normal((5000, 1))
    theirs *= np.sqrt(np.mean(ours**2) / np.mean(theirs**2))
    assert distance(ours, theirs) > 0.2


def test_sliced_wasserstein_forgets_places_and_is_seeded(network):
    extract, params = network
    style, look = texture(1, (64, 90)), {"layers": ("conv1_2", "conv2_2")}

    def score(result, **options):
        return sliced_wasserstein(
            extract, params, result=result, style=style, **look, **options
        )

    assert score(style) == {"conv1_2": 0, "conv2_2": 0}
    # But for the border, a picture upside down has the same responses to 1 x 1 kernels.
    flat = jax.tree.map(jnp.asarray, params)
    flat = {
        k: v | {"kernel": v["kernel"].at[jnp.array([0, 2])].set(0).at[:, [0, 2]].set(0)}
        for k, v in flat.items()
    }
    turned = sliced_wasserstein(
        extract, flat, result=style[::-1], style=style, layers=("conv1_2",)
    )
    assert turned["conv1_2"] < 1e-10
    other = score(texture(0))
    assert min(other.values()) > 1e-3
    assert score(texture(0)) == other
    assert score(texture(0), seed=1) != other
