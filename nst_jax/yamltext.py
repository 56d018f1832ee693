"""YAML text <-> plain values, without the traps of YAML 1.1 readers.

PyYAML reads ``1e-3`` as a string, ``1:30`` as 90, ``007`` as 7 and ``2024-01-01`` as
a date, and keeps the last of two equal keys without a word. Here numbers are written
as in YAML 1.2, there are no dates, and a key given twice is an error. So is an alias
(``*name``): a few lines of them may stand for gigabytes.
"""

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_LEFT_OUT = (*_NUMBER_TAGS, "tag:yaml.org,2002:timestamp")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the numbers of YAML 1.2; refuses aliases and double keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_OUT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ComposerError(
                None, None, "aliases (*name) are not allowed here", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        if isinstance(node, yaml.MappingNode):
            keys = []
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if key in keys:
                    raise ConstructorError(
                        None, None, f"key {key} is given twice", key_node.start_mark
                    )
                keys.append(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that never writes aliases, which the loader refuses."""

    def ignore_aliases(self, data) -> bool:
        return True


_INT = r"[-+]?(0|[1-9]\d*)$"
_FLOAT = (
    r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?$|[-+]?\d+[eE][-+]?\d+$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
for _tag, _pattern in zip(_NUMBER_TAGS, (_INT, _FLOAT), strict=True):
    # The dumper must know them too, to put quotes around texts that look like them.
    for _end in (_Loader, _Dumper):
        _end.add_implicit_resolver(_tag, re.compile(_pattern), list("-+.0123456789"))


def parse_yaml(text: str, *, where: str) -> Any:
    """Parse YAML text; ``1e-3`` is a number.

    Raises:
        ValueError: with the line, if it is no YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and "\n" in text else ""
        raise ValueError(f"{where}{line}: {_problem(error)}") from error
    except RecursionError as error:
        raise ValueError(f"{where}: nested too deeply") from error
    # A tag on a value that does not fit it, as in `!!int x`: PyYAML lets through
    # whatever the conversion raises.
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: a value that cannot be read") from error


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    if problem and problem.startswith("but "):  # the rest of a sentence
        problem = f"{getattr(error, 'context', '')} {problem}"
    return problem or "not valid YAML"


def dump_yaml(value: Any) -> str:
    """Plain values as YAML text, keys in their order, which ``parse_yaml`` reads back.

    Floats are written so that they read back to the same bits.
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
