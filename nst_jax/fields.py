"""One value of a config file -> the type that its key asks for, or a clear error."""

import math
import numbers
import os
import types
import typing
from typing import Any, Literal

_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}
# NumPy's numbers count as numbers; bools, which Python takes for integers, do not.
_KINDS = {bool: bool, int: numbers.Integral, float: numbers.Real}


def convert(value: Any, hint: Any, *, where: str) -> Any:
    """``value`` as the type ``hint``: text, a number, a bool, a choice, or None.

    Args:
        value: as it was read.
        hint: str, int, float, bool, a Literal, or one of these ``| None``.
        where: what an error starts with: the file and the key.

    Raises:
        ValueError: if it is not of that type.
    """
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = [arm for arm in typing.get_args(hint) if arm is not type(None)]
    if typing.get_origin(hint) is Literal:
        return _choice(value, typing.get_args(hint), where)
    if hint is str:
        return text(value, where=where)
    return number(value, hint, where=where)


def number(value: Any, hint: type, *, where: str) -> Any:
    """``value`` as a bool, an int or a finite float; no other kind of it will do.

    Raises:
        ValueError: if it is none.
    """
    is_bool = isinstance(value, bool)
    if not isinstance(value, _KINDS[hint]) or is_bool != (hint is bool):
        raise ValueError(f"{where}: expected {_WORDS[hint]}, not {kind(value)}")
    try:
        value = hint(value)
    except OverflowError:  # a whole number of hundreds of digits, as a float
        value = math.inf
    if hint is float and not math.isfinite(value):
        raise ValueError(f"{where}: {value} is not a finite number")
    return value


def text(value: Any, *, where: str) -> str:
    """``value`` as text that is not empty; paths and whole numbers are text too.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    # A folder may be called 2024, which YAML reads as a number. 1.50 would become 1.5.
    if isinstance(value, bool) or not isinstance(value, str | int):
        quotes = "; put it in quotes" if isinstance(value, float) else ""
        raise ValueError(f"{where}: expected text, not {kind(value)}{quotes}")
    if value == "" or "\0" in str(value):
        raise ValueError(f"{where}: expected text, not {value!r}")
    return str(value)


def kind(value: Any) -> str:
    """A value in words, for messages: "a list [1, 2]"."""
    if value is None:
        return "nothing"
    words = {list: "a list", dict: "a mapping", str: "the text"}
    return f"{words.get(type(value), '')} {short(value)}".strip()


def short(value: Any) -> str:
    """The start of a value's text, for messages."""
    try:
        shown = str(value)
    except ValueError:  # Python does not print numbers of thousands of digits
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _choice(value: Any, choices: tuple, where: str) -> Any:
    if value not in choices:
        allowed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{where}: expected one of {allowed}, not {kind(value)}")
    return value
