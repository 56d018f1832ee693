"""Rescaling a network to unit mean activation.

Gatys et al. 2015/2016 scale the weights so that "the mean activation of each
convolutional filter over images and positions is equal to one". A network of
convolutions, ReLUs and average or max pooling computes the same function after it,
up to that scale, because all of these are positively homogeneous.

What the papers do not state, and what is done here: the mean is measured with the
pooling in use; every picture counts the same, several styles together as one; and mu is
floored at a tenth of its layer's mean, because about a third of the deeper filters
hardly fire on a given picture, and dividing by their mean would let those few responses
rule the loss.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.features.vgg import Network
from nst_jax.types import Features, Image, Params

FLOOR = 0.1


def mean_activations(
    network: Network,
    params: Params,
    pictures: Iterable[Image],
    *,
    weights: Sequence[float] | None = None,
) -> dict[str, jax.Array]:
    """Mean response of every filter over positions, averaged over pictures.

    Args:
        network: its pooling is the one the means are measured with.
        params: weights; the layers named in them are measured.
        pictures: at least one ``(h, w, 3)`` in [0, 1]; sizes may differ.
        weights: how much each of them counts; None: all the same.

    Returns:
        ``layer -> (channels,)``.

    Raises:
        ValueError: if there are no pictures.
    """
    layers = tuple(layer for layer in network.layers if layer in params)
    means = [_means(network, layers, params, picture) for picture in pictures]
    if not means:
        raise ValueError("mean activations need at least one picture")
    parts = [1.0] * len(means) if weights is None else weights

    def mean(*mu: jax.Array) -> jax.Array:
        weighted = [part * one for part, one in zip(parts, mu, strict=True)]
        return sum(weighted[1:], weighted[0]) / sum(parts)

    return jax.tree.map(mean, *means)


@partial(jax.jit, static_argnums=(0, 1))
def _means(network, layers, params, picture):
    responses = network(params, picture, layers)
    return {layer: response.mean((0, 1)) for layer, response in responses.items()}


@partial(jax.jit, static_argnames="floor")
def floored(
    mu: Mapping[str, jax.Array], *, floor: float = FLOOR
) -> dict[str, jax.Array]:
    """Mean activations, none below ``floor`` times its layer's mean.

    A layer that never fires at all gets mu = 1, which leaves it as it is.
    """
    lowest = {layer: floor * jnp.mean(values) for layer, values in mu.items()}
    return {
        layer: jnp.where(
            lowest[layer] > 0, jnp.maximum(values, lowest[layer]), jnp.ones_like(values)
        )
        for layer, values in mu.items()
    }


@jax.jit
def rescale(params: Params, mu: Mapping[str, jax.Array]) -> Params:
    """Weights whose responses are the old ones divided by ``mu``, layer by layer.

    ``W_l *= mu_{l-1}[in] / mu_l[out]`` and ``b_l /= mu_l[out]``, with mu_0 = 1: each
    layer undoes the scale of its input, so that ReLU gates stay as they were.

    Args:
        params: ``layer -> {"kernel": (3, 3, in, out), "bias": (out,)}``, shallowest
            layer first.
        mu: ``layer -> (out,)``, positive, for each of these layers (see ``floored``).
    """
    rescaled, mu_in = {}, jnp.ones(3)
    for layer, arrays in params.items():
        scale = mu_in[:, None] / mu[layer]
        rescaled[layer] = {
            "kernel": arrays["kernel"] * scale.astype(arrays["kernel"].dtype),
            "bias": arrays["bias"] / mu[layer],
        }
        mu_in = mu[layer]
    return rescaled


class TapParams(NamedTuple):
    """Parameters of ``RescaledTaps``.

    Attributes:
        network: the network's weights as they are.
        mu: ``layer -> (channels,)``, positive, for the layers that are looked at.
    """

    network: Params
    mu: dict[str, jax.Array]


class RescaledTaps(NamedTuple):
    """A rescaled network, for runs that differ in ``mu`` but share the kernels.

    Instead of the weights, the responses that are handed out are divided by ``mu``:
    the same function. Called as the network is, with ``TapParams``.
    """

    network: Network

    def __call__(
        self, params: TapParams, picture: Image, layers: tuple[str, ...]
    ) -> Features:
        """Responses of the rescaled network; see ``Network``."""
        responses = self.network(params.network, picture, layers)
        return {layer: responses[layer] / params.mu[layer] for layer in layers}
