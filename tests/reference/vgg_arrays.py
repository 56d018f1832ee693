"""Small random VGG weights under other projects' names."""

import numpy as np

from nst_jax.features.layout import block, layer_names

# Written down, not computed: the numbers of torchvision's own modules.
VGG16_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
VGG19_INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
WIDTHS = (2, 3, 4, 5, 6)


def random_layers(
    layout: str = "vgg19", *, count: int | None = None, widths=WIDTHS
) -> dict[str, dict[str, np.ndarray]]:
    """``layer -> {"kernel": (out, in, 3, 3), "bias": (out,)}``: PyTorch's order."""
    rng = np.random.default_rng(1)
    layers, channels = {}, 3
    for name in layer_names(layout)[:count]:
        out = widths[block(name) - 1]
        kernel = rng.standard_normal((out, channels, 3, 3)).astype(np.float32)
        bias = rng.standard_normal(out).astype(np.float32)
        layers[name] = {"kernel": kernel, "bias": bias}
        channels = out
    return layers


def under_torchvision_names(layers: dict, layout: str) -> dict[str, np.ndarray]:
    indices = {"vgg16": VGG16_INDICES, "vgg19": VGG19_INDICES}[layout]
    state = {}
    for index, arrays in zip(indices, layers.values(), strict=False):
        state[f"features.{index}.weight"] = arrays["kernel"]
        state[f"features.{index}.bias"] = arrays["bias"]
    return state


def under_caffe_names(layers: dict) -> dict[str, np.ndarray]:
    state = {}
    for layer, arrays in layers.items():
        state[f"{layer}.weight"] = arrays["kernel"]
        state[f"{layer}.bias"] = arrays["bias"]
    return state


def assert_converted(params: dict, layers: dict) -> None:
    """Compare tap by tap: HWIO against OIHW."""
    assert list(params) == list(layers)
    for layer, arrays in layers.items():
        kernel = params[layer]["kernel"]
        out, into = arrays["kernel"].shape[:2]
        assert kernel.shape == (3, 3, into, out)
        assert kernel.dtype == params[layer]["bias"].dtype == np.float32
        for i in range(3):
            for j in range(3):
                np.testing.assert_array_equal(
                    kernel[i, j], arrays["kernel"][:, :, i, j].T
                )
        np.testing.assert_array_equal(params[layer]["bias"], arrays["bias"])
