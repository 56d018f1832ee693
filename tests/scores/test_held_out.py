"""Layers to judge at."""

from nst_jax.features.layout import layer_names
from nst_jax.scores.held_out import for_content, held_out

VGG19 = layer_names("vgg19")
TINY = VGG19[:13]  # to conv5_1
DEFAULT = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")


def test_the_default_layers_leave_one_of_each_block():
    found = held_out(DEFAULT, VGG19)
    assert found == ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_2")
    assert for_content(found) == ("conv4_3", "conv5_2")
    assert held_out(DEFAULT, TINY) == ("conv1_2", "conv2_2", "conv3_3", "conv4_3")
    assert for_content(held_out(DEFAULT, TINY)) == ("conv4_3",)
    assert held_out(DEFAULT, layer_names("vgg16")) == found


def test_the_nearest_other_layer_of_a_block_takes_the_place():
    taken = ("conv1_2", "conv3_3", "conv3_2", "conv4_3", "conv5_2", "conv5_1")
    found = held_out(taken, VGG19)
    assert found == ("conv1_1", "conv2_2", "conv3_4", "conv4_2", "conv5_3")


def test_a_block_without_any_has_none():
    taken = (*VGG19[:2], *VGG19[8:])
    assert held_out(taken, VGG19) == ("conv2_2", "conv3_3")
    assert for_content(("conv2_2", "conv3_3")) == ("conv3_3",)
    assert held_out(VGG19, VGG19) == ()
    assert for_content(()) == ()
