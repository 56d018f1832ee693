"""A config with its preset worked out: no key left to anybody's guess.

Weights of layers may depend on the network's widths and the picture's size (the
printed sums of the paper, 1 / N^2 of the peers), which is why this happens at run
time. The resolved config holds plain numbers and gives the same run again.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nst_jax.config import Config, Layers, changed, to_yaml
from nst_jax.features.layout import BLOCK_CHANNELS, block, up_to_deepest
from nst_jax.features.pretrained import AUTO, EMBEDDED, PRETRAINED
from nst_jax.images.initial import STARTS
from nst_jax.objective.presets import find_preset

RANDOM = "random"  # network.weights: a network of random filters


class Layout(NamedTuple):
    """What the presets need to know of a network: its layout and its widths."""

    name: str
    widths: dict[str, int]

    def shape(self, layer: str, height: int, width: int) -> tuple[int, int, int]:
        """Shape (h, w, channels) of a layer's response to a picture."""
        factor = 2 ** (block(layer) - 1)
        channels = self.widths.get(layer, BLOCK_CHANNELS[block(layer) - 1])
        return height // factor, width // factor, channels


def wanted_layers(config: Config) -> frozenset[str]:
    """All layers that the objective looks at."""
    preset, given = find_preset(config.objective.preset), config.objective
    content = _first(given.content_layers, preset.content_layers)
    style = _first(given.style_layers, preset.style_layers)
    return frozenset(content) | frozenset(style)


def check_objective(config: Config) -> None:
    """Refuse an unknown preset or layer, and weights of which nothing is left.

    Quick, so that it can be asked before weights are fetched.

    Raises:
        ValueError: as it says.
    """
    preset, given = find_preset(config.objective.preset), config.objective
    # vgg19 has all the layers that vgg16 has.
    up_to_deepest(config.network.name or "vgg19", wanted_layers(config))

    def counts(factor: float, layers) -> bool:
        return factor > 0 and any(
            layers.values() if isinstance(layers, dict) else layers
        )

    if not counts(
        _first(given.alpha, preset.alpha),
        _first(given.content_layers, preset.content_layers),
    ) and not counts(
        _first(given.beta, preset.beta),
        _first(given.style_layers, preset.style_layers),
    ):
        raise ValueError(
            "nothing would be matched: alpha or all weights of content layers are 0, "
            "and so are beta or those of style layers; give one of them a weight"
        )


def resolve(config: Config, layout: Layout, height: int, width: int) -> Config:
    """The config with every key that the preset decides filled in.

    Args:
        config: as loaded; keys that are given win over the preset.
        layout: of the network in use.
        height: of the picture to be made.
        width: of the picture to be made.

    Raises:
        ValueError: for an unknown preset or layer (see ``check_objective``).
    """
    preset, given = find_preset(config.objective.preset), config.objective
    up_to_deepest(layout.name, wanted_layers(config))

    def content_weight(layer: str, count: int) -> float:
        # The printed equation has one content layer; several are averaged.
        return preset.content_weight(layout.shape(layer, height, width)) / count

    def style_weight(layer: str, count: int) -> float:
        return preset.style_weight(layout.shape(layer, height, width), count)

    objective = {
        "alpha": _first(given.alpha, preset.alpha),
        "beta": _first(given.beta, preset.beta),
        "tv": _first(given.tv, preset.tv(height, width)),
        "content_layers": _weights(
            given.content_layers, preset.content_layers, content_weight
        ),
        "style_layers": _weights(given.style_layers, preset.style_layers, style_weight),
    }
    network = {
        "name": layout.name,
        "pooling": _first(config.network.pooling, preset.pooling),
        "rescale": _first(config.network.rescale, preset.rescale),
    }
    start = _first(config.start, preset.start)
    return changed(config, network=network, objective=objective, start=start)


def _first(given, default):
    return default if given is None else given


def _weights(given: Layers | None, layers, weight) -> dict[str, float]:
    """Layer weights: as given; a list averaged; else as the preset has them."""
    if isinstance(given, dict):
        return given
    if given is not None:
        return {layer: 1 / len(given) for layer in given}
    return {layer: weight(layer, len(layers)) for layer in layers}


def is_start_file(start: str) -> bool:
    """Whether ``start`` names a file rather than one of ``STARTS``."""
    return start not in STARTS


def expand_home(config: Config) -> Config:
    """The config with ``~`` in the paths of inputs replaced."""

    def expanded(path: str | None) -> str | None:
        return None if path is None else os.path.expanduser(path)

    weights = os.path.expanduser(config.network.weights)
    return replace(
        config,
        content=expanded(config.content),
        style=expanded(config.style),
        start=expanded(config.start),
        network=replace(config.network, weights=weights),
    )


def input_files(config: Config) -> list[str]:
    """Paths of the files that a run reads."""
    start, weights = config.start, config.network.weights
    files = [config.content, config.style]
    files.append(start if start and is_start_file(start) else None)
    files.append(None if is_weights_name(weights) else weights)
    return [path for path in files if path is not None]


def is_weights_name(weights: str) -> bool:
    """Whether ``network.weights`` is a name rather than a file."""
    return weights in (RANDOM, AUTO, EMBEDDED, *PRETRAINED)


def repeatable(config: Config) -> Config:
    """Absolute input paths and no output folder: it runs from anywhere."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str(Path(path).resolve())

    weights, start = config.network.weights, config.start
    return replace(
        config,
        content=absolute(config.content),
        style=absolute(config.style),
        start=absolute(start) if start and is_start_file(start) else start,
        network=replace(
            config.network,
            weights=weights if is_weights_name(weights) else absolute(weights),
        ),
        output=replace(config.output, dir=None),
    )


def settings_text(config: Config) -> str:
    """The config as YAML for a picture's metadata, without this machine's folders."""

    def name(path: str | None) -> str | None:
        return None if path is None else Path(path).name

    network = replace(config.network, weights=name(config.network.weights))
    return to_yaml(
        replace(
            config,
            content=name(config.content),
            style=name(config.style),
            start=name(config.start),
            network=network,
            output=replace(config.output, dir=None),
        )
    )
