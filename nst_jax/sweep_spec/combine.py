"""How the axes of a sweep are combined: grid, zip, random, list.

Each gives the axes and, for each lane, the place of its value on each axis.
"""

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nst_jax import fields
from nst_jax.config import Config
from nst_jax.sweep_spec.axes import (
    BASE,
    Axis,
    Context,
    Range,
    Values,
    checked,
    checked_range,
    draw,
    labelled,
    read_axis,
)
from nst_jax.sweep_spec.keys import find_key, layer_weight, with_values

MOST_LANES = 10_000  # without being asked for
TRIES = 100  # draws per sample, to find lanes that differ

Specs = Mapping[str, Any]  # name of an axis -> its values, as written
Combined = tuple[tuple[Axis, ...], Iterable[tuple[int, ...]]]


class TooManyLanes(ValueError):
    """More lanes than are made without being asked for.

    Attributes:
        count: how many.
        config: of one of them, but for weights of single layers.
        labels: name of an axis -> label of that lane's value.
    """

    def __init__(self, text: str, count: int, config: Config, labels: dict[str, str]):
        super().__init__(text)
        self.count, self.config, self.labels = count, config, labels


def grid(specs: Specs, context: Context) -> Combined:
    """Each value with each, the last axis fastest.

    Raises:
        ValueError: naming what is wrong with an axis, or for too many lanes.
    """
    axes = _fixed(_read(specs, context.where), context.where)
    # Before anything is made of them: there may be very many.
    _check_count(math.prod(len(axis.values) for axis in axes), axes, context)
    found = tuple(checked(axis, context)[0] for axis in axes)
    return found, itertools.product(*(range(len(axis.values)) for axis in found))


def zipped(specs: Specs, context: Context) -> Combined:
    """The first values of all axes together, then the second ones, and so on.

    Raises:
        ValueError: as ``grid``; for axes of different lengths; for equal lanes.
    """
    axes = _fixed(_read(specs, context.where), context.where)
    lengths = {axis.name: len(axis.values) for axis in axes}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise ValueError(
            f"{context.where}: zip needs axes with as many values each: {shown}"
        )
    _check_count(len(axes[0].values), axes, context)
    pairs = [checked(axis, context, repeats=True) for axis in axes]
    found, places = zip(*pairs, strict=True)
    return found, _different(zip(*places, strict=True), context.where)


def listed(entries: Any, context: Context) -> Combined:
    """Lanes one by one; a key that one of them lacks is as in the base.

    Args:
        entries: a mapping of keys and values for each lane.
        context: as for all.

    Raises:
        ValueError: naming the lane and what is wrong with it; for equal lanes.
    """
    where = f"{context.where}: list"
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise ValueError(
            f"{where}: expected lanes, as - {{alpha: 1e-3, seed: 1}}, not "
            f"{fields.kind(entries)}"
        )
    for number, entry in enumerate(entries, start=1):
        _check_entry(entry, f"{where}, lane {number}")
    names = dict.fromkeys(str(name) for entry in entries for name in entry)
    return zipped({name: _column(name, entries, where) for name in names}, context)


def sampled(specs: Specs, samples: int, seed: int, context: Context) -> Combined:
    """Lanes drawn at random, all different.

    Raises:
        ValueError: as ``grid``; if there are not as many different lanes.
    """
    axes = _read(specs, context.where)
    _check_count(samples, axes, context)
    sources: list[Range | Axis] = [
        checked_range(axis, context)
        if isinstance(axis, Range)
        else checked(axis, context)[0]
        for axis in axes
    ]
    drawn = _distinct_draws(sources, samples, seed)
    if len(drawn) < samples:
        raise ValueError(
            f"{context.where}: {TRIES * samples:,} draws gave only {len(drawn):,} "
            f"different lanes: ask for fewer than {samples:,} samples"
        )
    columns = zip(*drawn, strict=True)
    pairs = [_placed(*pair) for pair in zip(sources, columns, strict=True)]
    found, places = zip(*pairs, strict=True)
    return found, zip(*places, strict=True)


# --- reading ---------------------------------------------------------------------


def _check_count(count: int, axes: Iterable[Values | Range], context: Context) -> None:
    if count <= MOST_LANES or context.many:
        return
    first = [_first_value(axis, context) for axis in axes]
    values = {axis.key: axis.values[0] for axis in first if not layer_weight(axis.key)}
    raise TooManyLanes(
        f"{context.where}: {count:,} lanes, more than {MOST_LANES:,}: give fewer "
        "values or use combine: random; or allow it with --yes (many=True in Python)",
        count,
        with_values(context.base, values),
        {axis.name: axis.labels[0] for axis in first},
    )


def _first_value(axis: Values | Range, context: Context) -> Axis:
    if isinstance(axis, Range):
        return labelled(axis, [checked_range(axis, context).lowest])
    names = axis.names and axis.names[:1]
    return checked(axis._replace(values=axis.values[:1], names=names), context)[0]


def _read(specs: Specs, where: str) -> list[Values | Range]:
    if not specs:
        raise ValueError(
            f"{where}: no axes; give one, as alpha: [1e-4, 1e-3] in a file or "
            "alpha=1e-4,1e-3 on the command line"
        )
    axes = [read_axis(name, spec, where=where) for name, spec in specs.items()]
    _check_keys([(axis.name, axis.key) for axis in axes], where)
    return axes


def _check_keys(pairs: Iterable[tuple[str, str]], where: str) -> None:
    """Refuse two names of one key."""
    names: dict[str, str] = {}
    for name, key in pairs:
        if key in names:
            raise ValueError(f"{where}: {names[key]} and {name} are the same axis")
        names[key] = name


def _fixed(axes: Iterable[Values | Range], where: str) -> list[Values]:
    """The axes, none of which may be a range to draw from."""
    found = []
    for axis in axes:
        if isinstance(axis, Range):
            raise ValueError(
                f"{where}: axis {axis.name}: uniform and log_uniform are for combine: "
                "random; for values from one to the other use linear or log: [from, "
                "to, count]"
            )
        found.append(axis)
    return found


def _different(lanes: Iterable[tuple[int, ...]], where: str):
    first: dict[tuple[int, ...], int] = {}
    for number, places in enumerate(lanes, start=1):
        if places in first:
            raise ValueError(f"{where}: lanes {first[places]} and {number} are equal")
        first[places] = number
    return tuple(first)


def _check_entry(entry: Any, where: str) -> None:
    if not isinstance(entry, Mapping) or not entry:
        raise ValueError(
            f"{where}: expected keys and values, as {{alpha: 1e-3}}, not "
            f"{fields.kind(entry)}"
        )
    names = [str(name) for name in entry]
    _check_keys([(name, find_key(name, where=where)) for name in names], where)


def _column(name: str, entries: Sequence[Mapping], where: str) -> list[Any]:
    """The values of one key in all entries."""
    missing = [n for n, entry in enumerate(entries, start=1) if name not in entry]
    if missing and layer_weight(find_key(name, where=where)):
        raise ValueError(
            f"{where}, lane {missing[0]}: {name} is missing; the weight of a layer "
            "must stand in all lanes or in none"
        )
    return [entry.get(name, BASE) for entry in entries]


# --- drawing ---------------------------------------------------------------------


def _distinct_draws(
    sources: Sequence[Range | Axis], samples: int, seed: int
) -> tuple[tuple, ...]:
    """Up to ``samples`` different lanes: a value of a range, the place on an axis."""
    # Of all that the generator offers, only random() is the same in every Python.
    generator = random.Random(seed)
    drawn: dict[tuple, None] = {}
    for _ in range(TRIES * samples):
        drawn[tuple(_draw(source, generator.random()) for source in sources)] = None
        if len(drawn) == samples:
            break
    return tuple(drawn)


def _draw(source: Range | Axis, part: float) -> float:
    if isinstance(source, Range):
        return draw(source, part)
    return int(part * len(source.values))


def _placed(source: Range | Axis, column: Sequence) -> tuple[Axis, Sequence[int]]:
    """The axis of what was drawn, and the place of each draw on it."""
    if isinstance(source, Axis):
        return source, column
    values = sorted(set(column))
    places = {value: place for place, value in enumerate(values)}
    return labelled(source, values), [places[value] for value in column]
