"""One axis of a sweep: its name, the config key it stands for, values and labels.

An axis is a list of values, a mapping name: value (the names become the labels), or
one of ``{log: [from, to, count]}`` and ``{linear: [from, to, count]}``. For random
sweeps also ``{uniform: [from, to]}`` and ``{log_uniform: [from, to]}``. Numbers that
are worked out from these are whole where the key is, else rounded to four digits.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import config as configs
from nst_jax import fields
from nst_jax.config import Config, from_tree
from nst_jax.features.layout import up_to_deepest
from nst_jax.objective.presets import check_style_loss, find_preset
from nst_jax.sweep_spec.keys import (
    KNOWN_LAYERS,
    LAYER_KEYS,
    NO_AXIS,
    PATH_KEYS,
    find_key,
    get,
    holds,
    is_shared,
    nested,
)
from nst_jax.sweep_spec.labels import labels, path_labels

MOST_VALUES = 10_000  # of an axis given by its ends
BASE = object()  # among values: the one that the base has
DIGITS = 4  # of values that are worked out here, so that their labels are exact


class Axis(NamedTuple):
    """What is varied.

    Attributes:
        name: as it was written: "alpha".
        key: the config key: "objective.alpha", "objective.style_layers.conv1_1".
        values: different ones, as the config holds them.
        labels: a short text for each value.
    """

    name: str
    key: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]


class Context(NamedTuple):
    """What every axis is read with.

    Attributes:
        base: the config that all lanes have in common.
        where: what an error starts with.
        folder: what paths are relative to; None: the working folder.
        many: whether very many lanes are meant.
    """

    base: Config
    where: str
    folder: Path | None
    many: bool


class Values(NamedTuple):
    """An axis as it was written: values not yet checked, and their names if any."""

    name: str
    key: str
    values: tuple[Any, ...]
    names: tuple[str, ...] | None


class Range(NamedTuple):
    """An axis of a random sweep that is drawn between two numbers."""

    name: str
    key: str
    lowest: float
    highest: float
    log: bool


# --- reading ---------------------------------------------------------------------


def read_axis(name: str, spec: Any, *, where: str) -> Values | Range:
    """An axis as it was written.

    Args:
        name: of the axis.
        spec: a list of values, or a mapping as the module says.
        where: what an error starts with.

    Raises:
        ValueError: for an unknown or empty axis, or what is no axis.
    """
    key = find_key(name, where=where)
    where = f"{where}: axis {name}"
    if is_shared(key):
        raise ValueError(f"{where}: {key} is the same for all lanes, not an axis")
    if key in NO_AXIS:
        raise ValueError(
            f"{where}: {key} is the same for all lanes: vary something else, such as "
            "style or style_scale, or run a sweep for each"
        )
    if isinstance(spec, Mapping):
        word, ends = next(iter(spec.items())) if len(spec) == 1 else (None, None)
        if word in ("uniform", "log_uniform"):
            return Range(name, key, *_ends(ends, word, where), word == "log_uniform")
        if word in ("linear", "log"):
            return Values(name, key, _spaced(key, ends, word, where), None)
        names = tuple(fields.text(label, where=where) for label in spec)
        values = tuple(spec.values())
        _check_sets(name, key, spec, where)
    elif isinstance(spec, Iterable) and not isinstance(spec, str | bytes):
        names, values = None, tuple(spec)
    else:
        raise ValueError(
            f"{where}: expected a list of values, as [1, 2], not {fields.kind(spec)}"
        )
    if not values:
        raise ValueError(f"{where}: no values; give at least one, or leave it out")
    if names and len(set(names)) < len(names):
        raise ValueError(f"{where}: a name is given twice in {', '.join(names)}")
    return Values(name, key, values, names)


def _check_sets(name: str, key: str, spec: Mapping, where: str) -> None:
    """``style_layers: {conv1_1: [0, 1]}`` was meant as an axis of weights."""
    for layer in set(spec) & set(KNOWN_LAYERS) if key in LAYER_KEYS else ():
        items = spec[layer] if isinstance(spec[layer], list) else [spec[layer]]
        if any(isinstance(item, int | float) for item in items):
            raise ValueError(
                f"{where}: a mapping names sets of layers; for the weight of one "
                f"layer write {name}.{layer}: [0, 1]"
            )


def _ends(ends: Any, word: str, where: str) -> tuple[float, float]:
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(
            f"{where}: expected {word}: [from, to], not {fields.short(ends)}"
        )
    # Kept as they are: whole numbers stay whole.
    lowest, highest = ends
    for end in ends:
        fields.number(end, float, where=f"{where}: {word}")
    if not lowest < highest or (word.startswith("log") and lowest <= 0):
        above = "0 < from < to" if word.startswith("log") else "from < to"
        raise ValueError(f"{where}: {word} needs {above}, not {list(ends)}")
    return lowest, highest


def _spaced(key: str, ends: Any, word: str, where: str) -> tuple[float, ...]:
    """Values from one end to the other, both included."""
    if not isinstance(ends, list | tuple) or len(ends) != 3:
        raise ValueError(
            f"{where}: expected {word}: [from, to, count], not {fields.short(ends)}"
        )
    *limits, count = ends
    count = fields.number(count, int, where=f"{where}: {word}: count")
    if not 2 <= count <= MOST_VALUES:
        raise ValueError(f"{where}: count must be from 2 to {MOST_VALUES}, not {count}")
    first, last = _ends(sorted(limits) if _are_numbers(limits) else limits, word, where)
    if limits[0] == last:
        first, last = last, first
    inner = (_between(first, last, i / (count - 1), word) for i in range(1, count - 1))
    return (first, *(_fitting(key, value) for value in inner), last)


def _are_numbers(values: Iterable) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _between(first: float, last: float, part: float, word: str) -> float:
    if word.startswith("log"):
        return math.exp((1 - part) * math.log(first) + part * math.log(last))
    return (1 - part) * first + part * last


def _fitting(key: str, value: float) -> float:
    """A number that was worked out, as its key has it: whole, or with few digits."""
    return round(value) if holds(key, int) else float(f"{value:.{DIGITS}g}")


def draw(axis: Range, part: float) -> float:
    """The value at ``part``, in [0, 1), of the way through a range."""
    low, high = axis.lowest, axis.highest
    if not axis.log and holds(axis.key, int):
        return low + math.floor(part * (high - low + 1))
    word = "log" if axis.log else "linear"
    value = _fitting(axis.key, _between(low, high, part, word))
    return min(max(value, low), high)


# --- values ------------------------------------------------------------------------


def checked(
    axis: Values, context: Context, *, repeats: bool = False
) -> tuple[Axis, tuple[int, ...]]:
    """The axis with its different values, and the place of each given one on it.

    Args:
        axis: as it was written.
        context: the config that the values go into.
        repeats: whether a value may be given again.

    Raises:
        ValueError: naming the axis and the value that does not do.
    """
    first: dict[Any, int] = {}
    values, places = [], []
    for raw in axis.values:
        value = _convert(axis, raw, context)
        # A mapping of layers cannot be a dictionary's key.
        same = frozenset(value.items()) if isinstance(value, dict) else value
        if same in first and (axis.names or not repeats):
            raise ValueError(
                f"{context.where}: axis {axis.name}: {fields.short(raw)} is given twice"
            )
        if same not in first:
            first[same] = len(values)
            values.append(value)
        places.append(first[same])
    return labelled(axis, values), tuple(places)


def checked_range(axis: Range, context: Context) -> Range:
    """The range with ends of the key's own type.

    Raises:
        ValueError: naming the axis and the end that does not do.
    """
    low, high = (_convert(axis, end, context) for end in (axis.lowest, axis.highest))
    if isinstance(low, str):
        raise ValueError(
            f"{context.where}: axis {axis.name} holds text: give a list of values"
        )
    return axis._replace(lowest=low, highest=high)


def labelled(axis: Values | Range, values: Iterable[Any]) -> Axis:
    """An axis of checked values, with its labels."""
    values = tuple(values)
    names = axis.names if isinstance(axis, Values) else None
    own = path_labels if axis.key in PATH_KEYS else labels
    return Axis(axis.name, axis.key, values, names or own(values))


def check_names(config: Config, *, where: str) -> None:
    """Refuse an unknown preset or layer.

    Raises:
        ValueError: as it says.
    """
    objective = config.objective
    given = (objective.content_layers, objective.style_layers)
    layers = frozenset(layer for group in given for layer in group or ())
    try:
        find_preset(objective.preset)
        if objective.style_loss is not None:
            check_style_loss(objective.style_loss)
        up_to_deepest(config.network.name or "vgg19", layers)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _convert(axis: Values | Range, raw: Any, context: Context) -> Any:
    """A value as the config holds it."""
    if raw is BASE:
        return get(context.base, axis.key)
    where = f"{context.where}: axis {axis.name}, value {fields.short(raw)}"
    tree = nested({axis.key: raw})
    if context.folder is not None:
        tree = configs.absolute(tree, context.folder)
    config = from_tree(tree, base=context.base, where=where)
    check_names(config, where=where)
    return get(config, axis.key)
