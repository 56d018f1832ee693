"""A config with its preset worked out: no key left to anybody's guess.

Weights of layers may depend on the network's widths and the picture's size (the
printed sums of the paper, 1 / N^2 of the peers), which is why this happens at run
time. The resolved config holds plain numbers and gives the same run again.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from nst_jax.config import (
    MOST_SCALES,
    Config,
    Layers,
    ObjectiveConfig,
    changed,
)
from nst_jax.features.layout import BLOCK_CHANNELS, block, layer_names, up_to_deepest
from nst_jax.objective.presets import (
    ALL_LAYERS,
    check_style_loss,
    find_preset,
    layer_scheme,
)

RANDOM = "random"  # network.weights: a network of random filters
# scales: auto and sqrt2 go down to this longer side, and to so many positions at the
# deepest layer; fewer have no statistics to speak of.
SMALLEST_SCALE = 128
FEWEST_POSITIONS = 4
# Where the preset chooses the scales: the part of the iterations that the coarser ones
# share. Measured from noise at 384 pixels: 100, 100 and 300 of 500 end where one scale
# ends after 500, in two thirds of the time.
COARSE_SHARE = 0.4


class Stage(NamedTuple):
    """A part of a run: a scale, or the photorealistic one after the last scale.

    Attributes:
        size: longer side of the picture.
        iterations: steps after the evaluation of its start.
        photorealism: weight of the photorealism term; None: there is no such term.
    """

    size: int
    iterations: int
    photorealism: float | None = None


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


def optimised_layers(config: Config) -> frozenset[str]:
    """Layers that count in the objective: no weight of theirs is 0."""
    preset, given = find_preset(config.objective.preset), config.objective
    sides = (
        (given.alpha, preset.alpha, given.content_layers, preset.content_layers),
        (given.beta, preset.beta, given.style_layers, preset.style_layers),
    )
    return frozenset().union(
        *(
            _counting(_first(factor, own), _first(layers, of_preset))
            for factor, own, layers, of_preset in sides
        )
    )


def _counting(factor: float, layers: Layers) -> set[str]:
    if factor <= 0:
        return set()
    if isinstance(layers, dict):
        return {layer for layer, weight in layers.items() if weight > 0}
    return set(layers)


def with_layers_there(config: Config, there: Collection[str]) -> tuple[Config, str]:
    """The config of a preset that wants all style layers, with those of a network.

    Args:
        config: as loaded.
        there: layers of the weights.

    Returns:
        The config, and a sentence for the user: empty where nothing was left out.
    """
    preset, given = find_preset(config.objective.preset), config.objective
    missing = [layer for layer in ALL_LAYERS if layer not in there]
    wants_all = given.style_layers is None and preset.style_layers == ALL_LAYERS
    if not wants_all or not missing:
        return config, ""
    layers = tuple(layer for layer in ALL_LAYERS if layer in there)
    scheme = _first(given.layer_weights, preset.layer_weights)
    changes = {"style_layers": layers, "layer_weights": scheme}
    left_out = f"{missing[0]} to {missing[-1]}" if missing[1:] else missing[0]
    return changed(config, objective=changes), (
        f"preset {given.preset}: {len(layers)} of its {len(ALL_LAYERS)} style layers; "
        f"the weights lack {left_out}"
    )


def check_objective(config: Config) -> None:
    """Refuse an unknown preset or layer, and weights of which nothing is left.

    Quick, so that it can be asked before weights are fetched.

    Raises:
        ValueError: as it says.
    """
    find_preset(config.objective.preset)
    given = config.objective
    if given.style_loss is not None:
        check_style_loss(given.style_loss)
    if given.layer_weights and isinstance(given.style_layers, dict):
        raise ValueError(
            f"objective.layer_weights is {given.layer_weights}, but style_layers have "
            "weights already: give the layers as a list, as [conv1_1, conv2_1]"
        )
    # vgg19 has all the layers that vgg16 has.
    layout = config.network.name or "vgg19"
    there = with_layers_there(config, layer_names(layout))[0]
    up_to_deepest(layout, wanted_layers(there))

    if not optimised_layers(config):
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

    def channels(layers) -> dict[str, int]:
        in_order = up_to_deepest(layout.name, frozenset(layers))
        chosen = [layer for layer in in_order if layer in layers]
        return {layer: layout.shape(layer, height, width)[2] for layer in chosen}

    style_layers = _first(given.style_layers, preset.style_layers)
    scheme = given.layer_weights
    if scheme is None and given.style_layers is None:
        scheme = preset.layer_weights
    objective = {
        "style_loss": _first(given.style_loss, preset.style_loss),
        "layer_weights": None,  # they are worked out
        "alpha": _first(given.alpha, preset.alpha),
        "beta": _first(given.beta, preset.beta),
        "tv": _first(given.tv, preset.tv(height, width)),
        "content_layers": _weights(
            given.content_layers, preset.content_layers, content_weight
        ),
        "style_layers": _weights(given.style_layers, preset.style_layers, style_weight)
        if scheme is None
        else layer_scheme(scheme, channels(style_layers)),
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


def stages_of(config: Config) -> tuple[Stage, ...]:
    """The parts of a run with a resolved config: its scales, from coarse to fine.

    With photorealism in two stages (Luan et al. 2017) one more follows at the full
    size. Before it the term is there without a weight: so both stages are one compiled
    program, and the trace tells of it from the start.
    """
    assert isinstance(config.scales, tuple)
    counts = config.solver.scale_iterations
    counts = counts or (config.solver.iterations,) * len(config.scales)
    wanted = config.photorealism
    if not wanted.weight:
        return tuple(map(Stage, config.scales, counts))
    early = wanted.weight if wanted.stages == 1 else 0.0
    stages = [
        Stage(size, count, early)
        for size, count in zip(config.scales, counts, strict=True)
    ]
    if wanted.stages == 2:
        count = wanted.stage_iterations or counts[-1]
        stages.append(Stage(config.size, count, wanted.weight))
    return tuple(stages)


def iterations_of(config: Config) -> tuple[int, ...]:
    """Iterations at each stage of a resolved config."""
    return tuple(stage.iterations for stage in stages_of(config))


def with_iterations(config: Config, counts: Sequence[int]) -> Config:
    """A resolved config whose ``iterations_of`` are these."""
    assert isinstance(config.scales, tuple)
    scales = len(config.scales)
    later = {"stage_iterations": counts[scales]} if counts[scales:] else {}
    return changed(
        config, solver={"scale_iterations": counts[:scales]}, photorealism=later
    )


def _first(given, default):
    return default if given is None else given


def _weights(given: Layers | None, layers, weight) -> dict[str, float]:
    """Layer weights: as given; a list averaged; else as the preset has them."""
    if isinstance(given, dict):
        return given
    if given is not None:
        return {layer: 1 / len(given) for layer in given}
    return {layer: weight(layer, len(layers)) for layer in layers}
