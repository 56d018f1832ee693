import numpy as np
import pytest

from nst_jax.features import weights
from nst_jax.features.layout import layer_names
from nst_jax.features.random_weights import random_weights


def test_standard_deviation_of_each_layer():
    params = random_weights("vgg19", seed=3, width=0.25).params
    inputs = {"conv1_1": 3, "conv1_2": 16, "conv2_1": 16, "conv3_4": 64, "conv5_1": 128}
    for layer, channels in inputs.items():
        kernel = params[layer]["kernel"]
        assert kernel.shape[2] == channels
        # The relative error of a standard deviation from n draws is 1 / sqrt(2 n).
        tolerance = 4 / np.sqrt(2 * kernel.size)
        std = np.sqrt(2 / (9 * channels))
        np.testing.assert_allclose(kernel.std(), std, rtol=tolerance)
        assert abs(kernel.mean()) < 4 * std / np.sqrt(kernel.size)


def test_shapes_types_and_biases():
    made = random_weights("vgg16", seed=0, width=1 / 32)
    assert tuple(made.params) == layer_names("vgg16")
    assert made.params["conv3_1"]["kernel"].shape == (3, 3, 4, 8)
    for arrays in made.params.values():
        assert arrays["kernel"].dtype == arrays["bias"].dtype == np.float32
        assert not arrays["bias"].any()


def test_full_width_up_to_a_layer():
    made = random_weights("vgg19", seed=0, deepest="conv2_1")
    assert list(made.params) == ["conv1_1", "conv1_2", "conv2_1"]
    assert made.params["conv2_1"]["kernel"].shape == (3, 3, 64, 128)


def test_the_seed_decides():
    first, again, other = (
        random_weights("vgg19", seed=seed, width=1 / 32) for seed in (0, 0, 1)
    )
    assert first.name == "vgg19 random (He, seed 0)"
    assert first.sha256 == again.sha256
    assert first.sha256 != other.sha256
    for layer, arrays in first.params.items():
        np.testing.assert_array_equal(arrays["kernel"], again.params[layer]["kernel"])
    assert (
        first.params["conv1_1"]["kernel"] != other.params["conv1_1"]["kernel"]
    ).all()


def test_at_least_one_channel_stays():
    made = random_weights("vgg19", seed=0, width=1e-3)
    assert made.params["conv1_1"]["kernel"].shape == (3, 3, 3, 1)


def test_they_can_be_written_and_read(tmp_path):
    made = random_weights("vgg19", seed=0, width=1 / 32, deepest="conv3_1")
    weights.write(tmp_path / "random.h5", made)
    assert weights.read(tmp_path / "random.h5").sha256 == made.sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, "width must be positive"),
        ({"width": float("nan")}, "width must be positive"),
        ({"deepest": "conv9_9"}, "unknown layer conv9_9"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        random_weights("vgg19", seed=0, **options)


def test_unknown_layout():
    with pytest.raises(ValueError, match="unknown network 'vgg11'"):
        random_weights("vgg11", seed=0)
