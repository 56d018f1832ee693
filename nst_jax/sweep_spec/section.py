"""A sweep as the section of a config file again, and what differs between two."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_jax import fields
from nst_jax.inputs import expand_home, is_start_file, is_weights_name, repeatable
from nst_jax.sweep_spec.axes import Axis
from nst_jax.sweep_spec.keys import PATH_KEYS, get, is_shared, keys
from nst_jax.sweep_spec.spec import Sweep

# They change where and in how many pieces the lanes run, not what comes out.
MAY_CHANGE = ("solver.memory",)


def section_of(sweep: Sweep) -> dict[str, Any]:
    """The section ``sweep`` that gives the same lanes, read from any folder."""
    tree = dict(sweep.tree)
    paths = {axis.name: axis for axis in sweep.axes if axis.key in PATH_KEYS}
    if sweep.combine == "list":
        tree["list"] = [
            {name: _of_lane(paths[name], lane) if name in paths else value
             for name, value in entry.items()}
            for entry, lane in zip(tree["list"], sweep.lanes, strict=True)
        ]  # fmt: skip
        return tree
    for name, axis in paths.items():
        if isinstance(tree[name], Mapping):
            values = [_absolute(axis.key, value) for value in axis.values]
            tree[name] = dict(zip(axis.labels, values, strict=True))
        elif sweep.combine == "zip":  # in which values may come again
            tree[name] = [_of_lane(axis, lane) for lane in sweep.lanes]
        else:
            tree[name] = [_absolute(axis.key, value) for value in axis.values]
    return tree


def _of_lane(axis: Axis, lane) -> str | None:
    return _absolute(axis.key, get(lane.config, axis.key))


def _absolute(key: str, value: str | None) -> str | None:
    is_word = (key == "start" and value and not is_start_file(value)) or (
        key == "network.weights" and value and is_weights_name(value)
    )
    if value is None or is_word:
        return value
    return str(Path(value).expanduser().resolve())


def check_same(old: Sweep, new: Sweep, *, where: str) -> None:
    """Refuse to go on with a sweep that is defined otherwise than before.

    Args:
        old: as it began.
        new: as it is now.
        where: what an error starts with.

    Raises:
        ValueError: naming the axis or the key, what it was and what it is.
    """
    names = [", ".join(axis.name for axis in sweep.axes) for sweep in (old, new)]
    if names[0] != names[1]:
        raise _changed(where, "axes were", *names)
    for before, now in zip(old.axes, new.axes, strict=True):
        if before.labels != now.labels:
            texts = [fields.short(", ".join(axis.labels)) for axis in (before, now)]
            raise _changed(where, f"axis {now.name} was", *texts)
    if len(old.lanes) != len(new.lanes):
        counts = [f"{len(sweep.lanes)} lanes" for sweep in (old, new)]
        raise _changed(where, f"{new.combine} gave", *counts)
    for lane, other in zip(old.lanes, new.lanes, strict=True):
        configs = [repeatable(expand_home(one.config)) for one in (lane, other)]
        for key in keys():
            if is_shared(key) or key in MAY_CHANGE:
                continue
            was, now = (get(config, key) for config in configs)
            if was != now:
                texts = [fields.short(value) for value in (was, now)]
                raise _changed(where, f"{key} (of lane {lane.index}) was", *texts)


def _changed(where: str, what: str, was: str, now: str) -> ValueError:
    return ValueError(
        f"{where}: {what} {was} and is now {now}: a sweep goes on as it began; leave "
        "that as it was, or choose another --out"
    )
