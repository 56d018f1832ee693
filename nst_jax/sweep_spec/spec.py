"""The specification of a sweep -> its lanes, each with a config of its own.

The section ``sweep`` of a config file; all other sections are common to the lanes::

    sweep:
      alpha: [1e-4, 1e-3]                                   # an axis
      style_layers: {A: [conv1_1], B: [conv1_1, conv2_1]}   # its values by name
      style_layers.conv1_1: [0, 1]                          # the weight of one layer
      combine: grid                                         # zip, random, list

``grid``: each value with each, the last axis fastest. ``zip``: the first values
together, then the second ones, ... . ``random``: as many ``samples`` as asked for,
drawn from the axes (see ``axes``) with ``sample_seed``. ``list``: the lanes one by one,
as mappings under ``list``, and no other axes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import fields
from nst_jax.config import Config
from nst_jax.objective.presets import Preset, find_preset
from nst_jax.sweep_spec import combine as ways
from nst_jax.sweep_spec.axes import Axis, Context, check_names
from nst_jax.sweep_spec.keys import get, layer_weight, with_values

COMBINE = ("grid", "zip", "random", "list")
OPTIONS = ("combine", "samples", "sample_seed", "list", "lanes")


class Lane(NamedTuple):
    """One run of a sweep.

    Attributes:
        index: from 0, in the order of the sweep.
        labels: name of an axis -> label of its value here.
        config: a run on its own: ``stylize`` makes the same picture of it.
    """

    index: int
    labels: dict[str, str]
    config: Config


class Sweep(NamedTuple):
    """All runs of a sweep.

    Attributes:
        axes: what is varied.
        lanes: the runs.
        combine: "grid", "zip", "random" or "list".
        batch: lanes to run at a time; None: as many as fit.
        tree: what it was read from.
    """

    axes: tuple[Axis, ...]
    lanes: tuple[Lane, ...]
    combine: str
    batch: int | None = None
    tree: Mapping[str, Any] = {}


def parse(
    tree: Any,
    base: Config,
    *,
    where: str = "sweep",
    folder: Path | None = None,
    many: bool = False,
) -> Sweep:
    """A sweep from its section of a config.

    Args:
        tree: axes and options, as the module says.
        base: what all lanes have in common.
        where: what an error starts with.
        folder: what paths are relative to; None: the working folder.
        many: whether more than 10,000 lanes are meant.

    Raises:
        ValueError: naming the axis and what is wrong with it.
    """
    if not isinstance(tree, Mapping):
        raise ValueError(
            f"{where}: expected axes, as alpha: [1e-4, 1e-3], not {fields.kind(tree)}"
        )
    context = Context(base, where, folder, many)
    check_names(base, where=where)
    combine = _combine(tree, where)
    specs = {str(name): spec for name, spec in tree.items() if name not in OPTIONS}
    axes, places = _combined(combine, specs, tree, context)
    lanes = tuple(
        _lane(index, axes, here, context) for index, here in enumerate(places)
    )
    batch = None if tree.get("lanes") is None else _whole(tree["lanes"], "lanes", where)
    return Sweep(axes, lanes, combine, batch, tree)


def _combine(tree: Mapping, where: str) -> str:
    combine = tree.get("combine", "list" if "list" in tree else "grid")
    if combine not in COMBINE:
        raise ValueError(
            f"{where}: combine must be one of {', '.join(COMBINE)}, not "
            f"{fields.short(combine)}"
        )
    owners = {"samples": "random", "sample_seed": "random", "list": "list"}
    for option, owner in owners.items():
        if option in tree and combine != owner:
            raise ValueError(f"{where}: {option} is for combine: {owner}")
    return combine


def _combined(
    combine: str, specs: ways.Specs, tree: Mapping, context: Context
) -> ways.Combined:
    where = context.where
    if combine == "list":
        if specs:
            raise ValueError(
                f"{where}: a list has no other axes, such as {next(iter(specs))}"
            )
        return ways.listed(tree.get("list"), context)
    if combine == "random":
        if tree.get("samples") is None:
            raise ValueError(f"{where}: combine: random needs samples, as samples: 24")
        samples = _whole(tree["samples"], "samples", where)
        seed = _whole(tree.get("sample_seed", 0), "sample_seed", where, lowest=0)
        return ways.sampled(specs, samples, seed, context)
    return (ways.grid if combine == "grid" else ways.zipped)(specs, context)


def _whole(value: Any, option: str, where: str, *, lowest: int = 1) -> int:
    number = fields.number(value, int, where=f"{where}: {option}")
    if number < lowest:
        raise ValueError(f"{where}: {option} must be from {lowest} up, not {number}")
    return number


def _lane(
    index: int, axes: Sequence[Axis], places: Iterable[int], context: Context
) -> Lane:
    pairs = list(zip(axes, places, strict=True))
    labels = {axis.name: axis.labels[place] for axis, place in pairs}
    values = {axis.key: axis.values[place] for axis, place in pairs}
    return Lane(index, labels, _config(context.base, values, context.where))


def _config(base: Config, values: Mapping[str, Any], where: str) -> Config:
    """The base with some values; weights of single layers go into the lane's layers."""
    weights = {key: value for key, value in values.items() if layer_weight(key)}
    config = with_values(base, {k: v for k, v in values.items() if k not in weights})
    for key, weight in weights.items():
        layers_key, layer = layer_weight(key) or ("", "")
        layers = _layer_weights(config, layers_key, where)
        config = with_values(config, {layers_key: {**layers, layer: weight}})
    return config


def _layer_weights(config: Config, key: str, where: str) -> dict[str, float]:
    """Weights of a lane's layers: a list is averaged, as everywhere."""
    layers, name = get(config, key), key.rpartition(".")[2]
    if isinstance(layers, dict):
        return layers
    if layers is None:
        preset = find_preset(config.objective.preset)
        weight = name.replace("layers", "weight")
        own = getattr(preset, weight) is not Preset._field_defaults[weight]
        if own or (name == "style_layers" and preset.layer_weights):
            raise ValueError(
                f"{where}: the layer weights of preset {config.objective.preset} "
                f"depend on the network: give {key} before varying one of them"
            )
        layers = getattr(preset, name)
    return {layer: 1 / len(layers) for layer in layers}
