"""What there is to imitate: some channels of a network, and how to run it and them."""

import operator
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.features.layout import LAYOUTS, block, up_to_deepest
from nst_jax.features.rescale import floored, mean_activations
from nst_jax.features.vgg import (
    VGG,
    Network,
    device_params,
    network_of,
    normalise,
    pool,
)
from nst_jax.features.weights import Weights
from nst_jax.types import Params

DEEPEST = "conv5_1"
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


class Teacher(NamedTuple):
    """The network to imitate, and which of its channels, in which units.

    Attributes:
        network: what it computes.
        params: its weights, up to the deepest layer that is matched.
        chosen: ``layer -> (c,)``, channels to imitate, in ascending order.
        scale: ``layer -> (c,)``, mean response of each of these, floored (channels
            that hardly fire would rule the error otherwise).
        variance: ``layer -> ()``, mean variance of the scaled responses.
    """

    network: Network
    params: Params
    chosen: dict[str, jax.Array]
    scale: dict[str, jax.Array]
    variance: dict[str, jax.Array]

    @property
    def arrays(self) -> tuple:
        """All but the network: what a compiled function takes as an argument."""
        return self[1:]

    @property
    def student(self) -> Network:
        """The same network at the width of the chosen channels."""
        widths = tuple((layer, index.size) for layer, index in self.chosen.items())
        return self.network._replace(widths=widths)

    def select(self, responses: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Of the network's responses the chosen channels, scaled."""
        return {
            layer: responses[layer][..., index] / self.scale[layer]
            for layer, index in self.chosen.items()
        }


def make_teacher(
    weights: Weights, block_channels: tuple[int, ...], pictures: np.ndarray
) -> Teacher:
    """The teacher; channels, scales and variances come from some pictures.

    Args:
        weights: a VGG network down to ``DEEPEST`` at least.
        block_channels: how many channels to choose in each block's layers.
        pictures: ``(n, h, w, 3)`` in [0, 1].

    Raises:
        ValueError: if there is not one width per block, or the teacher is narrower.
    """
    network = network_of(weights)
    widths = _widths(block_channels, network)
    params = {layer: device_params(weights)[layer] for layer in widths}
    means = mean_activations(network, params, pictures)
    chosen = {k: strongest(means[k], count) for k, count in widths.items()}
    scale = {k: floored(means)[k][chosen[k]] for k in widths}
    moments = total(_moments(network, params, chosen, scale, x) for x in pictures)
    variance = {
        layer: power / len(pictures) - ((mean / len(pictures)) ** 2).mean()
        for layer, (mean, power) in moments.items()
    }
    return Teacher(network, params, chosen, scale, variance)


def _widths(block_channels: tuple[int, ...], teacher: Network) -> dict[str, int]:
    blocks, available = len(LAYOUTS[teacher.layout]), dict(teacher.widths)
    if len(block_channels) != blocks or min(block_channels) < 1:
        raise ValueError(f"widths need {blocks} positive numbers, not {block_channels}")
    layers = up_to_deepest(teacher.layout, frozenset({DEEPEST}))
    widths = {layer: block_channels[block(layer) - 1] for layer in layers}
    for layer, count in widths.items():
        if count > available[layer]:
            raise ValueError(
                f"{layer} of the teacher has {available[layer]} channels, not {count}"
            )
    return widths


def strongest(means: jax.Array, count: int) -> jax.Array:
    """Indices, ascending, of the ``count`` largest of ``means``."""
    return jnp.sort(jnp.argsort(-means)[:count])


@partial(jax.jit, static_argnums=0)
def _moments(network, params, chosen, scale, picture):
    responses = network(params, picture, tuple(params))
    selected = {k: responses[k][..., chosen[k]] / scale[k] for k in params}
    return {k: (x.mean((0, 1)), (x**2).mean()) for k, x in selected.items()}


def run(network: Network, params: Params, batch: jax.Array) -> dict[str, jax.Array]:
    """Responses ``(n, h', w', c)`` of all layers that have weights."""
    # The default convolution has no gradient with respect to its kernel.
    layers = tuple(params)
    module = VGG(network, layers, layers, convolution=jax.lax.conv_general_dilated)

    def responses(picture: jax.Array) -> Any:
        return module.apply({"params": params}, picture)

    return jax.vmap(responses)(batch)


def inputs(
    network: Network, responses: Mapping[str, jax.Array], batch: jax.Array
) -> dict[str, jax.Array]:
    """What each layer gets to see when the layers before it respond like this.

    Args:
        network: its pooling and its input convention count.
        responses: ``layer -> (n, h', w', c)``, shallowest first.
        batch: ``(n, h, w, 3)`` in [0, 1].
    """
    seen, x, before = {}, normalise(batch, network.input), ""
    for layer, response in responses.items():
        if before and block(before) != block(layer):
            x = jax.vmap(partial(pool, pooling=network.pooling))(x)
        seen[layer], x, before = x, response, layer
    return seen


def convolved(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """What a layer computes before its ReLU."""
    same = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=DIMENSIONS
    )
    return same + bias


def total(trees: Iterable[Any]) -> Any:
    """The sum of some trees of one structure, holding no two at a time."""
    return reduce(partial(jax.tree.map, operator.add), trees)
