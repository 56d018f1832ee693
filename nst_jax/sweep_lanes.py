"""A lane of a sweep as the outputs want it, and what it was made from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nst_jax.config import Config
from nst_jax.inputs import expand_home, mask_files, picture_files, repeatable
from nst_jax.loading import weights_for
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.manifest import file_sha256
from nst_jax.outputs.sweep_folder import curve, lane_file
from nst_jax.outputs.trace import terms_of
from nst_jax.prepare_sweep import GroupPlan
from nst_jax.solve.loop import Record
from nst_jax.sweep_spec.keys import PATH_KEYS, get, holds, is_shared, keys
from nst_jax.sweep_spec.section import MAY_CHANGE
from nst_jax.sweep_spec.spec import Lane, Sweep


def lane_result(
    lane: Lane,
    sweep: Sweep,
    records: Sequence[Record],
    *,
    picture: np.ndarray,
    scores: Mapping[str, float],
    seconds: float,
) -> LaneResult:
    """What the outputs are given of a lane that came to its end.

    Args:
        lane: the lane.
        sweep: that it is of.
        records: all of them; the last one has the outcome.
        picture: (h, w, 3) in [0, 1].
        scores: by name.
        seconds: its share of the time.
    """
    last = records[-1]
    assert last.outcome is not None
    return LaneResult(
        lane.index,
        lane.labels,
        values_of(lane, sweep),
        picture,
        lane_file(lane.index),
        _terms(last),
        curve(records),
        scores,
        seconds,
        last.outcome.code,
        last.outcome.text,
    )


def missing(lane: Lane, sweep: Sweep) -> LaneResult:
    """A lane that did not run, or not to its end."""
    return LaneResult(
        lane.index,
        lane.labels,
        values_of(lane, sweep),
        None,
        lane_file(lane.index),
        {},
        outcome="missing",
        text="not run yet",
    )


def values_of(lane: Lane, sweep: Sweep) -> dict[str, float | str]:
    """Name of an axis -> the lane's number on it; its label if it is no number."""
    values: dict[str, float | str] = dict(lane.labels)
    for axis in sweep.axes:
        if holds(axis.key, float) or holds(axis.key, int):
            place = axis.labels.index(lane.labels[axis.name])
            value = axis.values[place]
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[axis.name] = value
    return values


def _terms(record: Record) -> dict[str, float]:
    terms = record.terms
    found = {name: float(value) for name, value in terms_of(terms).items()}
    found |= {f"content/{k}": float(v) for k, v in terms.content_layers.items()}
    return found | {f"style/{k}": float(v) for k, v in terms.style_layers.items()}


# --- what they are made from ------------------------------------------------------


def as_it_runs(config: Config) -> Config:
    """A lane's config with full paths, and the weights that ``auto`` stands for."""
    config = repeatable(expand_home(config))
    network = replace(config.network, weights=weights_for(config))
    return replace(config, network=network)


def input_hashes(sweep: Sweep, groups: Sequence[GroupPlan]) -> dict[str, str | None]:
    """SHA-256 of each file that is read, and of the weights by their names."""
    files: dict[str, None] = {}
    for lane in sweep.lanes:
        config = as_it_runs(lane.config)
        files |= dict.fromkeys(picture_files(config).values())
        files |= dict.fromkeys(mask_files(config).values())
    hashes: dict[str, str | None] = {file: file_sha256(file) for file in files}
    weights = {group.loaded.weights.name: group.loaded.weights for group in groups}
    return hashes | {f"weights {name}": w.sha256 for name, w in weights.items()}


def _hashed(mask: Any, hashes: Mapping[str, str | None]) -> Any:
    """The files of masks, which may be lists of lists, as their hashes."""
    if isinstance(mask, tuple):
        return [_hashed(item, hashes) for item in mask]
    return hashes.get(mask, mask)


def digest(lane: Lane, hashes: Mapping[str, str | None]) -> str:
    """Of all that a lane is made from; the places of its files do not count."""
    config = as_it_runs(lane.config)
    values = {
        key: get(config, key)
        for key in keys()
        if not is_shared(key) and key not in MAY_CHANGE
    }
    for key in PATH_KEYS:
        values[key] = hashes.get(values[key], values[key])
    values["styles"] = [
        [
            hashes[str(style.picture)],
            *(style.weight, style.scale, style.layers, style.regions),
        ]
        for style in config.styles or ()
    ]
    for key in ("content", "style", "styles"):
        mask = values[f"regions.{key}"]
        values[f"regions.{key}"] = _hashed(mask, hashes)
    text = json.dumps([values, lane.labels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
