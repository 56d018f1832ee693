"""The keys of the config as a sweep names them: alpha for objective.alpha."""

import dataclasses
import difflib
import functools
import typing
from collections.abc import Mapping
from typing import Any

from nst_jax import fields
from nst_jax.config import Config
from nst_jax.features.layout import layer_names

LAYER_KEYS = ("objective.content_layers", "objective.style_layers")
PATH_KEYS = ("content", "style", "start", "network.weights")
# Where and how the whole sweep runs: the same for all lanes.
SHARED_KEYS = ("device", "compile_cache", "solver.checkpoint_seconds")
# Of which a list is meant; its parts cannot be labelled.
NO_AXIS = (
    "styles",
    *(f"regions.{key}" for key in ("content", "style", "styles", "weights", "keep")),
    "texture",
)
# It has all the layers that vgg16 has.
KNOWN_LAYERS = layer_names("vgg19")


@functools.cache
def keys() -> dict[str, Any]:
    """All keys of the config, as section.key, with their types."""
    found = {}
    for key, hint in typing.get_type_hints(Config).items():
        if dataclasses.is_dataclass(hint):
            for child, child_hint in typing.get_type_hints(hint).items():
                found[f"{key}.{child}"] = child_hint
        else:
            found[key] = hint
    return found


def find_key(name: str, *, where: str) -> str:
    """The config key that a name stands for: "alpha" is objective.alpha.

    ``style_layers.conv1_1`` is the weight of one layer.

    Raises:
        ValueError: for a name that is none, or several.
    """
    known = keys()
    if name in known:
        return name
    full = [
        key for key in known if key.rpartition(".")[2] == name and key not in NO_AXIS
    ]
    if len(full) == 1:
        return full[0]
    if full:
        raise ValueError(f"{where}: {name} may be {' or '.join(full)}: write which")
    head, _, layer = name.rpartition(".")
    for key in LAYER_KEYS:
        if head in (key, key.rpartition(".")[2]):
            if layer not in KNOWN_LAYERS:
                raise ValueError(
                    f"{where}: unknown layer {fields.short(layer)}; known are "
                    f"{', '.join(KNOWN_LAYERS)}"
                )
            return f"{key}.{layer}"
    raise ValueError(f"{where}: unknown axis {fields.short(name)}{_hint(name)}")


def _hint(name: str) -> str:
    known = [key for key in keys() if not is_shared(key) and key not in NO_AXIS]
    if inside := [key for key in known if key.startswith(f"{name}.")]:
        return f"; write {inside[0]}, for example"
    last = {key.rpartition(".")[2]: None for key in known}
    near = difflib.get_close_matches(name, [*last, *known])
    return f"; did you mean {near[0]}?" if near else f" (known: {', '.join(last)})"


def is_shared(key: str) -> bool:
    """Whether a key says where and how the whole sweep runs, not one lane."""
    return key in SHARED_KEYS or key.startswith("output.")


def is_text(key: str) -> bool:
    """Whether a key holds free text."""
    return holds(key, str)


def holds(key: str, kind: type) -> bool:
    """Whether a key holds values of a kind, such as int."""
    hint = keys().get(key, float)  # the weight of a layer is no key of its own
    return kind in (hint, *typing.get_args(hint))


def layer_weight(key: str) -> tuple[str, str] | None:
    """Layers key and layer, of a key that is the weight of one layer; else None."""
    head, _, layer = key.rpartition(".")
    return (head, layer) if head in LAYER_KEYS else None


def get(config: Config, key: str) -> Any:
    """The value of a key; of a layer's weight, where the config has a mapping."""
    value: Any = config
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"objective.alpha": 1}`` -> ``{"objective": {"alpha": 1}}``."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy with keys replaced by values that were checked before.

    Args:
        config: to be copied.
        values: key -> value; no weights of single layers.
    """
    changes = {}
    if values.get("style") is not None:
        changes["styles"] = None  # of one and several, what is given later counts
    for key, value in nested(values).items():
        section = getattr(config, key)
        changes[key] = (
            dataclasses.replace(section, **value)
            if dataclasses.is_dataclass(section) and not isinstance(section, type)
            else value
        )
    return dataclasses.replace(config, **changes)
