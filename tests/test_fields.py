import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from nst_jax.fields import convert, short


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (np.int64(3), int, 3),
        (3, float, 3.0),
        (np.float32(0.5), float, 0.5),
        (True, bool, True),
        ("x", str, "x"),
        (2024, str, "2024"),
        (Path("a/b"), str, str(Path("a/b"))),
        (None, str | None, None),
        ("avg", Literal["avg", "max"] | None, "avg"),
    ],
)
def test_values_of_the_right_kind_are_taken(value, hint, expected):
    converted = convert(value, hint, where="size")
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (3.0, int, "expected a whole number, not 3.0"),
        (True, int, "expected a whole number, not True"),
        ("3", int, "expected a whole number, not the text 3"),
        ([1], float, r"expected a number, not a list \[1\]"),
        (True, float, "expected a number, not True"),
        (None, float, "expected a number, not nothing"),
        (math.nan, float, "nan is not a finite number"),
        (-math.inf, float, "-inf is not a finite number"),
        (10**400, float, "inf is not a finite number"),
        (1, bool, "expected true or false, not 1"),
        (1.5, str, "expected text, not 1.5; put it in quotes"),
        (True, str, "expected text, not True"),
        ("", str, "expected text, not ''"),
        ("a\0b", str, r"expected text, not 'a\\x00b'"),
        ({"a": 1}, str, "expected text, not a mapping"),
        ("mean", Literal["avg", "max"], "expected one of avg, max, not the text mean"),
        ([1], Literal["avg", "max"], "expected one of avg, max, not a list"),
    ],
)
def test_values_of_another_kind_are_refused_with_their_place(value, hint, message):
    with pytest.raises(ValueError, match=f"^a.yaml: size: {message}"):
        convert(value, hint, where="a.yaml: size")


def test_long_values_are_cut_in_messages():
    assert short("x" * 61) == "x" * 57 + "..."
    assert short("x" * 60) == "x" * 60
    assert len(short(10**5000)) <= 60
