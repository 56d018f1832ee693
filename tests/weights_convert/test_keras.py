import h5py
import numpy as np
import pytest

from nst_jax.features.weights import CAFFE_INPUT
from tests.reference.vgg_arrays import assert_converted, random_layers
from weights_convert import keras

# Where the older and the newer files keep a kernel and a bias.
PLACES = {
    "old": ("{0}/{0}_W_1:0", "{0}/{0}_b_1:0"),
    "new": ("{0}/{0}/kernel:0", "{0}/{0}/bias:0"),
    "model": ("model_weights/{0}/{0}/kernel:0", "model_weights/{0}/{0}/bias:0"),
}


def write(path, layers, place="old"):
    with h5py.File(path, "w") as file:
        for layer, arrays in layers.items():
            name = layer.replace("conv", "block").replace("_", "_conv")
            kernel, bias = (where.format(name) for where in PLACES[place])
            file[kernel] = np.transpose(arrays["kernel"], (2, 3, 1, 0))
            file[bias] = arrays["bias"]
        for group in ("block1_pool", "input_1", "flatten"):
            file.create_group(group)
        file["fc1/fc1/kernel:0"] = np.ones((4, 6), np.float32)
        file["fc1/fc1/bias:0"] = np.ones(6, np.float32)
    return path


@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("layout", ["vgg16", "vgg19"])
def test_whole_network(tmp_path, place, layout):
    layers = random_layers(layout)
    weights = keras.convert(write(tmp_path / "x.h5", layers, place))
    assert_converted(weights.params, layers)
    assert weights.input == CAFFE_INPUT


def test_missing_layer(tmp_path):
    layers = random_layers()
    del layers["conv3_2"]
    with pytest.raises(ValueError, match=r"missing \['conv3_2'\]"):
        keras.convert(write(tmp_path / "x.h5", layers))


def test_extra_layer(tmp_path):
    layers = random_layers()
    layers["conv6_1"] = layers["conv5_4"]
    with pytest.raises(ValueError, match=r"extra \['conv6_1'\]"):
        keras.convert(write(tmp_path / "x.h5", layers))


def test_wrong_shape(tmp_path):
    layers = random_layers(count=3)
    layers["conv2_1"]["bias"] = np.ones(9, np.float32)
    with pytest.raises(ValueError, match=r"conv2_1: kernel \(3, 3, 2, 3\)"):
        keras.convert(write(tmp_path / "x.h5", layers))


def test_theano_order_is_refused(tmp_path):
    layers = random_layers(count=1)
    layers["conv1_1"]["kernel"] = layers["conv1_1"]["kernel"].transpose(2, 3, 0, 1)
    with pytest.raises(ValueError, match=r"expected kernel \(3, 3, 3, out\)"):
        keras.convert(write(tmp_path / "x.h5", layers))


@pytest.mark.parametrize("value", ["theano", b"theano"])
def test_theano_kernels_are_refused(tmp_path, value):
    path = write(tmp_path / "x.h5", random_layers(count=1))
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = value
    with pytest.raises(ValueError, match="flipped"):
        keras.convert(path)


def test_two_kernels_or_no_bias(tmp_path):
    path = write(tmp_path / "x.h5", random_layers(count=1))
    with h5py.File(path, "a") as file:
        del file["block1_conv1/block1_conv1_b_1:0"]
    with pytest.raises(ValueError, match=r"conv1_1: expected one kernel and one bias"):
        keras.convert(path)


def test_other_files_are_not_followed(tmp_path):
    other = write(tmp_path / "other.h5", random_layers(count=1))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["block1_conv1"] = h5py.ExternalLink(other, "block1_conv1")
    with pytest.raises(ValueError, match="front of no known layout"):
        keras.convert(tmp_path / "x.h5")
    (tmp_path / "raw").write_bytes(bytes(3 * 3 * 3 * 2 * 4))
    with h5py.File(tmp_path / "y.h5", "w") as file:
        group = file.create_group("block1_conv1")
        raw = [(str(tmp_path / "raw"), 0, 216)]
        group.create_dataset("kernel:0", (3, 3, 3, 2), "<f4", external=raw)
        group["bias:0"] = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="lie in another file"):
        keras.convert(tmp_path / "y.h5")


def test_huge_dataset_is_refused_unread(tmp_path):
    """Declared, never written: reading it would allocate 432 GB."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        shape = (3, 3, 3, 4 * 10**9)
        file.create_dataset("block1_conv1/k", shape, "<f4", chunks=(3, 3, 3, 64))
        file.create_dataset("block1_conv1/b", shape[-1:], "<f4", chunks=(64,))
    with pytest.raises(ValueError, match="at most 4096"):
        keras.convert(tmp_path / "x.h5")


def test_truncated(tmp_path):
    path = write(tmp_path / "x.h5", random_layers(count=2))
    data = path.read_bytes()
    for size in range(0, len(data), 499):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"x\.h5"):
            keras.convert(path)
