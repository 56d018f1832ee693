import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.weights import write
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import random_layers, under_caffe_names
from weights_convert import verify as module
from weights_convert.formats import convert_file
from weights_convert.verify import verify


@pytest.fixture
def path(tmp_path):
    weights = random_weights("vgg19", seed=0, width=1 / 16, deepest="conv5_1")
    write(tmp_path / "x.h5", weights)
    return tmp_path / "x.h5"


def test_report(path):
    report = verify(path)
    assert report.name == "vgg19 random (He, seed 0)"
    assert not report.source_checked
    assert {p: len(layers) for p, layers in report.differences.items()} == {
        "avg": 13,
        "max": 13,
    }
    values = [v for layers in report.differences.values() for v in layers.values()]
    # float32 against float64: not exactly equal, and not far.
    assert 0 < max(values) == report.largest < 1e-5


def test_caffe_input_and_source_hash(tmp_path):
    source = tmp_path / "x.pth"
    make.write_zip(source, under_caffe_names(random_layers(count=3)))
    convert_file(source, tmp_path / "x.h5")
    assert verify(tmp_path / "x.h5", source).source_checked
    source.write_bytes(source.read_bytes() + b" ")
    with pytest.raises(ValueError, match="was not converted from"):
        verify(tmp_path / "x.h5", source)


def test_lists_layers_that_differ(path, monkeypatch):
    original = module.forward

    def wrong(weights, picture, *, pooling):
        responses = original(weights, picture, pooling=pooling)
        responses["conv2_1"] = responses["conv2_1"] * (1 + 2e-4)
        if pooling == "max":
            responses["conv3_4"] = responses["conv3_4"] * float("nan")
        return responses

    monkeypatch.setattr(module, "forward", wrong)
    with pytest.raises(ValueError, match="differ from plain NumPy") as caught:
        verify(path)
    assert str(caught.value).endswith(
        "in conv2_1 (avg pooling, 2.0e-04), conv2_1 (max pooling, 2.0e-04), "
        "conv3_4 (max pooling, nan)"
    )


def test_damaged_file(path):
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="not a readable HDF5"):
        verify(path)
