import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nst_jax.features.weights import TORCHVISION_INPUT
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import (
    assert_converted,
    random_layers,
    under_torchvision_names,
)
from weights_convert import torchvision

WRITERS = {
    ".pth": make.write_zip,
    ".legacy.pth": make.write_legacy,
    ".safetensors": lambda path, arrays: save_file(arrays, path),
}


@pytest.fixture(params=list(WRITERS))
def write(request, tmp_path):
    def write(arrays):
        path = tmp_path / f"weights{request.param}"
        WRITERS[request.param](path, arrays)
        return path

    return write


@pytest.mark.parametrize("layout", ["vgg16", "vgg19"])
def test_whole_network(write, layout):
    layers = random_layers(layout)
    state = under_torchvision_names(layers, layout)
    state["classifier.0.weight"] = np.ones((4, 6), np.float32)
    weights = torchvision.convert(write(state))
    assert_converted(weights.params, layers)
    assert weights.input == TORCHVISION_INPUT


@pytest.mark.parametrize("count", [1, 4, 7, 13])
def test_early_end(write, count):
    layers = random_layers("vgg19", count=count)
    weights = torchvision.convert(write(under_torchvision_names(layers, "vgg19")))
    assert_converted(weights.params, layers)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32(write, dtype):
    layers = random_layers(count=2)
    layers = {
        layer: {key: value.astype(dtype) for key, value in arrays.items()}
        for layer, arrays in layers.items()
    }
    params = torchvision.convert(write(under_torchvision_names(layers, "vgg19"))).params
    expected = {
        layer: {key: value.astype(np.float32) for key, value in arrays.items()}
        for layer, arrays in layers.items()
    }
    assert_converted(params, expected)


def test_classifier_is_not_read(write, monkeypatch):
    state = under_torchvision_names(random_layers(count=1), "vgg19")
    state["classifier.0.weight"] = np.ones((4, 6), np.float32)
    path, read = write(state), []
    original = torchvision.open_state_dict(path)

    class Recording:
        def __enter__(self):
            return {n: recorded(n, t) for n, t in original.__enter__().items()}

        def __exit__(self, *error):
            return original.__exit__(*error)

    def recorded(name, tensor):
        def note():
            read.append(name)
            return tensor.read()

        return tensor._replace(read=note)

    monkeypatch.setattr(torchvision, "open_state_dict", lambda _: Recording())
    torchvision.convert(path)
    assert read == ["features.0.weight", "features.0.bias"]


def test_refuses_batch_normalisation(write):
    state = {
        "features.0.weight": np.ones((2, 3, 3, 3), np.float32),
        "features.0.bias": np.ones(2, np.float32),
        "features.1.weight": np.ones(2, np.float32),
        "features.1.bias": np.ones(2, np.float32),
        "features.1.running_mean": np.ones(2, np.float32),
        "features.1.running_var": np.ones(2, np.float32),
        "features.1.num_batches_tracked": np.array(3, np.int64),
    }
    with pytest.raises(ValueError, match="batch normalisation"):
        torchvision.convert(write(state))


def test_lists_missing_and_extra(write):
    state = under_torchvision_names(random_layers("vgg19"), "vgg19")
    del state["features.5.bias"]
    state["features.99.weight"] = np.ones(3, np.float32)
    state["stem.weight"] = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="front of no known network") as caught:
        torchvision.convert(write(state))
    assert str(caught.value).endswith(
        "missing features.5.bias; extra features.99.weight, stem.weight"
    )


def test_lists_at_most_eight_names(write):
    state = {f"layer{i}.weight": np.ones(3, np.float32) for i in range(20)}
    with pytest.raises(ValueError, match=r"layer15\.weight and 12 more$"):
        torchvision.convert(write(state))


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("features.0.weight", (2, 1, 3, 3), "conv1_1"),
        ("features.0.weight", (2, 3, 5, 5), "conv1_1"),
        ("features.0.weight", (2, 27), "conv1_1"),
        ("features.2.weight", (2, 9, 3, 3), "conv1_2"),
        ("features.2.weight", (3, 2, 3, 3), "conv1_2"),
        ("features.5.bias", (4,), "conv2_1"),
        ("features.5.bias", (3, 1), "conv2_1"),
        ("features.5.bias", (), "conv2_1"),
    ],
)
def test_wrong_shapes_name_the_layer(write, name, shape, layer):
    state = under_torchvision_names(random_layers("vgg19"), "vgg19")
    state[name] = np.ones(shape, np.float32)
    with pytest.raises(ValueError, match=f"{layer}: kernel .* do not fit"):
        torchvision.convert(write(state))


def test_refuses_empty_and_absurd_widths(write):
    for out, message in ((0, "do not fit"), (5000, "at most 4096")):
        state = {
            "features.0.weight": np.ones((out, 3, 3, 3), np.float32),
            "features.0.bias": np.ones(out, np.float32),
        }
        with pytest.raises(ValueError, match=message):
            torchvision.convert(write(state))


def test_refuses_integers(write):
    state = under_torchvision_names(random_layers(count=1), "vgg19")
    state["features.0.bias"] = np.ones(2, np.int64)
    with pytest.raises(ValueError, match="conv1_1: bias holds"):
        torchvision.convert(write(state))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_refuses_values_that_are_not_finite(write, value):
    layers = random_layers(count=2)
    state = under_torchvision_names(layers, "vgg19")
    state["features.2.bias"] = np.array([1.0, value], np.float64)
    with pytest.raises(ValueError, match="conv1_2: bias: values are not all finite"):
        torchvision.convert(write(state))


def test_truncated_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(under_torchvision_names(random_layers(count=1), "vgg19"), path)
    data = path.read_bytes()
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"x\.safetensors"):
            torchvision.convert(path)


@pytest.mark.weights
@pytest.mark.skipif(
    "NST_JAX_TEST_WEIGHTS" not in os.environ,
    reason="NST_JAX_TEST_WEIGHTS names no folder with vgg19_quarter.pth",
)
def test_real_weights_in_both_formats():
    folder = Path(os.environ["NST_JAX_TEST_WEIGHTS"])
    new = torchvision.convert(folder / "vgg19_quarter.pth").params
    old = torchvision.convert(folder / "vgg19_quarter_legacy.pth").params
    assert list(new) == list(old) == list(random_layers(count=13))
    for layer in new:
        np.testing.assert_array_equal(new[layer]["kernel"], old[layer]["kernel"])
        np.testing.assert_array_equal(new[layer]["bias"], old[layer]["bias"])
