import os
from pathlib import Path

import numpy as np
import pytest

from nst_jax.features.weights import InputConvention, Weights
from weights_convert import torchvision
from weights_convert.numpy_forward import forward

UNCHANGED = InputConvention("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def one_tap(i: int, j: int) -> dict[str, np.ndarray]:
    """A layer that passes each channel on, from position (y + i - 1, x + j - 1)."""
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[i, j] = np.eye(3)
    return {"kernel": kernel, "bias": np.zeros(3, np.float32)}


def test_taps_are_not_flipped_and_borders_are_zero():
    picture = np.random.default_rng(0).random((4, 5, 3))
    weights = Weights({"conv1_1": one_tap(0, 2)}, input=UNCHANGED)
    response = forward(weights, picture)["conv1_1"]
    np.testing.assert_array_equal(response[1:, :-1], picture[:-1, 1:])
    assert not response[0].any()
    assert not response[:, -1].any()


def test_bias_and_relu():
    layer = one_tap(1, 1) | {"bias": np.array([-0.5, 0.25, 0.0], np.float32)}
    picture = np.full((2, 2, 3), 0.375)
    response = forward(Weights({"conv1_1": layer}, input=UNCHANGED), picture)
    np.testing.assert_array_equal(response["conv1_1"][0, 0], [0, 0.625, 0.375])


def test_input_convention():
    convention = InputConvention("BGR", (0.25, 0.0, 0.125), (2.0, 1.0, 4.0))
    weights = Weights({"conv1_1": one_tap(1, 1)}, input=convention)
    response = forward(weights, np.array([[[1.0, 0.5, 0.75]]]))["conv1_1"]
    np.testing.assert_array_equal(response[0, 0], [1.0, 0.5, 3.5])


@pytest.mark.parametrize(("pooling", "value"), [("avg", 4.0), ("max", 7.0)])
def test_pooling_between_blocks_drops_odd_rows(pooling, value):
    names = ("conv1_1", "conv1_2", "conv2_1")
    weights = Weights({name: one_tap(1, 1) for name in names}, input=UNCHANGED)
    picture = np.zeros((3, 4, 3))
    picture[:2, :2, 0] = [[1, 2], [6, 7]]
    picture[2] = 100
    response = forward(weights, picture, pooling=pooling)
    assert response["conv1_2"].shape == (3, 4, 3)
    assert response["conv2_1"].shape == (1, 2, 3)
    np.testing.assert_array_equal(response["conv2_1"][0, :, 0], [value, 0])


@pytest.mark.weights
@pytest.mark.skipif(
    "NST_JAX_TEST_WEIGHTS" not in os.environ,
    reason="NST_JAX_TEST_WEIGHTS names no folder with vgg19_quarter.pth",
)
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_real_weights_as_pytorch_computes_them(pooling):
    folder = Path(os.environ["NST_JAX_TEST_WEIGHTS"])
    golden = np.load(folder / "vgg19_quarter_golden.npz")
    weights = torchvision.convert(folder / "vgg19_quarter.pth")
    responses = forward(weights, golden["image_uint8"] / 255, pooling=pooling)
    assert len(responses) == 13
    for layer, response in responses.items():
        expected = golden[f"{pooling}__{layer}"]
        found = response if expected.ndim == 3 else response.mean((0, 1))
        assert found.shape == expected.shape
        # Whole maps are stored as float32, means as float64.
        np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())
