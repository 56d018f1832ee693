import math

import pytest

from nst_jax.yamltext import dump_yaml, parse_yaml


def parse(text):
    return parse_yaml(text, where="x.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e+2", -250.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("1.0", 1.0),
        ("12", 12),
        ("-7", -7),
        ("0", 0),
        # Texts, where YAML 1.1 has octal, base 60, hexadecimal and dates.
        ("007", "007"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("e3", "e3"),
        ("1e", "1e"),
        ("'1e3'", "1e3"),
        ("true", True),
        ("null", None),
        ("[a, 1e2]", ["a", 100.0]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    parsed = parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_infinity_and_nan_are_numbers():
    assert parse("-.inf") == -math.inf
    assert math.isnan(parse(".nan"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml, line 3: key a is given twice"),
        ("s:\n  a: 1\n  a: 1", "x.yaml, line 3: key a is given twice"),
        ("a: &b 1\nc: *b", "x.yaml, line 2: aliases"),
        ("a: 1\n---\nb: 2", "expected a single document in the stream but found"),
        ("a: [1", "expected ',' or ']'"),
        ("a: b: c", "mapping values are not allowed here"),
        ("\tsize: 3", "cannot start any token"),
        ("a: \x01", "special characters are not allowed"),
        ("!!int x", "a value that cannot be read"),
        ("!!bool x", "a value that cannot be read"),
        ("!!timestamp x", "a value that cannot be read"),
        ("!!map x", "expected a mapping node"),
        ("!!map [1]", "expected a mapping node"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("9" * 5000, "a value that cannot be read"),
        ("[" * 20000, "nested too deeply"),
        ("? [1]\n: 2", "unhashable"),
    ],
)
def test_bad_yaml_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=r"^x\.yaml") as error:
        parse(text)
    assert message in str(error.value)


def test_a_bomb_of_aliases_is_refused_at_its_first_alias():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 30):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    with pytest.raises(ValueError, match="line 2: aliases"):
        parse("\n".join(lines))


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1e-3, "b": 0.1 + 0.2, "c": 5e-324, "d": 1e22, "e": -0.0},
        {"text": ["1e3", "007", "2024-01-01", "1.5", "true", "", "a: b #c", "*x", "é"]},
        {"none": None, "deep": {"list": [1, 2.0, "x"]}, "half": "\udcff"},
    ],
)
def test_what_is_dumped_reads_back_the_same(value):
    assert parse(dump_yaml(value)) == value


def test_equal_parts_are_dumped_without_aliases():
    part = {"x": 1}
    assert parse(dump_yaml({"a": part, "b": part})) == {"a": part, "b": part}
