"""The network that a config names: found, fetched if need be, read and checked."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.colours import check_colours
from nst_jax.config import Config, changed
from nst_jax.encoding import check_finish
from nst_jax.features import pretrained
from nst_jax.features.layout import layer_names, layout_of, up_to_deepest
from nst_jax.features.pretrained import AUTO, EMBEDDED
from nst_jax.features.published import QUICKEST, TORCHVISION, how_to_fetch
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import floored, mean_activations
from nst_jax.features.vgg import Network
from nst_jax.features.weights import Weights, read, stored_layers
from nst_jax.objective.presets import find_preset
from nst_jax.photorealism import check_photorealism
from nst_jax.resolve import (
    RANDOM,
    Layout,
    check_objective,
    check_scales,
    wanted_layers,
    with_layers_there,
)
from nst_jax.types import Image, Params

EMBEDDED_NOTE = (
    f"weights: {EMBEDDED}, the small network that comes with nst-jax; for the real "
    f"one, once, in seconds: {how_to_fetch(QUICKEST)}"
)


class Loaded(NamedTuple):
    """A network as it was read, before there are pictures.

    Attributes:
        name: what ``network.weights`` is in the resolved config.
        weights: with their arrays.
        layout: what presets need to know of the network.
        note: a sentence for the user on the weights that were chosen, or None.
    """

    name: str
    weights: Weights
    layout: Layout
    note: str | None


def load_network(
    config: Config,
    *,
    others: Sequence[Config] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """The network that the config names, with the layers that it and others ask for.

    Raises:
        ValueError: as ``load_weights``.
        ConnectionError: as ``load_weights``.
    """
    asked = config.network.weights
    name = weights_for(config)
    config = changed(config, network={"weights": name})
    weights = load_weights(config, others=others, progress=progress)
    widths = {layer: a["bias"].shape[0] for layer, a in weights.params.items()}
    notes = [_note_on_choice(config, name)] if asked == AUTO else []
    notes += [with_layers_there(one, widths)[1] for one in (config, *others)]
    note = "; ".join(dict.fromkeys(filter(None, notes)))
    layout = Layout(layout_of(weights.params), widths)
    return Loaded(name, weights, layout, note or None)


def weights_for(config: Config) -> str:
    """What ``network.weights`` stands for now: ``auto`` depends on the preset, too.

    Raises:
        ValueError: as ``pretrained.locate``, and for an unknown preset.
    """
    preset = find_preset(config.objective.preset)
    return pretrained.choose(config.network.weights, caffe=preset.original_scale)


def _note_on_choice(config: Config, chosen: str) -> str:
    """What the user is told of what ``auto`` chose; empty if it is the right one."""
    if chosen == EMBEDDED:
        return EMBEDDED_NOTE
    preset = config.objective.preset
    if chosen != TORCHVISION or not find_preset(preset).original_scale:
        return ""
    return (
        f"weights: {chosen}, torchvision's, but preset {preset} was made for the scale "
        f"of the Caffe weights; for these, once: {how_to_fetch(QUICKEST)}"
    )


def load_weights(
    config: Config, *, others: Sequence[Config] = (), progress=None
) -> Weights:
    """The weights that the config names, down to the deepest layer asked for.

    Args:
        config: names them, and asks for some layers.
        others: ask for layers, too.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: if they cannot be found or read, or end before that layer.
        ConnectionError: if they must be downloaded and cannot be.
    """
    check_objective(config)
    check_scales(config)
    check_colours(config)
    check_photorealism(config)
    check_finish(config)
    spec = config.network.weights

    def wanted(there) -> frozenset[str]:
        configs = (with_layers_there(one, there)[0] for one in (config, *others))
        return frozenset().union(*map(wanted_layers, configs))

    if spec == RANDOM:
        layout = config.network.name or "vgg19"
        deepest = up_to_deepest(layout, wanted(layer_names(layout)))[-1]
        # Always the same network: seeds of a run are for its noise.
        return random_weights(layout, seed=0, deepest=deepest)
    _check_name(config)
    path = pretrained.resolve(spec, progress=progress)
    stored = stored_layers(path)
    layout = layout_of(stored, where=str(path))
    if config.network.name not in (None, layout):
        raise ValueError(
            f"{path}: holds a {layout}, but network.name is {config.network.name}"
        )
    running = up_to_deepest(layout, wanted(stored))
    if deeper := [layer for layer in running if layer not in stored]:
        raise ValueError(
            f"layer {deeper[-1]} is deeper than the weights file {path}, which ends "
            f"at {stored[-1]}"
        )
    return read(path, running)


def _check_name(config: Config) -> None:
    """Refuse a name of weights that are of another network, before a download."""
    name, spec = config.network.name, config.network.weights
    if name and spec in pretrained.PRETRAINED and not spec.startswith(name):
        raise ValueError(
            f"network.name is {name}, but network.weights is {spec}: choose weights of "
            f"a {name}, such as {name} or a file"
        )


def unit_mu(
    network: Network,
    weights: Weights,
    params: Params,
    pictures: Iterable[Image],
    *,
    counts: Sequence[float] | None = None,
) -> dict[str, jax.Array]:
    """What each filter's response is divided by: its mean, as stored or measured.

    Args:
        network: its pooling counts.
        weights: may hold the means.
        params: their arrays on the device.
        pictures: to measure on, if they do not.
        counts: how much each of them counts; None: all the same.
    """
    stored = weights.mu.get(network.pooling, {})
    if has_mu(network, weights):
        return floored({layer: jnp.asarray(stored[layer]) for layer in params})
    return floored(mean_activations(network, params, pictures, weights=counts))


def has_mu(network: Network, weights: Weights) -> bool:
    """Whether the weights come with the mean responses of all their filters."""
    return set(weights.mu.get(network.pooling, {})) == set(weights.params)
