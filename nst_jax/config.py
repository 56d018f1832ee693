"""The configuration: YAML and ``section.key=value`` overrides -> frozen dataclasses.

Defaults stand here and nowhere else; ``None`` means "as the preset says" or "as the
weights say". Precedence: default < YAML < override. Unknown keys are errors with the
nearest known one. Never imports jax, so that ``--help`` and mistakes are quick.
"""

import dataclasses
import difflib
import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nst_jax import fields
from nst_jax.yamltext import dump_yaml, parse_yaml

# A list of layers is averaged; a mapping layer: weight is used as given.
Layers = tuple[str, ...] | dict[str, float]
# Longer sides from coarse to fine; "auto" halves the size again and again, "sqrt2"
# divides it by the square root of 2.
Scales = Literal["auto", "sqrt2"] | tuple[int, ...]


@dataclass(frozen=True)
class NetworkConfig:
    """Which network the losses see."""

    name: Literal["vgg16", "vgg19"] | None = None  # None: as the weights say
    # auto: vgg19 if it is here, else the small network that comes with the package;
    # or a name, a file, or "random"
    weights: str = "auto"
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
    precision: Literal["default", "float32", "bfloat16"] = "default"
    scale_iterations: tuple[int, ...] | None = None  # of each scale; None: iterations
    tolerance: float | None = None  # ends when the loss fell by less, relatively, ...
    window: int = 50  # ... within so many iterations
    minutes: float | None = None  # ends after them
    memory: Literal["auto", "fast", "low"] = "auto"  # low computes blocks twice
    checkpoint_seconds: float = 60.0  # between checkpoints; 0: none


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
    scales: Scales | None = None  # coarse to fine; None: one scale
    # noise, content, content-recoloured, style, or a picture file
    start: str | None = None
    device: str | None = None  # cpu, gpu, tpu; None: the best there is
    compile_cache: bool = True  # keep compiled programs for the next run
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    output: OutputConfig = field(default_factory=OutputConfig)


LARGEST = 2**15  # pixels of a side
MOST_ITERATIONS = 10**6
# Weights reach the device as float32, and are multiplied with losses there.
WEIGHT_RANGE = (1e-30, 1e30)
CONFIG_BYTES = 2**20
MOST_SCALES = 16
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
    tree = parse_yaml(_read(path), where=str(path))
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: expected keys and values, not {fields.kind(tree)}")
    config = from_tree(_absolute(tree, path.resolve().parent), where=str(path))
    return override(config, overrides)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES + 1)
        if len(data) > CONFIG_BYTES:
            raise ValueError(f"{path}: too large for a config, which is YAML text")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ValueError(f"{path}: cannot be read ({reason})") from error


def override(config: Config, overrides: Sequence[str]) -> Config:
    """Apply overrides such as ``objective.alpha=1e-2`` or ``size=256``, in order.

    Values are YAML, but text for a text key is taken as it is: a file may be called
    "1e3" or "a: b #1.png". No value, or null, unsets a key.

    Raises:
        ValueError: as ``load``.
    """
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ValueError(
                f"{fields.short(text)}: expected section.key=value; pictures are given "
                "with --content and --style"
            )
        where = fields.short(text)
        unset = value.strip() in ("", "null", "~")
        tree: Any = None
        if not unset:
            tree = value if _is_text(parts) else parse_yaml(value, where=where)
        for part in reversed(parts):
            tree = {part: tree}
        config = from_tree(tree, base=config, where=where)
    return config


def set_text(config: Config, key: str, value: str, *, where: str) -> Config:
    """Set one key from the text of a command-line flag.

    As in ``override``, text for a text key is taken as it is.

    Raises:
        ValueError: as ``load``.
    """
    parts = key.split(".")
    tree: Any = value if _is_text(parts) else parse_yaml(value, where=where)
    for part in reversed(parts):
        tree = {part: tree}
    return from_tree(tree, base=config, where=where)


def _is_text(parts: Sequence[str]) -> bool:
    """Whether a key holds free text."""
    hint: Any = Config
    for part in parts:
        if not dataclasses.is_dataclass(hint):
            return False
        hint = typing.get_type_hints(hint).get(part)
    return str in (hint, *typing.get_args(hint))


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
    if hint == Scales | None:
        words = Literal["auto", "sqrt2"] | None
        if value is None or isinstance(value, str):
            return fields.convert(value, words, where=where)
        return _whole_numbers(value, where)
    if hint == tuple[int, ...] | None:
        return None if value is None else _whole_numbers(value, where)
    return fields.convert(value, hint, where=where)


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
    _check_weight(weight, where)
    return weight


# --- values --------------------------------------------------------------------


def _check_values(config: Config, where: str) -> None:
    solver, objective = config.solver, config.objective
    limits = {
        "size": (config.size, 1, LARGEST),
        "seed": (config.seed, 0, 2**32 - 1),
        "solver.iterations": (solver.iterations, 1, MOST_ITERATIONS),
        "solver.history": (solver.history, 1, MOST_ITERATIONS),
        "solver.window": (solver.window, 1, MOST_ITERATIONS),
        "solver.checkpoint_seconds": (solver.checkpoint_seconds, 0, 1e9),
        "output.every": (config.output.every, 1, MOST_ITERATIONS),
    }
    for key, (value, lowest, highest) in limits.items():
        if value is not None and not lowest <= value <= highest:
            raise ValueError(
                f"{where}: {key} must be from {lowest} to {highest}, not "
                f"{fields.short(value)}"
            )
    for key in ("tolerance", "minutes"):
        if (value := getattr(solver, key)) is not None and not 0 < value <= 1e9:
            raise ValueError(
                f"{where}: solver.{key} must be above 0 and at most 1e9, not {value:g}"
            )
    _check_scales(config, where)
    for key in ("alpha", "beta", "tv"):
        if (weight := getattr(objective, key)) is not None:
            _check_weight(weight, f"{where}: objective.{key}")
    if not 0 < solver.learning_rate <= 1e3 or solver.learning_rate < WEIGHT_RANGE[0]:
        raise ValueError(
            f"{where}: solver.learning_rate must be above 0 and at most 1000, not "
            f"{solver.learning_rate:g}"
        )


def _check_scales(config: Config, where: str) -> None:
    """Each list by itself; together, and with the size, they are checked in a run."""
    scales, iterations = config.scales, config.solver.scale_iterations
    if isinstance(scales, tuple) and (
        sorted(set(scales)) != list(scales) or not 1 <= scales[0] <= LARGEST
    ):
        raise ValueError(f"{where}: scales must be positive and grow, not {scales}")
    if iterations and not all(1 <= n <= MOST_ITERATIONS for n in iterations):
        raise ValueError(f"{where}: solver.scale_iterations must be from 1 up")


def _check_weight(weight: float, where: str) -> None:
    lowest, highest = WEIGHT_RANGE
    if weight != 0 and not lowest <= weight <= highest:
        raise ValueError(
            f"{where}: a weight must be 0 or from {lowest:g} to {highest:g}, not "
            f"{weight:g}"
        )


# --- paths ---------------------------------------------------------------------

_STARTS = ("noise", "content", "content-recoloured", "style")


def _absolute(tree: dict, folder: Path) -> dict:
    """Paths of a YAML file, relative to its folder, made absolute."""

    def absolute(section: dict, key: str, *, words=(), files_only=False) -> dict:
        value = section.get(key)
        # 2024 is a folder's name here, read as a number.
        if isinstance(value, bool) or not isinstance(value, str | int):
            return section
        value = str(value)
        if value in ("", *words) or "\0" in value:
            return section
        path = folder / os.path.expanduser(value)
        if files_only and not (path.is_file() or "/" in value or path.suffix):
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
