"""Reading cases from YAML: every fault of the files at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from storage.errors import ConfigurationError
from storage.types import TableRef
from tasks.authoring.cases import tables
from tasks.authoring.cases.tables import Columns
from tasks.authoring.cases.values import value_of
from tasks.domain.schemas import DELETED, key_of
from tasks.domain.spec import DomainSpec
from tasks.domain.yaml_lines import line_of, shown, unreadable
from tasks.ingest.records import RECORDS_PER_DELIVERY
from tasks.rows import reducing

Row = Mapping[str, Any]
"""Values of the columns that a row names."""
KEYS = ("name", "given", "expect")
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Case:
    """One case of a table's query.

    Attributes:
        place: File and line, as `file:line`.
        given: Rows of each input, with all of its columns; an input left out has none.
        expect: The whole result, with the columns in `compared`.
        compared: The columns that at least one expected row names; the key where there are no rows.
    """

    table: TableRef
    name: str
    place: str
    given: Mapping[str, Sequence[Row]]
    expect: Sequence[Row]
    compared: tuple[str, ...]


def read(domain: DomainSpec, chosen: Sequence[str] = ()) -> list[Case]:
    """The cases of a domain, or of some of its tables.

    Args:
        domain: The domain.
        chosen: Tables as `layer.table`; all when empty.

    Raises:
        ConfigurationError: The message names every fault with file, line, field and value.
    """
    known = {ref.label: ref for ref in tables.testable(domain)}
    reader = _Reader(domain)
    if chosen:
        for label in chosen:
            if label not in known:
                reader.faults.append(f"tables: no query makes {label}; tables: {', '.join(known)}")
            elif not tables.file_of(domain, known[label]).is_file():
                file = shown(tables.file_of(domain, known[label]))
                reader.faults.append(f"{label} has no cases; write them in {file}")
        files = [tables.file_of(domain, known[label]) for label in chosen if label in known]
    else:
        files = sorted(tables.folder(domain).rglob("*.y*ml"))
    cases = [case for file in files if file.is_file() for case in reader.cases(file, known)]
    if reader.faults:
        raise ConfigurationError(
            "\n".join(reader.faults), advice="Nothing was run. Fix the files and run it again."
        )
    return cases


class _Reader:
    """Reads files and gathers their faults."""

    def __init__(self, domain: DomainSpec) -> None:
        self._domain = domain
        self._file = Path()
        self.faults: list[str] = []

    def cases(self, file: Path, known: Mapping[str, TableRef]) -> Iterator[Case]:
        self._file = file
        below = file.relative_to(tables.folder(self._domain)).with_suffix("")
        label = ".".join(below.parts)
        if label not in known or file.suffix != ".yml":
            self._fault(
                None,
                f"no query makes {label}; name the file tests/<layer>/<table>.yml "
                f"after one of {', '.join(known)}",
            )
            return
        try:
            loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
            root = loader.get_single_node()
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            line, says = unreadable(error)
            self.faults.append(f"{shown(file)}:{line}: {says}")
            return
        nodes = self._items(root, "a file of cases")
        names: dict[str, int] = {}
        for node in nodes:
            case = self._case(loader, node, known[label])
            if case is None:
                continue
            if case.name in names:
                self._fault(node, f"the name {case.name!r} is taken by line {names[case.name]}")
            names[case.name] = line_of(node)
            yield case
        if not nodes and isinstance(root, yaml.SequenceNode):
            self._fault(root, "there is no case in the file")

    def _case(self, loader: yaml.SafeLoader, node: yaml.Node, ref: TableRef) -> Case | None:
        before = len(self.faults)
        entries = self._entries(loader, node, "a case")
        for key in entries:
            if key not in KEYS:
                self._fault(node, f"unknown key {key!r}; a case has {', '.join(KEYS)}")
        name = entries.get("name")
        if not isinstance(name, yaml.ScalarNode) or not name.value.strip():
            self._fault(node, "name: a case says in words what it shows")
        if "expect" not in entries:
            self._fault(node, "expect: missing; write [] for an empty result")
        given = self._given(loader, entries.get("given"), ref)
        columns = tables.expected(self._domain, ref)
        expect = self._rows(loader, entries.get("expect"), columns, f"expect of {ref.label}")
        compared = [c for c in columns if any(c in row for row in expect)]
        matched_by = key_of(self._domain, ref)
        left_out = [k for k in matched_by if k not in compared]
        if expect and left_out:
            self._fault(
                entries["expect"],
                f"expect: no row names {', '.join(left_out)}, which rows are matched by",
            )
        if len(self.faults) > before or name is None:
            return None
        complete = [{c: row.get(c) for c in compared} for row in expect]
        place = f"{shown(self._file)}:{line_of(node)}"
        return Case(ref, name.value, place, given, complete, tuple(compared or matched_by))

    def _given(
        self, loader: yaml.SafeLoader, node: yaml.Node | None, ref: TableRef
    ) -> dict[str, list[Row]]:
        if node is None or node.tag == _NULL:
            return {}
        known = tables.inputs(self._domain, ref)
        found: dict[str, list[Row]] = {}
        for label, rows in self._entries(loader, node, "given").items():
            if label not in known:
                self._fault(
                    rows,
                    f"given: {label} is not an input of {ref.label}; inputs: {', '.join(known)}",
                )
                continue
            columns = known[label]
            given = self._rows(loader, rows, columns, f"given {label}")
            found[label] = [
                dict.fromkeys(columns) | _defaults(columns, label, place, row) | row
                for place, row in enumerate(given, start=1)
            ]
        return found

    def _rows(
        self, loader: yaml.SafeLoader, node: yaml.Node | None, columns: Columns, what: str
    ) -> list[dict[str, Any]]:
        if node is None:
            return []
        return [self._row(loader, item, columns, what) for item in self._items(node, what)]

    def _row(
        self, loader: yaml.SafeLoader, node: yaml.Node, columns: Columns, what: str
    ) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for column, value in self._entries(loader, node, f"a row of {what}").items():
            if column not in columns:
                self._fault(
                    value, f"{what}: there is no column {column!r}; columns: {', '.join(columns)}"
                )
            elif not isinstance(value, yaml.ScalarNode):
                self._fault(value, f"{what}: {column}: is not one value")
            elif value.tag == _NULL:
                row[column] = None
            else:
                try:
                    row[column] = value_of(value.value, columns[column])
                except ValueError as error:
                    self._fault(value, f"{what}: {column}: {error}")
        return row

    def _items(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._fault(node, f"{what} is a list, which is written with - or as []")
        return []

    def _entries(self, loader: yaml.SafeLoader, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{what} is a mapping, which is written key: value")
            return {}
        own = [key.value for key, _ in node.value]
        for key in sorted({k for k in own if own.count(k) > 1}):
            self._fault(node, f"{what}: {key} is given twice")
        loader.flatten_mapping(node)
        return {str(key.value): value for key, value in node.value}

    def _fault(self, node: yaml.Node | None, text: str) -> None:
        self.faults.append(f"{shown(self._file)}:{line_of(node)}: {text}")


def _defaults(columns: Columns, label: str, place: int, row: Row) -> dict[str, Any]:
    """What the platform gives a row, where the case does not: not deleted, and its place in a delivery."""
    if label != reducing.ROWS:
        return {DELETED: False} if DELETED in columns else {}
    delivery = row.get("_delivery", 1) or 1
    return {
        "_delivery": delivery,
        "_record_number": place,
        "_sequence": delivery * RECORDS_PER_DELIVERY + place,
        "_batch_id": f"delivery-{delivery}",
    }
