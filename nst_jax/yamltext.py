"""YAML text <-> plain values, without the two traps of YAML 1.1 readers.

PyYAML reads ``1e-3`` as a string (YAML 1.1 wants ``1.0e-3``) and keeps the last of
two equal keys without a word. Here the first is a number, the second an error.
"""

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-3 as a number and refuses a key given twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {', '.join(twice)} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 wants a dot and a signed exponent in a float (1.0e-3); YAML 1.2 does not.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$|[-+]?\.\d+[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, *, where: str) -> Any:
    """Parse YAML text; ``1e-3`` is a number.

    Raises:
        ValueError: with the line, if it is no YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ValueError(f"{where}{line}: {problem}") from error
    except RecursionError as error:
        raise ValueError(f"{where}: nested too deeply") from error


def dump_yaml(value: Any) -> str:
    """Plain values as YAML text, keys in their order, which ``parse_yaml`` reads back.

    Floats are written so that they read back to the same bits.
    """
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
