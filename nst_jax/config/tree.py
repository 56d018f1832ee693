"""Nested mappings -> config and back, with what is wrong with them said by key."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nst_jax import fields
from nst_jax.config.check import MOST_SCALES, check_values, check_weight
from nst_jax.config.records import Config, Layers, Mask, Scales, StyleConfig
from nst_jax.yamltext import dump_yaml

# Sections that other commands read from the same file.
IGNORED = {"sweep"}


def from_tree(
    tree: Mapping[str, Any], *, base: Config | None = None, where: str = "config"
) -> Config:
    """A config from nested mappings, over ``base``.

    Raises:
        ValueError: for unknown keys, wrong types and impossible values.
    """
    config = _replace(base if base is not None else Config(), tree, "", where)
    # Of one style and several, what is given later counts.
    given = [key for key in ("style", "styles") if tree.get(key) is not None]
    if len(given) == 1:
        other = "styles" if given == ["style"] else "style"
        config = dataclasses.replace(config, **{other: None})
    if tree.get("texture") is not None and config.texture is not None:
        config = dataclasses.replace(config, size=max(config.texture))
    if config.texture is not None:
        config = _of_texture(config)
    check_values(config, where)
    return config


def _of_texture(config: Config) -> Config:
    """A config without a content, where nothing else is asked for."""
    objective = dataclasses.replace(config.objective, content_layers={}, alpha=0.0)
    start = "noise" if config.start is None else config.start
    return dataclasses.replace(config, objective=objective, start=start)


def to_yaml(config: Config) -> str:
    """The config as YAML text that ``load`` reads back to an equal config."""
    return dump_yaml(_plain(config))


def changed(config: Config, **sections: Any) -> Config:
    """A copy with some keys replaced: ``changed(c, network={"pooling": "avg"})``."""
    return from_tree(sections, base=config)


# --- trees -> dataclasses -----------------------------------------------------


def _replace(record, tree, prefix: str, where: str):
    if not isinstance(tree, Mapping):
        name = prefix.rstrip(".") or "config"
        raise ValueError(f"{where}: {name}: expected keys, not {fields.kind(tree)}")
    hints = typing.get_type_hints(type(record))
    changes = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in IGNORED:
            continue
        if key not in hints:
            raise ValueError(f"{where}: {_unknown(path, prefix, hints)}")
        if dataclasses.is_dataclass(hints[key]):
            child = {} if value is None else value
            changes[key] = _replace(getattr(record, key), child, f"{path}.", where)
        else:
            changes[key] = _convert(value, hints[key], f"{where}: {path}")
    return dataclasses.replace(record, **changes)


def _unknown(path: str, prefix: str, hints) -> str:
    # All keys, and each also by its last part: "alpha" means objective.alpha.
    known = {prefix + str(hint): prefix + str(hint) for hint in hints}
    for section in dataclasses.fields(Config):
        for key in typing.get_type_hints(section.type) if _is_section(section) else ():
            known.setdefault(key, f"{section.name}.{key}")
    near = difflib.get_close_matches(path, known) or difflib.get_close_matches(
        path.rpartition(".")[2], known
    )
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    return f"unknown key {fields.short(path)}{hint} (allowed here: {', '.join(hints)})"


def _is_section(field: dataclasses.Field) -> bool:
    return dataclasses.is_dataclass(field.type)


def _convert(value, hint, where: str):
    if hint == Layers | None:
        return None if value is None else _layers(value, where)
    if hint == tuple[StyleConfig, ...] | None:
        return None if value is None else _styles(value, where)
    if hint == Mask | None:
        return None if value is None else _mask(value, where)
    if hint == tuple[Mask | None, ...] | None:
        return None if value is None else _masks(value, where)
    if hint == dict[str, float] | None:
        return None if value is None else _region_weights(value, where)
    if hint == tuple[str, ...] | None:
        layers = None if value is None else _layers(value, where)
        return tuple(layers) if layers is not None else None
    if hint == Scales | None:
        words = Literal["auto", "sqrt2"] | None
        if value is None or isinstance(value, str):
            return fields.convert(value, words, where=where)
        return _whole_numbers(value, where)
    if hint == tuple[int, ...] | None:
        return None if value is None else _whole_numbers(value, where)
    return fields.convert(value, hint, where=where)


def _styles(value, where: str) -> tuple[StyleConfig, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(
            f"{where}: expected pictures, as [{{picture: a.jpg, weight: 2}}, b.jpg], "
            f"not {fields.kind(value)}"
        )
    return tuple(
        item if isinstance(item, StyleConfig) else _style(item, f"{where}, style {n}")
        for n, item in enumerate(value, start=1)
    )


def blended(
    pictures: Sequence[str | None], weights: Sequence[float] | None, *, where: str
) -> tuple[StyleConfig, ...]:
    """Several styles and their weights; equal ones if there are none.

    Raises:
        ValueError: if there are more of one than of the other.
    """
    if not pictures:
        raise ValueError(f"{where}: no style picture: give at least one")
    weights = [1.0] * len(pictures) if weights is None else list(weights)
    if len(weights) != len(pictures):
        raise ValueError(
            f"{where}: {_count(len(pictures), 'style')}, but "
            f"{_count(len(weights), 'weight')}: give one weight for each style"
        )
    numbers = [fields.number(weight, float, where=where) for weight in weights]
    pairs = zip(pictures, numbers, strict=True)
    return tuple(StyleConfig(picture, weight) for picture, weight in pairs)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _style(value, where: str) -> StyleConfig:
    tree = value if isinstance(value, Mapping) else {"picture": value}
    if "picture" not in tree:
        raise ValueError(f"{where}: picture is missing")
    picture = fields.text(tree["picture"], where=f"{where}: picture")
    return _replace(StyleConfig(picture), tree, "", where)


def _mask(value, where: str) -> Mask:
    if not isinstance(value, list | tuple):
        return fields.text(value, where=where)
    if not value:
        raise ValueError(f"{where}: no masks: give a picture, or one for each region")
    return tuple(fields.text(item, where=where) for item in value)


def _masks(value, where: str) -> tuple[Mask | None, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{where}: expected a mask for each style, as [a.png, null], not "
            f"{fields.kind(value)}"
        )
    return tuple(None if item is None else _mask(item, where) for item in value)


def _region_weights(value, where: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{where}: expected weights of regions, as {{red: 2}}, not "
            f"{fields.kind(value)}"
        )
    return {
        fields.text(region, where=where): _weight(weight, f"{where}.{region}")
        for region, weight in value.items()
    }


def _whole_numbers(value, where: str) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MOST_SCALES:
        raise ValueError(
            f"{where}: expected 1 to {MOST_SCALES} whole numbers, as [128, 256, 512], "
            f"not {fields.kind(value)}"
        )
    return tuple(fields.number(number, int, where=where) for number in value)


def _layers(value, where: str) -> Layers:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        return {
            fields.text(layer, where=where): _weight(weight, f"{where}.{layer}")
            for layer, weight in value.items()
        }
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{where}: expected layers, as [conv1_1, conv2_1] or "
            f"{{conv1_1: 0.5, conv2_1: 1}}, not {fields.kind(value)}"
        )
    layers = tuple(fields.text(layer, where=where) for layer in value)
    if len(set(layers)) < len(layers):
        raise ValueError(f"{where}: a layer is named twice in {', '.join(layers)}")
    return layers


def _weight(value, where: str) -> float:
    weight = fields.number(value, float, where=where)
    check_weight(weight, where)
    return weight


def _plain(value):
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
