"""The configuration: YAML and ``section.key=value`` overrides -> frozen dataclasses.

Defaults stand here and nowhere else; ``None`` means "as the preset says" or "as the
weights say". Precedence: default < YAML < override. Unknown keys are errors with the
nearest known one. Never imports jax, so that ``--help`` and mistakes are quick.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nst_jax.yamltext import dump_yaml, parse_yaml

# A list of layers is averaged; a mapping layer: weight is used as given.
Layers = tuple[str, ...] | dict[str, float]


@dataclass(frozen=True)
class NetworkConfig:
    """Which network the losses see."""

    name: Literal["vgg16", "vgg19"] | None = None  # None: as the weights say
    weights: str = "vgg19"  # a name, a file, or "random"
    pooling: Literal["avg", "max"] | None = None
    padding: Literal["zeros", "reflect"] = "zeros"
    rescale: bool | None = None


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised. Keys that are given win over the preset."""

    preset: str = "gatys2016"
    alpha: float | None = None
    beta: float | None = None
    tv: float | None = None
    content_layers: Layers | None = None
    style_layers: Layers | None = None


@dataclass(frozen=True)
class SolverConfig:
    """How it is minimised."""

    name: Literal["lbfgs", "adam"] = "lbfgs"
    iterations: int = 500
    history: int = 20  # correction pairs of L-BFGS: 24 bytes per pixel each
    learning_rate: float = 0.05  # of Adam, in pixel values of [0, 1]
    precision: Literal["default", "float32"] = "default"


@dataclass(frozen=True)
class OutputConfig:
    """What is written, and where."""

    dir: str | None = None  # None: the next free numbered folder under runs/
    every: int | None = None  # snapshots; None: at 100, 200, 300 and 500


@dataclass(frozen=True)
class Config:
    """A whole run."""

    content: str | None = None
    style: str | None = None
    size: int = 512  # longer side of the result, in pixels
    seed: int = 0
    start: str | None = None  # noise, content, style, or a picture file
    device: str | None = None  # cpu, gpu, tpu; None: the best there is
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    output: OutputConfig = field(default_factory=OutputConfig)


LARGEST = 2**15  # pixels of a side
# Names that are taken and have no effect yet: refused rather than ignored.
NOT_YET = {
    "scales": "coarse-to-fine runs",
    "solver.memory": "the memory plan",
    "solver.minutes": "time limits",
    "solver.checkpoint_seconds": "checkpoints",
}
# Sections that other commands read from the same file.
IGNORED = {"sweep"}


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file and apply ``section.key=value`` overrides.

    Paths inside the file are relative to it, paths in overrides to the working
    folder.

    Raises:
        ValueError: naming the file or override, the key and what is wrong with it.
    """
    path = Path(path)
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ValueError(f"{path}: cannot be read ({reason})") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: expected keys and values, not {_kind(tree)}")
    config = from_tree(_absolute(tree, path.resolve().parent), where=str(path))
    return override(config, overrides)


def override(config: Config, overrides: Sequence[str]) -> Config:
    """Apply overrides such as ``objective.alpha=1e-2`` or ``size=256``, in order.

    Raises:
        ValueError: as ``load``.
    """
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"{text!r}: expected section.key=value")
        parsed = parse_yaml(value, where=text) if value else None
        tree: Any = parsed
        for part in reversed(key.strip().split(".")):
            tree = {part: tree}
        config = from_tree(tree, base=config, where=text)
    return config


def set_text(config: Config, key: str, value: str, *, where: str) -> Config:
    """Set one key from the text of a command-line flag.

    Unlike an override, text for a text key is taken as it is: a file may be called
    "1e3" or "a: b.png".

    Raises:
        ValueError: as ``load``.
    """
    section, _, name = key.rpartition(".")
    record = getattr(config, section) if section else config
    hint = typing.get_type_hints(type(record))[name]
    is_text = str in (hint, *typing.get_args(hint))
    tree: Any = {name: value if is_text else parse_yaml(value, where=where)}
    return from_tree({section: tree} if section else tree, base=config, where=where)


def from_tree(
    tree: Mapping[str, Any], *, base: Config | None = None, where: str = "config"
) -> Config:
    """A config from nested mappings, over ``base``.

    Raises:
        ValueError: for unknown keys, wrong types and impossible values.
    """
    config = _replace(base if base is not None else Config(), tree, "", where)
    _check_values(config, where)
    return config


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
        raise ValueError(f"{where}: {name}: expected keys, not {_kind(tree)}")
    hints = typing.get_type_hints(type(record))
    changes = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in IGNORED:
            continue
        if path in NOT_YET:
            if value is None:
                continue
            raise ValueError(f"{where}: {path}: {NOT_YET[path]} are not there yet")
        if key not in hints:
            raise ValueError(f"{where}: {_unknown(path, prefix, hints)}")
        if dataclasses.is_dataclass(hints[key]):
            child = {} if value is None else value
            changes[key] = _replace(getattr(record, key), child, f"{path}.", where)
        else:
            changes[key] = _convert(value, hints[key], f"{where}: {path}")
    return dataclasses.replace(record, **changes)


def _unknown(path: str, prefix: str, hints) -> str:
    near = difflib.get_close_matches(path.rpartition(".")[2], [str(h) for h in hints])
    hint = f"; did you mean {prefix}{near[0]}?" if near else ""
    return f"unknown key {path}{hint} (allowed here: {', '.join(hints)})"


def _convert(value, hint, where: str):
    """``value`` as the type ``hint``, or an error that starts with ``where``."""
    if hint == Layers | None:
        return None if value is None else _layers(value, where)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = [arm for arm in typing.get_args(hint) if arm is not type(None)]
    if typing.get_origin(hint) is Literal:
        return _choice(value, typing.get_args(hint), where)
    if hint is str:
        return _text(value, where)
    return _scalar(value, hint, where)


def _scalar(value, hint, where: str):
    words = {bool: "true or false", int: "a whole number", float: "a number"}
    good = type(value) is hint or (hint is float and type(value) is int)
    if not good:
        raise ValueError(f"{where}: expected {words[hint]}, not {_kind(value)}")
    if hint is float and not math.isfinite(value):
        raise ValueError(f"{where}: {value} is not a finite number")
    return hint(value)


def _text(value, where: str) -> str:
    # A folder may be called 2024: YAML reads that as a number.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{where}: expected text, not {_kind(value)}")
    return str(value)


def _choice(value, choices, where: str):
    if value not in choices:
        allowed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{where}: {value!r} is not one of {allowed}")
    return value


def _layers(value, where: str) -> Layers:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        return {
            _text(layer, where): _weight(weight, f"{where}.{layer}")
            for layer, weight in value.items()
        }
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{where}: expected layers, as [conv1_1, conv2_1] or "
            f"{{conv1_1: 0.5, conv2_1: 1}}, not {_kind(value)}"
        )
    layers = tuple(_text(layer, where) for layer in value)
    if len(set(layers)) < len(layers):
        raise ValueError(f"{where}: a layer is named twice in {', '.join(layers)}")
    return layers


def _weight(value, where: str) -> float:
    weight = _scalar(value, float, where)
    if weight < 0:
        raise ValueError(f"{where}: a layer's weight must not be negative: {weight}")
    return weight


def _kind(value) -> str:
    if value is None:
        return "nothing"
    kind = {list: "a list", dict: "a mapping", str: "the text", bool: ""}
    word = kind.get(type(value), "")
    shown = str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
    return f"{word} {shown}".strip()


# --- values --------------------------------------------------------------------


def _check_values(config: Config, where: str) -> None:
    at_least = {
        "size": (config.size, 1),
        "seed": (config.seed, 0),
        "solver.iterations": (config.solver.iterations, 1),
        "solver.history": (config.solver.history, 1),
        "output.every": (config.output.every, 1),
        "objective.alpha": (config.objective.alpha, 0),
        "objective.beta": (config.objective.beta, 0),
        "objective.tv": (config.objective.tv, 0),
    }
    for key, (value, lowest) in at_least.items():
        if value is not None and value < lowest:
            raise ValueError(f"{where}: {key} must be at least {lowest}, not {value}")
    if config.size > LARGEST:
        raise ValueError(f"{where}: size must be at most {LARGEST}, not {config.size}")
    if config.seed >= 2**32:
        raise ValueError(f"{where}: seed must be below 2**32, not {config.seed}")
    if not config.solver.learning_rate > 0:
        raise ValueError(f"{where}: solver.learning_rate must be above 0")
    if config.objective.alpha == 0 and config.objective.beta == 0:
        raise ValueError(
            f"{where}: objective.alpha and objective.beta are both 0: nothing would "
            "be matched; give one of them a weight"
        )


# --- paths ---------------------------------------------------------------------

_STARTS = ("noise", "content", "style")


def _absolute(tree: dict, folder: Path) -> dict:
    """Paths of a YAML file, relative to its folder, made absolute."""

    def absolute(section: Mapping, key: str, *, words=(), files_only=False):
        value = section.get(key)
        if not isinstance(value, str) or value in words:
            return section
        path = folder / Path(value).expanduser()
        if files_only and not (path.exists() or "/" in value or path.suffix):
            return section  # a name such as vgg19
        return {**section, key: str(path)}

    tree = absolute(tree, "content")
    tree = absolute(tree, "style")
    tree = absolute(tree, "start", words=_STARTS)
    if isinstance(tree.get("network"), dict):
        network = absolute(tree["network"], "weights", files_only=True)
        tree = {**tree, "network": network}
    if isinstance(tree.get("output"), dict):
        tree = {**tree, "output": absolute(tree["output"], "dir")}
    return tree


def _plain(value):
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    return list(value) if isinstance(value, tuple) else value
