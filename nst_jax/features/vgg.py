"""VGG-16 and VGG-19 as one Flax module that returns rectified responses by name.

The layers come from a table, their widths from the weights. ``conv4_2`` means the
response after the ReLU. Departures from Simonyan and Zisserman 2015, both made by
Gatys et al.: there are no fully connected layers, and pooling averages by default
("slightly more appealing results", Gatys et al. 2016, section 2).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.features.conv import frozen_conv
from nst_jax.features.layout import block, up_to_deepest
from nst_jax.features.weights import (
    TORCHVISION_INPUT,
    InputConvention,
    Weights,
    layout_of,
)
from nst_jax.types import Features, Image, Params

Pooling = Literal["avg", "max"]
Padding = Literal["zeros", "reflect"]
Precision = Literal["default", "float32"]


class Network(NamedTuple):
    """What a network computes, without its weights: hashable, so jit can cache on it.

    Call it to extract features: ``network(params, picture, layers)``.

    Attributes:
        layout: "vgg16" or "vgg19".
        widths: ``(layer, channels)`` for each layer that has weights, in order.
        pooling: "avg" or "max", 2 x 2, stride 2; an odd last row or column is
            dropped, as PyTorch does (Caffe rounds up).
        padding: "zeros" (as trained) or "reflect" at the borders of every layer.
        precision: "default" lets the device use TF32 or bfloat16 inside
            convolutions, "float32" does not.
        input: the input convention of the weights.
    """

    layout: str
    widths: tuple[tuple[str, int], ...]
    pooling: Pooling = "avg"
    padding: Padding = "zeros"
    precision: Precision = "default"
    input: InputConvention = TORCHVISION_INPUT

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that have weights, shallowest first."""
        return tuple(layer for layer, _ in self.widths)

    def check_layers(self, wanted) -> None:
        """Refuse layers that this network does not have.

        Raises:
            ValueError: naming the layer, and whether the layout or only the weights
                end before it.
        """
        up_to_deepest(self.layout, frozenset(wanted))
        if deeper := [layer for layer in wanted if layer not in self.layers]:
            raise ValueError(
                f"layer {', '.join(deeper)} is deeper than the weights, which end at "
                f"{self.layers[-1]}"
            )

    def __call__(
        self, params: Params, picture: Image, layers: tuple[str, ...]
    ) -> Features:
        """Rectified responses of the named layers, running to the deepest of them.

        Args:
            params: weights of (at least) the layers that must run.
            picture: ``(h, w, 3)`` in [0, 1].
            layers: names such as "conv4_2".

        Returns:
            ``layer -> (h', w', c)``, h' and w' halved (rounded down) per block.
        """
        self.check_layers(layers)
        running = up_to_deepest(self.layout, frozenset(layers))
        return VGG(self, running, tuple(layers)).apply(
            {"params": {layer: params[layer] for layer in running}}, picture
        )  # pyright: ignore[reportReturnType]


class VGG(nn.Module):
    """The network as a linen module: picture in, tapped responses out."""

    network: Network
    running: tuple[str, ...]
    taps: tuple[str, ...]
    # Training needs `lax.conv_general_dilated` here: the default's kernels are frozen.
    convolution: Callable[..., jax.Array] = frozen_conv

    @nn.compact
    def __call__(self, picture: Image) -> Features:
        """Run to the deepest tap; see ``Network``."""
        widths = dict(self.network.widths)
        x, taps = normalise(picture, self.network.input), {}
        for before, layer in zip((None, *self.running), self.running, strict=False):
            if before and block(before) != block(layer):
                x = pool(x, self.network.pooling)
            x = nn.relu(self._conv(layer, widths[layer])(x))
            taps[layer] = x
        return {layer: taps[layer] for layer in self.taps}

    def _conv(self, layer: str, channels: int) -> nn.Conv:
        return nn.Conv(
            channels,
            (3, 3),
            padding={"zeros": "SAME", "reflect": "REFLECT"}[self.network.padding],
            # Stated here, so that the solver's own 'highest' does not reach in.
            precision={
                "default": jax.lax.Precision.DEFAULT,
                "float32": jax.lax.Precision.HIGHEST,
            }[self.network.precision],
            conv_general_dilated=self.convolution,
            name=layer,
        )


def normalise(picture: Image, convention: InputConvention) -> Image:
    """A picture in [0, 1] as the network expects it (see ``InputConvention``)."""
    order = np.array(["RGB".index(channel) for channel in convention.channel_order])
    mean = jnp.asarray(convention.mean, picture.dtype)
    return (picture[..., order] - mean) * jnp.asarray(convention.scale, picture.dtype)


def pool(x: jax.Array, pooling: Pooling) -> jax.Array:
    """2 x 2 pooling of stride 2 of ``(h, w, c)``; odd last rows and columns drop."""
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    corners = [x[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]
    if pooling == "avg":
        return sum(corners[1:], corners[0]) / 4
    # The gradient of a max-pool window (select-and-scatter) is slow on the CPU. After
    # a ReLU this has the same one, but for exact ties of positive values.
    return jnp.maximum(
        jnp.maximum(corners[0], corners[1]), jnp.maximum(corners[2], corners[3])
    )


def network_of(
    weights: Weights,
    *,
    pooling: Pooling = "avg",
    padding: Padding = "zeros",
    precision: Precision = "default",
) -> Network:
    """The network that fits these weights.

    Raises:
        ValueError: if the weights form no known layout, or an option is unknown.
    """
    for name, value, known in (
        ("pooling", pooling, ("avg", "max")),
        ("padding", padding, ("zeros", "reflect")),
        ("precision", precision, ("default", "float32")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    widths = tuple((k, int(v["bias"].shape[0])) for k, v in weights.params.items())
    layout = layout_of(weights.params)
    return Network(layout, widths, pooling, padding, precision, weights.input)


def device_params(weights: Weights) -> Params:
    """The weights as arrays on the device."""
    return jax.tree.map(jnp.asarray, weights.params)


def feature_shape(
    network: Network, picture_shape: tuple[int, ...], layer: str
) -> tuple[int, int, int]:
    """Shape (h', w', c) of a layer's response to a picture of shape (h, w, 3)."""
    factor = 2 ** (block(layer) - 1)
    channels = dict(network.widths)[layer]
    return picture_shape[0] // factor, picture_shape[1] // factor, channels
