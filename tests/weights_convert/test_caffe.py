import numpy as np
import pytest

from nst_jax.features.weights import CAFFE_INPUT
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import (
    assert_converted,
    random_layers,
    under_caffe_names,
)
from weights_convert import caffe


@pytest.mark.parametrize("layout", ["vgg16", "vgg19"])
def test_whole_network(tmp_path, layout):
    layers = random_layers(layout)
    state = under_caffe_names(layers)
    state["fc6.weight"] = np.ones((4, 6), np.float32)
    make.write_legacy(tmp_path / "vgg_conv.pth", state)
    weights = caffe.convert(tmp_path / "vgg_conv.pth")
    assert_converted(weights.params, layers)
    assert weights.input == CAFFE_INPUT


def test_missing_and_extra(tmp_path):
    state = under_caffe_names(random_layers())
    del state["conv3_1.weight"]
    state["conv9_9.bias"] = np.ones(3, np.float32)
    make.write_zip(tmp_path / "x.pth", state)
    with pytest.raises(
        ValueError, match=r"missing conv3_1\.weight; extra conv9_9\.bias$"
    ):
        caffe.convert(tmp_path / "x.pth")
