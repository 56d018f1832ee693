import pytest

from nst_jax.features.layout import block, layer_names, up_to_deepest

VGG16 = [
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2"),
    *("conv3_1", "conv3_2", "conv3_3"),
    *("conv4_1", "conv4_2", "conv4_3"),
    *("conv5_1", "conv5_2", "conv5_3"),
]


def test_layers_are_those_of_the_paper():
    assert list(layer_names("vgg16")) == VGG16
    assert len(layer_names("vgg19")) == 16
    assert layer_names("vgg19")[7] == "conv3_4"


def test_only_what_is_needed_runs():
    assert up_to_deepest("vgg19", {"conv1_1", "conv2_1"}) == layer_names("vgg19")[:3]
    assert up_to_deepest("vgg19", set()) == ()


def test_unknown_names_are_listed():
    with pytest.raises(ValueError, match="unknown layer conv3_4; vgg16 has conv1_1"):
        up_to_deepest("vgg16", {"conv3_4"})
    with pytest.raises(ValueError, match="unknown network 'resnet'"):
        layer_names("resnet")


def test_blocks():
    assert [block(layer) for layer in ("conv1_2", "conv4_2")] == [1, 4]
