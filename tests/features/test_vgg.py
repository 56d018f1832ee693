import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.pretrained import resolve
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, feature_shape, network_of, pool
from nst_jax.features.weights import CAFFE_INPUT, InputConvention, Weights, read

GOLDEN = Path(__file__).parent.parent / "golden" / "vgg_random.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def golden_weights(golden, layout: str) -> Weights:
    names = [k.split("/")[2] for k in golden if k.startswith(f"{layout}/kernel/")]
    params = {
        name: {
            key: golden[f"{layout}/{key}/{name}"].astype(np.float32)
            for key in ("kernel", "bias")
        }
        for name in names
    }
    mean, scale = golden["mean"].tolist(), (1 / golden["std"]).tolist()
    return Weights(params, input=InputConvention("RGB", tuple(mean), tuple(scale)))


@pytest.mark.parametrize(
    ("layout", "padding", "pooling"),
    [
        ("vgg19", "zeros", "avg"),
        ("vgg19", "zeros", "max"),
        ("vgg19", "reflect", "avg"),
        ("vgg16", "zeros", "avg"),
        ("vgg16", "zeros", "max"),
    ],
)
def test_features_are_those_of_pytorch(golden, layout, padding, pooling):
    """Goldens: torch in float64, golden/make_vgg_random.py."""
    weights = golden_weights(golden, layout)
    network = network_of(weights, padding=padding, pooling=pooling)
    picture = golden["picture_large" if padding == "reflect" else "picture"]
    features = network(
        device_params(weights), jnp.asarray(picture, jnp.float32), network.layers
    )
    compared = 0
    for kind in ("map", "mean"):
        for layer in network.layers:
            expected = golden.get(f"{layout}/{padding}/{pooling}/{kind}/{layer}")
            if expected is None:
                continue
            ours = np.asarray(features[layer])
            ours = ours if kind == "map" else ours.mean((0, 1))
            assert ours.shape == expected.shape
            assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()
            compared += 1
    assert compared == len(network.layers)


def real_weights() -> Path:
    folder = os.environ.get("NST_JAX_TEST_WEIGHTS")
    if not folder:
        pytest.skip("NST_JAX_TEST_WEIGHTS is not set")
    return Path(folder)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["vgg19_quarter.pth", "vgg19_quarter_legacy.pth"])
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_features_of_real_weights(tmp_path, monkeypatch, name, pooling):
    """Goldens: PyTorch 2.13 in float64, from the same file."""
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path))
    folder = real_weights()
    weights = read(resolve(str(folder / name)))
    network = network_of(weights, pooling=pooling)
    with np.load(folder / "vgg19_quarter_golden.npz") as golden:
        picture = jnp.asarray(golden["image_uint8"] / np.float32(255))
        features = network(device_params(weights), picture, network.layers)
        assert len(network.layers) == 13
        for layer in network.layers:
            expected = golden[f"{pooling}__{layer}"]
            ours = np.asarray(features[layer])
            ours = ours if expected.ndim == 3 else ours.mean((0, 1))
            assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture
def small():
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv4_2")
    return weights, network_of(weights)


def test_only_the_layers_needed_run(small):
    weights, network = small
    params = device_params(weights)
    params = {layer: params[layer] for layer in ("conv1_1", "conv1_2", "conv2_1")}
    features = network(params, jnp.ones((16, 16, 3)), ("conv2_1",))
    assert list(features) == ["conv2_1"]


def test_shapes_are_foretold(small):
    weights, network = small
    picture = jnp.full((37, 50, 3), 0.5)
    features = network(device_params(weights), picture, network.layers)
    for layer, response in features.items():
        assert feature_shape(network, picture.shape, layer) == response.shape


def test_caffe_order_is_blue_first(small):
    weights, _ = small
    red = jnp.zeros((16, 16, 3)).at[..., 0].set(1.0)
    flipped = {k: dict(v) for k, v in weights.params.items()}
    flipped["conv1_1"]["kernel"] = flipped["conv1_1"]["kernel"][:, :, ::-1]
    bgr = weights._replace(params=flipped, input=CAFFE_INPUT)
    rgb = weights._replace(
        input=InputConvention("RGB", CAFFE_INPUT.mean[::-1], CAFFE_INPUT.scale)
    )
    ours, expected = (
        network_of(w)(device_params(w), red, ("conv1_2",))["conv1_2"]
        for w in (bgr, rgb)
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-3)
    assert np.abs(expected).max() > 1


def test_pooling_by_hand():
    x = jnp.arange(15.0).reshape(3, 5, 1)  # last row and column drop
    np.testing.assert_array_equal(pool(x, "avg")[..., 0], [[3.0, 5.0]])
    np.testing.assert_array_equal(pool(x, "max")[..., 0], [[6.0, 8.0]])


def test_pooling_gradients_by_hand():
    x = jnp.array([[1.0, 2.0], [4.0, 3.0]])[..., None]

    def gradient(pooling):
        return jax.grad(lambda x: jnp.sum(pool(x, pooling)) * 8)(x)[..., 0]

    np.testing.assert_array_equal(gradient("avg"), [[2, 2], [2, 2]])
    np.testing.assert_array_equal(gradient("max"), [[0, 0], [8, 0]])


def test_layers_that_are_not_there_are_named(small):
    weights, network = small
    params, picture = device_params(weights), jnp.ones((16, 16, 3))
    with pytest.raises(ValueError, match="unknown layer conv9_1"):
        network(params, picture, ("conv9_1",))
    with pytest.raises(ValueError, match=r"conv5_1 is deeper .* end at conv4_2"):
        network(params, picture, ("conv5_1",))


@pytest.mark.parametrize(
    "option", [{"pooling": "mean"}, {"padding": "same"}, {"precision": "float16"}]
)
def test_unknown_options_are_refused(small, option):
    with pytest.raises(ValueError, match="must be one of"):
        network_of(small[0], **option)


def test_networks_of_equal_files_are_equal(small):
    weights, network = small
    assert network_of(weights) == network
    assert hash(network_of(weights)) == hash(network)


def loss(network, params, picture):
    """Taps in every block, and one block without any."""
    layers = ("conv1_1", "conv2_1", "conv2_2", "conv4_2")
    features = network(params, picture, layers)
    return sum(jnp.mean(features[layer] ** 2) for layer in layers)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("remat", [(1,), (1, 2), (3,), (1, 2, 3, 4)])
def test_computing_again_changes_nothing(small, pooling, remat):
    weights, _ = small
    params = device_params(weights)
    picture = jax.random.uniform(jax.random.key(0), (37, 50, 3))
    kept, again = (
        jax.jit(
            jax.value_and_grad(
                partial(loss, network_of(weights, pooling=pooling, remat=r), params)
            )
        )(picture)
        for r in ((), remat)
    )
    np.testing.assert_allclose(again[0], kept[0], rtol=1e-6)
    scale = float(jnp.abs(kept[1]).max())
    assert scale > 0
    np.testing.assert_allclose(again[1], kept[1], rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_computing_again_needs_less_memory_inside_a_loop(small, pooling):
    """Where the solver puts the gradient; XLA could undo it there and say nothing."""
    weights, _ = small
    params = device_params(weights)

    def bytes_of(remat):
        network = network_of(weights, pooling=pooling, remat=remat)

        def descend(picture, params):
            last = lambda x: jnp.sum(network(params, x, ("conv4_2",))["conv4_2"] ** 2)  # noqa: E731
            gradient = jax.grad(last)
            step = lambda _, x: x - gradient(x)  # noqa: E731
            return jax.lax.fori_loop(0, 3, step, picture)

        compiled = jax.jit(descend).lower(jnp.ones((96, 128, 3)), params).compile()
        analysis = compiled.memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert bytes_of((1,)) < 0.9 * bytes_of(())


def bfloat16_errors():
    """Root mean square of response and gradient errors over that of the exact ones."""
    weights = random_weights("vgg19", seed=0, width=0.5, deepest="conv4_2")
    params = device_params(weights)
    picture = jax.random.uniform(jax.random.key(0), (32, 40, 3))

    def values(network):
        features = network(params, picture, ("conv1_1", "conv4_2"))
        gradient = jax.grad(partial(loss, network, params))(picture)
        assert {a.dtype for a in (*features.values(), gradient)} == {jnp.dtype("f4")}
        return features["conv4_2"], gradient

    rough = values(network_of(weights, precision="bfloat16"))
    exact = values(network_of(weights))
    return [
        float(jnp.sqrt(jnp.mean((a - b) ** 2) / jnp.mean(b**2)))
        for a, b in zip(rough, exact, strict=True)
    ]


def test_bfloat16_is_close_and_handed_out_as_float32():
    response, gradient = bfloat16_errors()
    assert 1e-4 < response < 2e-2  # bfloat16 keeps 8 bits
    # Some ReLUs open that were shut, and the other way round.
    assert 1e-5 < gradient < 6e-2


@pytest.mark.slow
def test_bfloat16_arrays_of_other_devices(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    response, gradient = bfloat16_errors()
    assert 1e-3 < response < 2e-2
    assert 1e-3 < gradient < 6e-2


def test_blocks_that_are_not_there_are_refused(small):
    with pytest.raises(ValueError, match="blocks from 1 to 5"):
        network_of(small[0], remat=(0, 6))


@pytest.mark.parametrize("wide", [False, True])
def test_a_circular_network_moves_with_its_picture(wide):
    """Shifted by whole poolings, over the edges, its responses shift along."""
    # Many channels and positions take the CPU's quick ways (``winograd``).
    width, side = (1 / 2, 64) if wide else (1 / 16, 32)
    weights = random_weights("vgg19", seed=0, width=width, deepest="conv3_1")
    network, params = network_of(weights, padding="circular"), device_params(weights)
    layers = ("conv1_2", "conv2_1", "conv3_1")
    picture = jnp.asarray(np.random.default_rng(0).random((side, side, 3)), jnp.float32)

    @jax.jit
    def run(picture):
        def total(picture):
            features = network(params, picture, layers)
            return sum(jnp.sum(f**2) for f in features.values()), features

        return jax.value_and_grad(total, has_aux=True)(picture)

    (_, features), gradient = run(picture)
    (_, shifted), moved = run(jnp.roll(picture, (12, -20), (0, 1)))
    scale = float(jnp.abs(gradient).max())
    expected = jnp.roll(gradient, (12, -20), (0, 1))
    np.testing.assert_allclose(moved, expected, atol=1e-4 * scale)
    for layer, factor in zip(layers, (1, 2, 4), strict=True):
        expected = jnp.roll(features[layer], (12 // factor, -20 // factor), (0, 1))
        top = float(jnp.abs(expected).max())
        np.testing.assert_allclose(shifted[layer], expected, atol=1e-4 * top)
    zeros = network_of(weights)(params, jnp.roll(picture, 12, 0), layers)
    plain = network_of(weights)(params, picture, layers)
    assert not np.allclose(zeros["conv1_2"], jnp.roll(plain["conv1_2"], 12, 0))
