"""Checks against the tables that they look at: files, views, columns, SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from checks.model import CheckDefinitionError, CheckSuite, DeclaredCheck
from checks.names import named
from storage.schemas import named_types, schema
from storage.types import TableRef
from tasks.authoring.inspection.analyzer import Fail, Inspection
from tasks.domain.spec import EVENTS, dependencies
from tasks.domain.yaml_lines import line_of, read

VARIABLES = {"as_of": "2000-01-01 00:00:00", "expected_rows": "1"}
"""Stand-ins for what the gate gives; see the reference of checks."""
VOLUME = {"input_rows": "double", "output_rows": "double", "ratio": "double"}
_AT = re.compile(r":(\d+): (.*)", re.DOTALL)
_LINE = re.compile(r"line (\d+), column")


@dataclass(frozen=True)
class _Place:
    """A check in its file: the line of its item, and the nodes of what is nested below it."""

    line: int
    nested: Mapping[str, yaml.Node]


def look(inspection: Inspection) -> None:
    """Add tables without checks, and checks that name what is not there."""
    for label, inputs in dependencies(inspection.domain).items():
        ref = inspection.domain.ref(label)
        root = Path(inspection.domain.roots.checks)
        file = root / ref.layer / f"{ref.name}.yml"
        if ref.name.endswith(EVENTS) and not file.is_file():
            continue  # the history made of the events has the checks
        try:
            suite = CheckSuite.load(root, ref.layer, ref.name)
        except CheckDefinitionError as error:
            _unreadable(inspection, ref, file, str(error))
            continue
        if inspection.complete(label):
            _suite(inspection, ref, file, suite, inputs)


def _unreadable(inspection: Inspection, ref: TableRef, file: Path, text: str) -> None:
    if not file.is_file():
        inspection.found.error(f"domain.{ref.label}", f"has no checks; write them in {file}")
        return
    item, of_yaml = _AT.match(text.removeprefix(str(file))), _LINE.search(text)
    line = item[1] if item else of_yaml[1] if of_yaml else "1"
    first = item[2] if item else text.removeprefix(f"{file}: ")
    inspection.found.error_at(file, int(line), "", first.splitlines()[0])


def _places(file: Path) -> list[tuple[str, _Place]]:
    """The place of each item with the view of its section, in their order."""
    try:
        root = read(file)
    except yaml.YAMLError:
        return []
    return [
        (header.value.removeprefix("checks for "), _place(item))
        for header, items in _pairs(root)
        if isinstance(items, yaml.SequenceNode)
        for item in items.value
    ]


def _place(item: yaml.Node) -> _Place:
    nested = {key.value: value for _, below in _pairs(item) for key, value in _pairs(below)}
    return _Place(line_of(item), nested)


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _suite(
    inspection: Inspection, ref: TableRef, file: Path, suite: CheckSuite, inputs: Iterable[str]
) -> None:
    own = inspection.schemas[ref.label]
    views = {name: inspection.view(name, own) for name in ("staged", "result")}
    for label in inputs:
        if inspection.complete(label):
            view = inspection.domain.ref(label).view
            views[view] = inspection.session.table(view)
    if inspection.domain.spec(ref).volume is not None:
        views["volume"] = inspection.view("volume", schema(VOLUME.items()))
    for check, (_, place) in zip(suite.checks, _places(file), strict=True):
        _Look(inspection, file, check, place, views).look()
    for view in ("staged", "result", "volume"):
        inspection.session.catalog.dropTempView(view)


@dataclass(frozen=True)
class _Look:
    """One check, and the views that it may name."""

    inspection: Inspection
    file: Path
    check: DeclaredCheck
    place: _Place
    views: Mapping[str, DataFrame]

    def look(self) -> None:
        view = self.views.get(self.check.dataset)
        if view is None:
            known = ", ".join(self.views)
            self._error(self.place.line, f"there is no view {self.check.dataset}; views: {known}")
            return
        try:
            line, config = self.check.resolved(VARIABLES)
        except CheckDefinitionError as error:
            self._error(self.place.line, str(error))
            return
        found = named(line)
        self._columns(view, found.columns)
        if found.view and found.view not in self.views:
            self._error(self.place.line, f"there is no view {found.view}")
        elif found.view:
            self._columns(self.views[found.view], found.referenced, found.view)
        for outcome in ("fail", "warn"):
            if isinstance(config.get(outcome), dict):
                self._schema(view, config[outcome])
        for key, text in config.items():
            if isinstance(text, str):
                self._sql(view, key, text)

    def _columns(self, view: DataFrame, names: Iterable[str], called: str = "") -> None:
        for name in names:
            if name not in view.columns:
                called = called or self.check.dataset
                self._error(self.place.line, f"{called} has no column {name}")

    def _schema(self, view: DataFrame, wanted: Mapping[str, Any]) -> None:
        types = named_types(view.schema)
        required = wanted.get("when required column missing", [])
        self._columns(view, [required] if isinstance(required, str) else required)
        for column, kind in (wanted.get("when wrong column type") or {}).items():
            if column not in types:
                self._error(self.place.line, f"{self.check.dataset} has no column {column}")
            elif types[column] != kind:
                self._error(self.place.line, f"{column} is a {types[column]}, not a {kind}")

    def _sql(self, view: DataFrame, key: str, text: str) -> None:
        session = self.inspection.session
        if key in ("fail condition", "filter"):
            self.inspection.analysed(lambda: view.where(F.expr(text)), self._fail(key))
        elif key.endswith(" query"):
            self.inspection.analysed(lambda: session.sql(text), self._fail(key))
        elif key.endswith(" expression"):
            self.inspection.analysed(lambda: view.selectExpr(text), self._fail(key))

    def _fail(self, key: str) -> Fail:
        node = self.place.nested.get(key)
        block = isinstance(node, yaml.ScalarNode) and node.style == "|"

        def fail(line: int, reason: str) -> None:
            at = line_of(node) + (line if block else 0) if node is not None else self.place.line
            self._error(at, reason)

        return fail

    def _error(self, line: int, text: str) -> None:
        self.inspection.found.error_at(self.file, line, self.check.name, text)
