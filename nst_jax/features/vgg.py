"""VGG-16 and VGG-19 as one Flax module that returns rectified responses by name.

The layers come from a table, their widths from the weights. ``conv4_2`` means the
response after the ReLU. Departures from Simonyan and Zisserman 2015, both made by
Gatys et al.: there are no fully connected layers, and pooling averages by default
("slightly more appealing results", Gatys et al. 2016, section 2).
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any, Literal, NamedTuple

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
Padding = Literal["zeros", "reflect", "circular"]
Precision = Literal["default", "float32", "bfloat16"]


class Network(NamedTuple):
    """What a network computes, without its weights: hashable, so jit can cache on it.

    Call it to extract features: ``network(params, picture, layers)``.

    Attributes:
        layout: "vgg16" or "vgg19".
        widths: ``(layer, channels)`` for each layer that has weights, in order.
        pooling: "avg" or "max", 2 x 2, stride 2; an odd last row or column is
            dropped, as PyTorch does (Caffe rounds up).
        padding: "zeros" (as trained), "reflect", or "circular" (the opposite edge, for
            pictures that are tiled) at the borders of every layer.
        precision: "default" lets the device use TF32 or bfloat16 inside
            convolutions, "float32" does not, "bfloat16" convolves bfloat16 arrays
            (half the memory; on the CPU: only where it is quicker, the arrays stay
            float32). Responses are handed out as float32 in any case.
        input: the input convention of the weights.
        remat: blocks (1 to 5) whose inner responses are not kept for the gradient
            but computed again: less memory, the same values, about one more forward
            pass through these blocks.
    """

    layout: str
    widths: tuple[tuple[str, int], ...]
    pooling: Pooling = "avg"
    padding: Padding = "zeros"
    precision: Precision = "default"
    input: InputConvention = TORCHVISION_INPUT
    remat: tuple[int, ...] = ()

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

    def setup(self) -> None:
        """Name the convolutions after their layers."""
        widths = dict(self.network.widths)
        for layer in self.running:
            setattr(self, layer, self._convolution(widths[layer]))

    def __call__(self, picture: Image) -> Features:
        """Run to the deepest tap; see ``Network``."""
        x, taps = normalise(picture, self.network.input), {}
        blocks = {i: tuple(names) for i, names in groupby(self.running, block)}
        for number, layers in blocks.items():
            options = {"layers": layers, "pooled": number != max(blocks)}
            run: Callable[..., Any] = partial(self.run_block, **options)
            if number in self.network.remat:
                alone = self.clone(parent=None)
                run = partial(alone.apply, method="run_block", **options)
                run = partial(recomputed, run, self.variables)
            x, tapped = run(x)
            taps |= tapped
        return {layer: taps[layer] for layer in self.taps}

    def run_block(self, x: jax.Array, layers: tuple[str, ...], pooled: bool):
        """Convolutions, then pooling unless the block is the last: ``(x, taps)``."""
        taps = {}
        for layer in layers:
            x = nn.relu(getattr(self, layer)(x))
            if layer in self.taps:
                taps[layer] = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return pool(x, self.network.pooling) if pooled else x, taps

    def _convolution(self, channels: int) -> nn.Conv:
        half = self.network.precision == "bfloat16"
        # Elsewhere bfloat16 arrays save memory and time; the CPU takes long to
        # convert them, and `frozen_conv` does so where it pays.
        on_cpu = jax.default_backend() == "cpu"
        return nn.Conv(
            channels,
            (3, 3),
            padding={"zeros": "SAME", "reflect": "REFLECT", "circular": "CIRCULAR"}[
                self.network.padding
            ],
            dtype=jnp.bfloat16 if half and not on_cpu else None,
            # Stated here, so that the solver's own 'highest' does not reach in.
            precision={
                "default": jax.lax.Precision.DEFAULT,
                "float32": jax.lax.Precision.HIGHEST,
                "bfloat16": "bfloat16" if on_cpu else jax.lax.Precision.DEFAULT,
            }[self.network.precision],
            conv_general_dilated=self.convolution,
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


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recomputed(function: Callable, params, x: jax.Array):
    """``function(params, x)``, of which the gradient keeps nothing but ``x``.

    What ``jax.checkpoint`` is for, which XLA undoes on the CPU with jax 0.10: it finds
    the second computation equal to the first one, and keeps that instead.
    """
    return function(params, x)


def _recomputed_forward(function, params, x):
    return function(params, x), (params, x)


def _recomputed_backward(function, residuals, cotangents):
    params, x = residuals
    # A zero that the compiler cannot foresee: the computation is not the first one
    # over again, and cannot begin before the gradient has come back to this block.
    first = jax.tree.leaves(cotangents)[0].reshape(-1)[0]
    x += jnp.minimum(jnp.abs(first), 0).astype(x.dtype)
    return jax.vjp(function, params, x)[1](cotangents)


recomputed.defvjp(_recomputed_forward, _recomputed_backward)


def network_of(
    weights: Weights,
    *,
    pooling: Pooling = "avg",
    padding: Padding = "zeros",
    precision: Precision = "default",
    remat: tuple[int, ...] = (),
) -> Network:
    """The network that fits these weights.

    Raises:
        ValueError: if the weights form no known layout, or an option is unknown.
    """
    for name, value, known in (
        ("pooling", pooling, ("avg", "max")),
        ("padding", padding, ("zeros", "reflect", "circular")),
        ("precision", precision, ("default", "float32", "bfloat16")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    if wrong := set(remat) - {1, 2, 3, 4, 5}:
        raise ValueError(f"remat names blocks from 1 to 5, not {sorted(wrong)}")
    widths = tuple((k, int(v["bias"].shape[0])) for k, v in weights.params.items())
    layout = layout_of(weights.params)
    return Network(layout, widths, pooling, padding, precision, weights.input, remat)


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
