"""torchvision's VGG-16 and VGG-19: ``features.0.weight`` and so on.

The numbers count the modules of the sequence: each convolution is followed by its
ReLU, each block by its pooling.
"""

from collections.abc import Iterable
from os import PathLike

from nst_jax.features.layout import LAYOUTS, block, layer_names
from nst_jax.features.weights import TORCHVISION_INPUT, Weights
from weights_convert.state_dict import open_state_dict, read_layers


def convert(src: str | PathLike) -> Weights:
    """Weights of a torchvision state dict (.pth or .safetensors).

    Fully connected layers are not read. The file may end early, after conv5_1 say.

    Raises:
        ValueError: if the file is damaged, is another network (also one with batch
            normalisation), or a shape does not fit.
        OSError: if there is no such file.
    """
    where = str(src)
    with open_state_dict(src) as tensors:
        wanted = {n: t for n, t in tensors.items() if not n.startswith("classifier.")}
        if any(name.endswith(".running_mean") for name in wanted):
            raise ValueError(
                f"{where}: a network with batch normalisation (vgg16_bn, vgg19_bn); "
                "only the plain VGG-16 and VGG-19 can be converted"
            )
        tables = {layout: names(layout) for layout in reversed(LAYOUTS)}
        params = read_layers(wanted, tables, where=where)
    return Weights(params, input=TORCHVISION_INPUT)


def is_torchvision(tensor_names: Iterable[str]) -> bool:
    """Whether tensor names look like torchvision's."""
    return any(name.startswith("features.") for name in tensor_names)


def names(layout: str) -> dict[str, str]:
    """torchvision's name of each convolution: ``{"conv1_1": "features.0", ...}``."""
    # Two modules (convolution, ReLU) per layer, one (pooling) per block passed.
    return {
        layer: f"features.{2 * i + block(layer) - 1}"
        for i, layer in enumerate(layer_names(layout))
    }
