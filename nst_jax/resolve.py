"""A config with its preset worked out: no key left to anybody's guess.

Weights of layers may depend on the network's widths and the picture's size (the
printed sums of the paper, 1 / N^2 of the peers), which is why this happens at run
time. The resolved config holds plain numbers and gives the same run again.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nst_jax.config import (
    MOST_SCALES,
    Config,
    Layers,
    ObjectiveConfig,
    changed,
    to_yaml,
)
from nst_jax.features.layout import BLOCK_CHANNELS, block, up_to_deepest
from nst_jax.features.pretrained import AUTO, EMBEDDED, PRETRAINED
from nst_jax.images.initial import STARTS
from nst_jax.objective.presets import find_preset

RANDOM = "random"  # network.weights: a network of random filters
# scales: auto and sqrt2 go down to this longer side, and to so many positions at the
# deepest layer; fewer have no statistics to speak of.
SMALLEST_SCALE = 128
FEWEST_POSITIONS = 4
# Where the preset chooses the scales: the part of the iterations that the coarser ones
# share. Measured from noise at 384 pixels: 100, 100 and 300 of 500 end where one scale
# ends after 500, in two thirds of the time.
COARSE_SHARE = 0.4


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


def check_scales(config: Config) -> None:
    """Refuse scales that do not end at the size, and iterations that do not fit them.

    Raises:
        ValueError: as it says.
    """
    scales, iterations = config.scales, config.solver.scale_iterations
    if isinstance(scales, tuple) and scales[-1] != config.size:
        raise ValueError(
            f"the last of scales is {scales[-1]}, but size is {config.size}: scales "
            f"must grow to the size, as {list(_below(scales, config.size))}"
        )
    if iterations is None:
        return
    if scales is None:
        raise ValueError(
            "solver.scale_iterations needs scales, as [128, 256, 512] or auto; for one "
            "scale use solver.iterations"
        )
    if isinstance(scales, tuple) and len(iterations) != len(scales):
        raise ValueError(
            f"solver.scale_iterations has {len(iterations)} numbers, but there are "
            f"{len(scales)} scales: {list(scales)}"
        )


def _below(scales: tuple[int, ...], size: int) -> tuple[int, ...]:
    return (*(scale for scale in scales if scale < size), size)


def resolve(
    config: Config,
    layout: Layout,
    height: int,
    width: int,
    *,
    narrowest: int | None = None,
) -> Config:
    """The config with every key that the preset decides filled in.

    Args:
        config: as loaded; keys that are given win over the preset.
        layout: of the network in use.
        height: of the picture to be made.
        width: of the picture to be made.
        narrowest: the shortest side of content and style picture; None: of the
            picture to be made. It limits the scales that are chosen.

    Raises:
        ValueError: for an unknown preset or layer (see ``check_objective``), and for
            scales that do not fit (see ``check_scales``).
    """
    preset, given = find_preset(config.objective.preset), config.objective
    up_to_deepest(layout.name, wanted_layers(config))
    check_scales(config)
    config = replace(config, start=_first(config.start, preset.start))
    config = _with_scales(config, layout, narrowest or min(height, width))
    check_scales(config)

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
    return changed(config, network=network, objective=objective)


def _with_scales(config: Config, layout: Layout, narrowest: int) -> Config:
    """The config with the plain list of its scales: as given, or as the preset says."""
    if config.scales is not None:
        return replace(config, scales=_scales(config, layout, narrowest))
    one = replace(config, scales=(config.size,))
    preset = find_preset(config.objective.preset)
    # From a picture the large shapes are there already.
    if preset.scales is None or config.start != "noise":
        return one
    scales = _scales(replace(config, scales=preset.scales), layout, narrowest)
    iterations, coarser = config.solver.iterations, len(scales) - 1
    each = int(COARSE_SHARE * iterations / max(coarser, 1))
    if coarser == 0 or each == 0:
        return one
    shares = (*[each] * coarser, iterations - coarser * each)
    solver = replace(config.solver, scale_iterations=shares)
    return replace(config, scales=scales, solver=solver)


def _scales(config: Config, layout: Layout, narrowest: int) -> tuple[int, ...]:
    """Longer sides from coarse to fine."""
    size, scales = config.size, config.scales
    if isinstance(scales, tuple):
        return scales
    deepest = up_to_deepest(layout.name, wanted_layers(config))[-1]
    least = FEWEST_POSITIONS * 2 ** (block(deepest) - 1)
    factor = 2.0 if scales == "auto" else 2.0**0.5
    sides = [round(size / factor**step) for step in range(MOST_SCALES)]
    return tuple(
        side
        for side in reversed(sides)
        if side == size or (side >= SMALLEST_SCALE and narrowest * side >= least * size)
    )


def at_scale(
    config: Config,
    layout: Layout,
    full: tuple[int, int],
    coarse: tuple[int, int],
) -> ObjectiveConfig:
    """The objective of a resolved config at a coarser scale.

    Weights hold at the full size. Where the preset's own follow the size (sums rather
    than means), they are multiplied by the preset's ratio between the two sizes: so a
    resolved config gives the same weights again.

    Args:
        config: resolved.
        layout: of the network in use.
        full: height and width of the picture to be made.
        coarse: height and width at the coarser scale.
    """
    preset, objective = find_preset(config.objective.preset), config.objective
    content, style = objective.content_layers, objective.style_layers
    assert isinstance(content, dict)
    assert isinstance(style, dict)

    def content_weight(layer: str, size: tuple[int, int]) -> float:
        return preset.content_weight(layout.shape(layer, *size))

    def style_weight(layer: str, size: tuple[int, int]) -> float:
        return preset.style_weight(layout.shape(layer, *size), len(style))

    def rescaled(weights: dict[str, float], weight) -> dict[str, float]:
        return {
            layer: value * (weight(layer, coarse) / weight(layer, full))
            for layer, value in weights.items()
        }

    tv = preset.tv(*coarse) / preset.tv(*full) if preset.tv(*full) else 1.0
    return replace(
        objective,
        tv=(objective.tv or 0.0) * tv,
        content_layers=rescaled(content, content_weight),
        style_layers=rescaled(style, style_weight),
    )


def iterations_of(config: Config) -> tuple[int, ...]:
    """Iterations at each scale of a resolved config."""
    assert isinstance(config.scales, tuple)
    given = config.solver.scale_iterations
    return given or (config.solver.iterations,) * len(config.scales)


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
