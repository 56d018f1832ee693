"""A sweep from a config file and the command line.

``alpha=1e-4,1e-3`` is an axis, ``size=256`` a setting of all lanes, ``samples=8`` an
option. Values are YAML, but those of text keys, such as pictures, are taken as they
are; one with a comma in it is put in double quotes.
"""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nst_jax import config as configs
from nst_jax import fields
from nst_jax.config import Config
from nst_jax.sweep_spec.keys import (
    LAYER_KEYS,
    find_key,
    is_shared,
    is_text,
    layer_weight,
)
from nst_jax.sweep_spec.spec import OPTIONS, Sweep, parse
from nst_jax.yamltext import parse_yaml

WHERE = "command line"


def load(
    path: str | Path, overrides: Sequence[str] = (), *, many: bool = False
) -> tuple[Config, Sweep]:
    """Read a config file and its sweep, with changes from a command line.

    Args:
        path: a YAML file.
        overrides: axes, which replace all of the file's; options; settings.
        many: whether more than 10,000 lanes are meant.

    Raises:
        ValueError: as ``config.load`` and ``parse``.
    """
    settings, rest = split(overrides)
    base = configs.load(path, settings)
    fixed = {text.partition("=")[0] for text in settings}
    return base, read(path, rest, base, fixed=fixed, many=many)


def split(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Settings of all lanes, as ``config.override`` takes them; and axes and options.

    One value is a setting, several are an axis.

    Raises:
        ValueError: for an unknown key, or text that cannot be read.
    """
    settings, rest = [], []
    for text in texts:
        name, value = _halves(text)
        if name in OPTIONS:
            rest.append(text)
            continue
        key = find_key(name, where=fields.short(text))
        values = [] if is_shared(key) else _values(key, value, text)
        if _is_axis(key, values):
            rest.append(text)
        elif layer_weight(key):
            raise ValueError(
                f"{fields.short(text)}: one weight is no axis; give several, or all "
                f"weights as {name.rpartition('.')[0]}={{LAYER: WEIGHT, ...}}"
            )
        else:
            unquoted = is_text(key) and values and values[0] is not None
            settings.append(f"{key}={values[0] if unquoted else value}")
    return settings, rest


def read(
    path: str | Path | None,
    texts: Sequence[str],
    base: Config,
    *,
    fixed: Collection[str] = (),
    many: bool = False,
) -> Sweep:
    """The sweep of a file, unless the texts have axes of their own.

    Args:
        path: a YAML file that ``base`` was loaded from, or None.
        texts: axes, which replace all of the file's, and options.
        base: what all lanes have in common.
        fixed: keys that were set for all lanes, and so cannot be axes.
        many: whether more than 10,000 lanes are meant.

    Raises:
        ValueError: as ``parse``; for an axis that is fixed.
    """
    options = _tree([text for text in texts if _halves(text)[0] in OPTIONS])
    if path is None or len(options) < len(texts):
        sweep = from_command_line(texts, base, many=many)
    else:
        # It was read before, and so it is there, and YAML.
        text = Path(path).read_text(encoding="utf-8")
        tree = (parse_yaml(text, where=str(path)) or {}).get("sweep")
        if isinstance(tree, dict):
            tree = {**tree, **options}
        where, folder = f"{path}: sweep", Path(path).resolve().parent
        sweep = parse(tree, base, where=where, folder=folder, many=many)
    for axis in sweep.axes:
        if axis.key in fixed:
            raise ValueError(
                f"{axis.name} has one value on the command line, but it is an axis of "
                "the sweep: give several, which replace all axes of the file"
            )
    return sweep


def from_command_line(
    texts: Sequence[str], base: Config, *, many: bool = False
) -> Sweep:
    """A sweep from texts such as ``alpha=1e-4,1e-3`` and ``combine=zip``.

    Raises:
        ValueError: as ``parse``.
    """
    return parse(_tree(texts), base, where=WHERE, many=many)


def _tree(texts: Sequence[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for text in texts:
        name, value = _halves(text)
        if name in tree:
            raise ValueError(f"{fields.short(text)}: {name} is given twice")
        if name in OPTIONS:
            tree[name] = parse_yaml(value, where=fields.short(text))
            continue
        values = _values(find_key(name, where=fields.short(text)), value, text)
        # {log: [1e-5, 1e-1, 9]} and {A: [conv1_1], ...} are axes by themselves.
        is_mapping = len(values) == 1 and isinstance(values[0], dict)
        tree[name] = values[0] if is_mapping else values
    return tree


def _halves(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(
            f"{fields.short(text)}: expected an axis, as alpha=1e-4,1e-3, or a "
            "setting, as size=256"
        )
    return name.strip(), value


def _values(key: str, value: str, text: str) -> list[Any]:
    """The values between the commas."""
    where = fields.short(text)
    if not is_text(key):
        return parse_yaml(f"[{value}]", where=where)
    try:
        (values,) = csv.reader([value], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{where}: quotes or lines that do not end") from error
    # As in settings, null leaves a key to the preset.
    return [None if one in ("null", "~") else one for one in values]


def _is_axis(key: str, values: Sequence[Any]) -> bool:
    if len(values) != 1 or not isinstance(values[0], dict):
        return len(values) > 1
    # {conv1_1: 0.5} are the layers of all lanes, {A: [conv1_1]} is an axis.
    weights = values[0].values()
    numbers = all(isinstance(weight, int | float) for weight in weights)
    return not (key in LAYER_KEYS and numbers)
