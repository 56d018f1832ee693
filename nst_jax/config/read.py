"""YAML files, overrides and flags -> config."""

import dataclasses
import os
import typing
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nst_jax import fields
from nst_jax.config.records import Config, Mask
from nst_jax.config.tree import from_tree
from nst_jax.yamltext import parse_yaml

CONFIG_BYTES = 2**20


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
    config = from_tree(absolute(tree, path.resolve().parent), where=str(path))
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
    return str in (hint, *typing.get_args(hint)) and hint != Mask | None


# --- paths ---------------------------------------------------------------------

_STARTS = ("noise", "content", "content-recoloured", "style")


def absolute(tree: dict, folder: Path) -> dict:
    """A file's keys and values, paths relative to its folder made absolute."""

    def made(section: dict, key: str, *, words=(), files_only=False) -> dict:
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

    tree = made(tree, "content")
    tree = made(tree, "style")
    tree = made(tree, "start", words=_STARTS)
    if isinstance(tree.get("styles"), list):
        styles = [
            made(one, "picture") if isinstance(one, dict)
            else made({"picture": one}, "picture")
            for one in tree["styles"]
        ]  # fmt: skip
        tree = {**tree, "styles": styles}
    if isinstance(tree.get("regions"), dict):
        regions = tree["regions"]
        for key in ("content", "style", "styles"):
            words = ("alpha",) if key == "content" else ()
            regions = {**regions, **_masks(regions, key, partial(made, words=words))}
        tree = {**tree, "regions": regions}
    if isinstance(tree.get("network"), dict):
        network = made(tree["network"], "weights", files_only=True)
        tree = {**tree, "network": network}
    if isinstance(tree.get("output"), dict):
        tree = {**tree, "output": made(tree["output"], "dir")}
    return tree


def _masks(section: dict, key: str, made: Callable[..., dict]) -> dict:
    """A key of masks, which may be lists of lists, with its paths made absolute."""

    def whole(value):
        if isinstance(value, list):
            return [whole(item) for item in value]
        return made({key: value}, key)[key]

    return {key: whole(section[key])} if key in section else {}
