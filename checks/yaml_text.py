"""YAML as SodaCL means it, version 1.2: `yes` and `24:00:00` are texts, `1e3` and `010` are numbers.

PyYAML itself knows version 1.1 only, in which these four are something else.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_TYPES = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "timestamp": (
        r"\d{4}-\d\d-\d\d"
        r"|\d{4}-\d\d?-\d\d?([Tt]|[ \t]+)\d\d?:\d\d:\d\d(\.\d*)?([ \t]*(Z|[-+]\d\d?(:\d\d)?))?",
        "0123456789",
    ),
    "merge": (r"<<", "<"),
}
"""The pattern of each type of a plain scalar, and the characters that one can begin with."""


def read(text: str) -> tuple[Any, dict[str, list[int]]]:
    """The value of a document, and of a mapping the line, from 1, of each key and of list items below it.

    Raises:
        yaml.YAMLError: It is not YAML, or a mapping has a key twice.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return (None if root is None else loader.construct_document(root)), _lines(root)
    finally:
        loader.dispose()


def _lines(root: yaml.Node | None) -> dict[str, list[int]]:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return {
        key.value: [node.start_mark.line + 1 for node in (key, *_items(below))]
        for key, below in pairs
    }


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def written(document: Any) -> str:
    """The document as YAML in which every text is quoted, so that each version reads the same."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)


class _Loader(yaml.SafeLoader):
    """Reads YAML 1.2, and refuses a key that is given twice instead of keeping the last."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """Quotes texts, and writes what occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Hashable] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            problem = f"the key {key!r} is given twice"
            raise yaml.constructor.ConstructorError(
                problem=problem, problem_mark=key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text[1:2] in ("o", "x") else int(text)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"{_TAG}str", text, style='"')


for _kind, (_pattern, _first) in _TYPES.items():
    _begins = [sign if sign != "\0" else "" for sign in _first]
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), _begins)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
_Loader.add_constructor(f"{_TAG}int", _int)
_Dumper.add_representer(str, _text)
