"""State dicts of the original Caffe weights: ``conv1_1.weight`` and so on.

Such files (``vgg_conv.pth`` of Gatys's PyTorch code is one) hold the weights of the
Visual Geometry Group unchanged but for the format: their input is BGR on 0..255 minus
the mean.
"""

import re
from collections.abc import Iterable
from os import PathLike

from nst_jax.features.layout import LAYOUTS, layer_names
from nst_jax.features.weights import CAFFE_INPUT, Weights
from weights_convert.state_dict import open_state_dict, read_layers


def convert(src: str | PathLike) -> Weights:
    """Weights of a state dict with Caffe's layer names (.pth or .safetensors).

    Fully connected layers (fc6, fc7, fc8) are not read.

    Raises:
        ValueError: if the file is damaged, is another network, or a shape does not
            fit.
        OSError: if there is no such file.
    """
    with open_state_dict(src) as tensors:
        wanted = {n: t for n, t in tensors.items() if not re.match(r"fc\d\.", n)}
        tables = {
            layout: {layer: layer for layer in layer_names(layout)}
            for layout in reversed(LAYOUTS)
        }
        params = read_layers(wanted, tables, where=str(src))
    return Weights(params, input=CAFFE_INPUT)


def is_caffe(tensor_names: Iterable[str]) -> bool:
    """Whether tensor names look like Caffe's."""
    return any(re.match(r"conv\d_\d\.", name) for name in tensor_names)
