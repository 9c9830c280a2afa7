"""Reading SodaCL documents: which checks does a text declare?

The checks are counted here, from the YAML itself, because the engine drops what it
cannot parse. Only ``checks for DATASET:`` sections are accepted, each item with a unique ``name:``.
The files stay plain SodaCL; severity is the attribute of that name:

    checks for staged:
      - missing_count(order_id) = 0:
          name: order_id is given
          attributes: {severity: high}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from checks import yaml_text
from checks.names import named

_HEADER = re.compile(r"checks for ([A-Za-z_]\w*)", re.ASCII)
_VARIABLE = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}", re.ASCII)
_THRESHOLD = re.compile(r"\s(?:=|!=|<>|<=|>=|<|>|between\b|not between\b).*$")
# Values are pasted into SQL by the engine: timestamps, numbers and names, but no quotes.
_PLAIN_VALUE = re.compile(r"[\w.:+\- ]*", re.ASCII)
_CONFIGURED_ELSEWHERE = frozenset({"samples limit", "samples columns"})


class CheckDefinitionError(ValueError):
    """A check document is missing, unreadable, or declares something that cannot be counted."""


class Severity(StrEnum):
    """How much a check counts in a data-quality score."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def weight(self) -> int:
        """Weight in a score: 1, 2 or 3."""
        return {"low": 1, "medium": 2, "high": 3}[self.value]


@dataclass(frozen=True)
class DeclaredCheck:
    """One item of a ``checks for DATASET:`` section.

    Attributes:
        name: Unique within its suite.
        dataset: The view it is evaluated on.
        line: The SodaCL line, for example ``missing_count(order_id) = 0``.
        config: What is nested below the line, without name and attributes.
        severity: From ``attributes: {severity: ...}``, medium where none is given.
        source: The document and position it was read from.
    """

    name: str
    dataset: str
    line: str
    config: Mapping[str, Any]
    severity: Severity
    source: str

    @property
    def definition(self) -> str:
        """The check as one line of YAML, variables unresolved."""
        if not self.config:
            return self.line
        nested = yaml.safe_dump(
            dict(self.config), default_flow_style=True, sort_keys=False, width=2**31
        )
        return f"{self.line}: {nested.strip()}"

    @property
    def threshold(self) -> str | None:
        """What the check asks for in words, or None where it has no threshold (schema)."""
        limits = [
            f"{outcome} {condition}"
            for outcome in ("warn", "fail")
            if isinstance(condition := self.config.get(outcome), str)
        ]
        if limits:
            return ", ".join(limits)
        if found := _THRESHOLD.search(self.line):
            return found[0].strip()
        implied = self.line == "failed rows" or " must " in self.line or " same as " in self.line
        return "= 0" if implied else None

    @property
    def can_fail(self) -> bool:
        """False for a check that declares a warn condition and nothing else."""
        inline = _THRESHOLD.search(self.line) is not None
        return inline or "fail" in self.config or "warn" not in self.config

    def resolved(self, variables: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        """The line and its configuration with every ``${name}`` replaced.

        Raises:
            CheckDefinitionError: A variable is not among ``variables``.
        """

        def given(match: re.Match[str]) -> str:
            if match[1] not in variables:
                known = ", ".join(sorted(variables)) or "none"
                message = f"variable {match[1]!r} is not given; known here: {known}"
                raise CheckDefinitionError(message)
            return variables[match[1]]

        def replaced(text: str) -> str:
            return _VARIABLE.sub(given, text)

        return replaced(self.line), _map_texts(dict(self.config), replaced)


def parse_checks(source: str, text: str) -> tuple[DeclaredCheck, ...]:
    """Read the checks that a SodaCL document declares.

    Args:
        source: Name of the document for messages, usually its file.
        text: The document.

    Raises:
        CheckDefinitionError: Not YAML, a key twice, a section other than ``checks for DATASET:``,
            an item without name or with several keys, an unknown severity, or no check at all.
    """
    try:
        document, lines = yaml_text.read(text)
    except yaml.YAMLError as error:
        message = f"{source}: not readable as YAML: {error}"
        raise CheckDefinitionError(message) from error
    if not isinstance(document, dict) or not document:
        message = f"{source}: declares no checks; write at least one 'checks for DATASET:' section"
        raise CheckDefinitionError(message)
    checks = []
    for header, items in document.items():
        line, *at = lines[header] if isinstance(header, str) else [1]
        where = f"{source}:{line}"
        found = _HEADER.fullmatch(str(header))
        if found is None:
            message = (
                f"{where}: section {header!r} is not supported; write 'checks for DATASET:' with "
                "the name of a view, and filters and valid values inside the check"
            )
            raise CheckDefinitionError(message)
        if not isinstance(items, list) or not items:
            message = f"{where}: section {header!r} must be a list of at least one check"
            raise CheckDefinitionError(message)
        checks += [
            _read_item(item, found[1], f"{source}:{at[place]}: {header}, item {place + 1}")
            for place, item in enumerate(items)
        ]
    return tuple(checks)


def refuse_unsafe_values(variables: Mapping[str, str]) -> None:
    """Refuse variable values that could change the SQL they are pasted into.

    Raises:
        ValueError: A value holds anything but letters, digits, spaces and ``_ . : + -``.
    """
    for name, value in variables.items():
        if not _PLAIN_VALUE.fullmatch(value):
            message = (
                f"check variable {name!r} has the value {value!r}; only letters, digits, spaces "
                "and _ . : + - are allowed"
            )
            raise ValueError(message)


def _read_item(item: object, dataset: str, where: str) -> DeclaredCheck:
    if not isinstance(item, dict) or len(item) != 1:
        hint = (
            "it has several keys: indent the configuration below the check"
            if (isinstance(item, dict))
            else "write '- CHECK:' with a nested 'name:'"
        )
        message = f"{where}: {str(item)[:80]!r} is not a named check; {hint}"
        raise CheckDefinitionError(message)
    line, config = next(iter(item.items()))
    if not isinstance(line, str) or not isinstance(config, dict):
        message = f"{where}: {str(line)!r} needs a nested configuration with a 'name:'"
        raise CheckDefinitionError(message)
    name = config.get("name")
    if not isinstance(name, str) or not name.strip() or "${" in name:
        message = f"{where}: {line!r} has no usable name ({name!r}); add 'name:' with a fixed text"
        raise CheckDefinitionError(message)
    kept = {
        key: value
        for key, value in config.items()
        if key not in {"name", "attributes"} | _CONFIGURED_ELSEWHERE
    }
    _map_texts({line: kept}, lambda text: _refuse_templates(text, where))
    _refuse_names(line.strip(), where)
    severity = _severity(config.get("attributes"), where)
    return DeclaredCheck(name.strip(), dataset, line.strip(), kept, severity, where)


def _refuse_templates(text: str, where: str) -> str:
    if "${" in _VARIABLE.sub("", text):
        message = f"{where}: {text!r} holds a template; only ${{name}} of a given variable is known"
        raise CheckDefinitionError(message)
    return text


def _refuse_names(line: str, where: str) -> None:
    try:
        named(line)
    except ValueError as error:
        raise CheckDefinitionError(f"{where}: {line!r}: {error}") from None


def _severity(attributes: object, where: str) -> Severity:
    given = attributes.get("severity") if isinstance(attributes, dict) else None
    if given is None:
        return Severity.MEDIUM
    if given not in [str(known) for known in Severity]:
        message = f"{where}: severity {given!r} is unknown; choose from {', '.join(Severity)}"
        raise CheckDefinitionError(message)
    return Severity(given)


def _map_texts(node: Any, change: Callable[[str], str]) -> Any:
    if isinstance(node, str):
        return change(node)
    if isinstance(node, dict):
        return {_map_texts(key, change): _map_texts(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_map_texts(value, change) for value in node]
    return node
