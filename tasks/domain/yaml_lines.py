"""YAML with the line of each key: where in its file a value stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

_WORD = re.compile(r"[\w.]+")


def shown(file: Path) -> str:
    """The path as a person would type it: from the working directory where it is below that."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def read(file: Path) -> yaml.Node | None:
    """The nodes of a file's document, each with its place; None for an empty one.

    Raises:
        OSError: The file cannot be read.
        yaml.YAMLError: It is not readable as YAML.
    """
    return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)


def unreadable(error: Exception) -> tuple[int, str]:
    """The line that a file is not readable at, from 1, and why: of an error of YAML or of reading."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    return (mark.line + 1 if mark is not None else 1), f"not readable as YAML: {reason}"


def line_of(node: yaml.Node | None) -> int:
    """The line that a node starts in, from 1."""
    return node.start_mark.line + 1 if node is not None else 1


@dataclass(frozen=True)
class Lines:
    """The lines of a file's keys."""

    root: yaml.Node | None

    def at(self, path: str | Sequence[str], near: str = "") -> int:
        """The line of the deepest key of a path that the file has, from 1.

        Args:
            path: Keys; as one text separated by dots, which keys may hold themselves.
            near: Text whose first word that stands as key or value below the path moves the line there.
        """
        wanted = ".".join(path) if not isinstance(path, str) else path
        node, line = self.root, 1
        while wanted and isinstance(node, yaml.MappingNode):
            below = _longest(node, wanted)
            if below is None:
                return line
            key, node = below
            line, wanted = line_of(key), wanted[len(key.value) + 1 :]
        return line if wanted else _line_near(node, near, line)


def _longest(node: yaml.MappingNode, wanted: str) -> tuple[yaml.ScalarNode, yaml.Node] | None:
    """The entry whose key is the longest that the path begins with."""
    found = [
        (key, value)
        for key, value in node.value
        if isinstance(key, yaml.ScalarNode) and f"{wanted}.".startswith(f"{key.value}.")
    ]
    return max(found, key=lambda entry: len(entry[0].value), default=None)


def _line_near(node: yaml.Node | None, near: str, line: int) -> int:
    """Values go before keys, whose names are often plain words."""
    words = _WORD.findall(near)
    values, keys = _scalars(node)
    for scalars in (values, keys):
        places = {scalar.value: line_of(scalar) for scalar in reversed(scalars)}
        found = [places[word] for word in words if word in places]
        if found:
            return found[0]
    return line


def _scalars(node: yaml.Node | None) -> tuple[list[yaml.ScalarNode], list[yaml.ScalarNode]]:
    """Values and keys below a node."""
    if isinstance(node, yaml.ScalarNode):
        return [node], []
    below: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else []
    keys: list[yaml.ScalarNode] = []
    if isinstance(node, yaml.MappingNode):
        below = [value for _, value in node.value]
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    parts = [_scalars(part) for part in below]
    return [v for values, _ in parts for v in values], keys + [k for _, ks in parts for k in ks]
