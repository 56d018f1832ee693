"""Which lanes of a sweep can run as one compiled program, side by side."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nst_jax.config import Config
from nst_jax.features.pretrained import AUTO
from nst_jax.objective.presets import find_preset
from nst_jax.sweep_spec.axes import Axis
from nst_jax.sweep_spec.keys import (
    KNOWN_LAYERS,
    get,
    is_shared,
    keys,
    layer_weight,
    with_values,
)
from nst_jax.sweep_spec.spec import Lane, Sweep

# These only change numbers that the program is given. Any other key splits: to run
# lanes apart that could run together costs time, the reverse gives wrong pictures.
NUMBERS = (
    "content",
    "style",
    "styles",
    "style_scale",
    "start",
    "seed",
    "colours.match",  # pictures, before the run or after it
    "colours.when",
    "colours.strength",
    "objective.preset",  # what it sets is looked at instead
    "objective.alpha",
    "objective.beta",
    "objective.tv",
    "objective.content_layers",
    "objective.style_layers",
    "objective.layer_weights",
    "photorealism.weight",  # whether there is any is looked at with the shapes
    "photorealism.smooth_radius",
    "photorealism.smooth_edge",
)


class Group(NamedTuple):
    """Lanes that share one compiled program.

    Attributes:
        lanes: in the order of the sweep.
        apart: name of an axis that sets this group apart from others -> its value
            here; empty if there is one group.
    """

    lanes: tuple[Lane, ...]
    apart: dict[str, str]


def shape_key(config: Config) -> tuple[tuple[str, Any], ...]:
    """All that a compiled program depends on, but for the shapes of the pictures."""
    preset, network = find_preset(config.objective.preset), config.network
    style_loss = _first(config.objective.style_loss, preset.style_loss)
    if style_loss == "gram-chain":
        # Which layers are neighbours is part of the program.
        layers = _first(config.objective.style_layers, preset.style_layers)
        style_loss = style_loss, _in_order(set(layers))
    known = {
        "objective.style_loss": style_loss,
        "network.pooling": network.pooling or preset.pooling,
        "network.rescale": (
            preset.rescale if network.rescale is None else network.rescale
        ),
    }
    if network.weights == AUTO:
        known["network.weights"] = AUTO, preset.original_scale  # decides what it is
    return tuple(
        (key, _hashable(known.get(key, get(config, key))))
        for key in keys()
        if key not in NUMBERS and not is_shared(key)
    )


def _hashable(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else value


def groups(sweep: Sweep) -> list[Group]:
    """The lanes by the program they need, in the order of their first lanes."""
    found: dict[tuple, list[Lane]] = {}
    for lane in sweep.lanes:
        found.setdefault(shape_key(lane.config), []).append(lane)
    if len(found) == 1:
        return [Group(sweep.lanes, {})]
    splitting = [
        axis.name for axis in sweep.axes if _splits(axis, sweep.lanes[0].config)
    ]
    return [
        Group(tuple(lanes), {name: _values_of(name, lanes) for name in splitting})
        for lanes in found.values()
    ]


def _splits(axis: Axis, config: Config) -> bool:
    """Whether the values of an axis, put into one config, need different programs."""
    if layer_weight(axis.key):
        return False
    shapes = {shape_key(with_values(config, {axis.key: v})) for v in axis.values}
    return len(shapes) > 1


def _values_of(name: str, lanes: Iterable[Lane]) -> str:
    return ", ".join(dict.fromkeys(lane.labels[name] for lane in lanes))


def union_layers(lanes: Iterable[Lane]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All content layers and all style layers of some lanes, shallowest first."""
    content: set[str] = set()
    style: set[str] = set()
    for lane in lanes:
        given, preset = lane.config.objective, find_preset(lane.config.objective.preset)
        content.update(_first(given.content_layers, preset.content_layers))
        style.update(_first(given.style_layers, preset.style_layers))
    return _in_order(content), _in_order(style)


def weights_over(
    weights: Mapping[str, float], layers: Iterable[str]
) -> dict[str, float]:
    """A lane's weights over the layers of all lanes: 0 for those it does not use."""
    return {layer: weights.get(layer, 0.0) for layer in layers}


def _first(given, default):
    return default if given is None else given


def _in_order(layers: set[str]) -> tuple[str, ...]:
    return tuple(layer for layer in KNOWN_LAYERS if layer in layers)
