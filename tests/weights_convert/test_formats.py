import hashlib

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from nst_jax.features.weights import CAFFE_INPUT, TORCHVISION_INPUT, read
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import (
    assert_converted,
    random_layers,
    under_caffe_names,
    under_torchvision_names,
)
from weights_convert.formats import LICENCES, UNKNOWN_LICENCE, convert_file

FULL_WIDTHS = (64, 128, 256, 512, 512)
QUARTER_WIDTHS = (16, 32, 64, 128, 128)


def write_keras(path, layers):
    with h5py.File(path, "w") as file:
        for layer, arrays in layers.items():
            name = layer.replace("conv", "block").replace("_", "_conv")
            file[f"{name}/kernel:0"] = arrays["kernel"].transpose(2, 3, 1, 0)
            file[f"{name}/bias:0"] = arrays["bias"]


def write_safetensors(path, layers):
    save_file(under_torchvision_names(layers, "vgg19"), path)


def write_torchvision(path, layers):
    make.write_legacy(path, under_torchvision_names(layers, "vgg19"))


def write_caffe(path, layers):
    make.write_zip(path, under_caffe_names(layers))


@pytest.mark.parametrize(
    ("write", "kind", "name", "convention"),
    [
        (write_torchvision, "torchvision", "vgg19", TORCHVISION_INPUT),
        (write_safetensors, "torchvision", "vgg19", TORCHVISION_INPUT),
        (write_keras, "keras", "vgg19-caffe", CAFFE_INPUT),
        (write_caffe, "caffe", "vgg19-caffe", CAFFE_INPUT),
    ],
)
def test_kind_is_told_from_the_content(tmp_path, write, kind, name, convention):
    """The file's ending says nothing."""
    layers = random_layers(count=3, widths=FULL_WIDTHS)
    source = tmp_path / "source.bin"
    write(source, layers)
    convert_file(source, tmp_path / "x.h5")
    weights = read(tmp_path / "x.h5")
    assert_converted(weights.params, layers)
    assert weights.input == convention
    assert weights.name == name
    assert weights.source == "source.bin"
    assert weights.licence == LICENCES[kind]
    assert weights.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("widths", "suffix"),
    [(QUARTER_WIDTHS, " (1/4 width)"), ((64, 100, 9, 9, 9), " (other widths)")],
)
def test_other_widths_are_named(tmp_path, widths, suffix):
    write_torchvision(tmp_path / "x.pth", random_layers(count=3, widths=widths))
    weights = convert_file(tmp_path / "x.pth", tmp_path / "x.h5")
    assert weights.name == "vgg19" + suffix
    assert weights.licence == UNKNOWN_LICENCE


def test_own_name_licence_and_kind(tmp_path):
    write_caffe(tmp_path / "x.pth", random_layers(count=1))
    options = {"kind": "caffe", "name": "mine", "licence": "MIT"}
    convert_file(tmp_path / "x.pth", tmp_path / "x.h5", **options)
    assert read(tmp_path / "x.h5")[2:4] == ("mine", "x.pth")
    assert read(tmp_path / "x.h5").licence == "MIT"


def test_wrong_or_unknown_kind(tmp_path):
    write_caffe(tmp_path / "x.pth", random_layers(count=1))
    for kind, message in (
        ("torchvision", "missing none; extra conv1_1.bias, conv1_1.weight"),
        ("keras", "not a readable HDF5"),
        ("onnx", "unknown kind 'onnx'"),
    ):
        with pytest.raises(ValueError, match=message):
            convert_file(tmp_path / "x.pth", tmp_path / "x.h5", kind=kind)
    assert not (tmp_path / "x.h5").exists()


def test_unknown_files(tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"hello, world: this is text\n", b"\x89HDF\r\n\x1a\n" + b"0"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            convert_file(path, tmp_path / "y.h5")
    make.write_zip(path, {"layer1.weight": np.ones(3, np.float32)})
    with pytest.raises(ValueError, match="neither torchvision's tensor names"):
        convert_file(path, tmp_path / "y.h5")
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(ValueError, match="without Keras's names"):
        convert_file(path, tmp_path / "y.h5")


def test_own_file_is_refused(tmp_path):
    write_caffe(tmp_path / "x.pth", random_layers(count=1))
    convert_file(tmp_path / "x.pth", tmp_path / "x.h5")
    with pytest.raises(ValueError, match="already a weights file of this project"):
        convert_file(tmp_path / "x.h5", tmp_path / "y.h5")


def test_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError):
        convert_file(tmp_path / "none.pth", tmp_path / "x.h5")
