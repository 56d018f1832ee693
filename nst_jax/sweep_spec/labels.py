"""Short texts for the values of a sweep's axis: on sheets, in tables, on plots.

Different values of an axis get different labels.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from pathlib import PurePath
from typing import Any

UNSET = "default"  # a key left to the preset or the weights


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """A label for each value of an axis, which differ from each other.

    Args:
        values: numbers, words, layers as the config holds them, or None.
    """
    if any(isinstance(value, float) for value in values):
        return _number_labels(values)
    return tuple(_text(value) for value in values)


def path_labels(values: Sequence[str | None]) -> tuple[str, ...]:
    """Names of files without folder and ending; more of the path where they clash.

    Args:
        values: paths, or words such as "noise", or None; all different.
    """
    paths = [PurePath(UNSET if value is None else value) for value in values]
    bare = Counter(path.with_suffix("") for path in paths if path.name)
    ends = [
        path.with_suffix("") if path.name and bare[path.with_suffix("")] == 1 else path
        for path in paths
    ]
    found: dict[int, str] = {}
    for parts in count(1):
        tails = ["/".join(end.parts[-parts:]) for end in ends]
        often = Counter(tails)
        for index, tail in enumerate(tails):
            if often[tail] == 1:
                found.setdefault(index, tail)
        if len(found) == len(ends) or parts > max(len(end.parts) for end in ends):
            return tuple(found.get(i, str(values[i])) for i in range(len(ends)))
    raise AssertionError("count has no end")


def _text(value: Any) -> str:
    if value is None:
        return UNSET
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        weights = [f"{_repr(weight)} {layer}" for layer, weight in value.items()]
        return " + ".join(weights) or "none"
    if isinstance(value, tuple):
        return " + ".join(str(item) for item in value) or "none"
    return str(value)


def _repr(number: float) -> str:
    return repr(number).removesuffix(".0")


def _number_labels(values: Sequence[float | None]) -> tuple[str, ...]:
    """All plain (0.5, 1) or all with exponents (1e-3, 1e-2), whichever is shorter."""
    for digits in (4, 8, 17):
        plain = tuple(_plain(value, digits) for value in values)
        powers = tuple(_power(value, digits) for value in values)
        if len(set(plain)) == len(set(values)):
            break
    return min(plain, powers, key=lambda texts: sum(map(len, texts)))


def _plain(value: float | None, digits: int) -> str:
    if value is None:
        return UNSET
    text = f"{Decimal(f'{value:.{digits - 1}e}'):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _power(value: float | None, digits: int) -> str:
    if not value:
        return _plain(value, digits)
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(power)}"
