"""Consistency of a domain's declarations, found without data and before Spark starts."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from graphlib import CycleError
from pathlib import Path

from storage.schemas import type_of
from storage.types import LAYERS
from tasks.sources.watermark import Overlap
from tasks.spec import (
    ColumnSpec,
    DomainSpec,
    Envelope,
    FileFormat,
    SilverSpec,
    SourceKind,
    SourceSpec,
    Strategy,
    dependencies,
    ordered,
)


def problems(
    domain: DomainSpec, *, layers: Sequence[str] = (), tables: Sequence[str] = ()
) -> list[str]:
    """What does not fit together, each with the key's path; empty where all does."""
    graph = dependencies(domain)
    found = [
        f"layers: {layer!r} is none of {', '.join(LAYERS)}"
        for layer in layers
        if layer not in LAYERS
    ]
    found += [f"tables: {t!r} is none of {', '.join(graph)}" for t in tables if t not in graph]
    if not 0 <= domain.score_threshold <= 1:
        found.append(f"domain.score_threshold: {domain.score_threshold} is outside 0 to 1")
    for label, inputs in graph.items():
        found += [f"domain.{label}: unknown table {i}" for i in inputs if i not in graph]
    try:
        ordered(graph)
    except CycleError as error:
        found.append("tables read each other in a circle: " + " -> ".join(error.args[1]))
    for name, source in domain.bronze.items():
        found += [f"domain.bronze.{name}.{text}" for text in _bronze(source)]
    for name, silver in domain.silver.items():
        found += [f"domain.silver.{name}.{text}" for text in _silver(domain, silver)]
    for name, gold in domain.gold.items():
        found += [
            f"domain.gold.{name}.key: {k} is not a column"
            for k in gold.key
            if k not in gold.columns
        ]
        if not gold.key:
            found.append(f"domain.gold.{name}.key: no key")
        found += [f"domain.gold.{name}.{text}" for text in _types(gold.columns)]
        found += _file(domain, f"domain.gold.{name}.sql", gold.sql)
    return found


def _bronze(source: SourceSpec) -> list[str]:
    found = [] if source.columns else ["columns: no columns"]
    doubled = {c for c in source.columns if source.columns.count(c) > 1}
    found += [f"columns: {c} is named more than once" for c in sorted(doubled)]
    found += [
        f"{name}: has no meaning for kind {source.kind}"
        for name, kind in KIND_OF.items()
        if kind is not source.kind and getattr(source, name)
    ]
    return found + (_files if source.kind is SourceKind.files else _jdbc)(source)


KIND_OF = {
    "pattern": SourceKind.files,
    "url": SourceKind.jdbc,
    "table": SourceKind.jdbc,
    "query": SourceKind.jdbc,
    "options": SourceKind.jdbc,
    "watermark": SourceKind.jdbc,
}
"""Keys that only one kind of source has."""


def _files(source: SourceSpec) -> list[str]:
    found = [] if source.pattern else ["pattern: no pattern of file names"]
    if len(source.delimiter) != 1:
        found.append(f"delimiter: {source.delimiter!r} is not one character")
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        found.append(f"encoding: {source.encoding!r} is not known to Python")
    if source.envelope is not Envelope.none and source.format is not FileFormat.jsonl:
        found.append(f"envelope: {source.envelope} is read from format jsonl, not {source.format}")
    return found


def _jdbc(source: SourceSpec) -> list[str]:
    found = [] if source.url.startswith("jdbc:") else ["url: no JDBC address (jdbc:...)"]
    if bool(source.table) == bool(source.query):
        found.append("table: name either a table or a query")
    found += [
        f"options.{name}: is set by the platform; use the source's own keys"
        for name in source.options
        if name.lower() in ("url", "dbtable", "query")
    ]
    if source.watermark is None:
        return found
    mark = source.watermark
    named = {"watermark.column": [mark.column], "watermark.key": mark.key}
    found += [
        f"{key}: {column} is not a column"
        for key, columns in named.items()
        for column in columns
        if column not in source.columns
    ]
    try:
        Overlap.parse(mark.overlap)
    except ValueError as error:
        found.append(f"watermark.overlap: {error}")
    return found


def _silver(domain: DomainSpec, table: SilverSpec) -> list[str]:
    found = [f"key: {k} is not a column" for k in table.key if k not in table.columns]
    if not table.key:
        found.append("key: no key")
    return found + (_scd2 if table.strategy is Strategy.scd2 else _upsert)(domain, table)


def _scd2(domain: DomainSpec, table: SilverSpec) -> list[str]:
    found = [f"track: {c} is not a column" for c in table.track if c not in table.columns]
    found += _types(table.columns)
    if not table.sequence_by:
        found.append("sequence_by: SCD2 needs the columns that order its events")
    if not table.track:
        found.append("track: SCD2 needs the columns whose change starts a span")
    if not table.events:
        return [*found, "events: SCD2 needs the SQL file that gives its events"]
    return found + _file(domain, "events", table.events)


def _upsert(domain: DomainSpec, table: SilverSpec) -> list[str]:
    if not table.source:
        return ["source: an upsert table names the bronze table it is fed from"]
    if not table.source.startswith("bronze."):
        return [f"source: {table.source} is not a bronze table"]
    columns = table.row_columns
    found = _columns(domain, table)
    for kind in ("references", "lookups"):
        for name, join in getattr(table, kind).items():
            found += [f"{kind}.{name}.by: {c} is not a column" for c in join.by if c not in columns]
            found += [
                f"{kind}.{name}.by: {c} is not a column of {join.table}"
                for c in join.by.values()
                if not _has(domain, join.table, c)
            ]
    found += [
        f"rules.{n}.column: {r.column} is not a column"
        for n, r in table.rules.items()
        if r.column not in columns
    ]
    return found + (_file(domain, "reduce", table.reduce) if table.reduce else [])


def _columns(domain: DomainSpec, table: SilverSpec) -> list[str]:
    source = domain.bronze.get((table.source or "").removeprefix("bronze."))
    kind = "samples" if table.reduce else "columns"
    found: list[str] = []
    for name, column in table.row_columns.items():
        origin = column.source or name
        if column.lookup is not None:
            found += [
                f"{kind}.{name}.lookup: {text}" for text in _lookup(domain, table, column.lookup)
            ]
        elif column.expr is None and source is not None and origin not in source.columns:
            found.append(f"{kind}.{name}.source: {origin} is not a column of {table.source}")
    found += _types(table.row_columns, kind)
    return found + (_types(table.columns) if table.reduce else [])


def _lookup(domain: DomainSpec, table: SilverSpec, wanted: str) -> list[str]:
    name, _, column = wanted.partition(".")
    if name not in table.lookups:
        return [f"no lookup {name!r}"]
    other = table.lookups[name].table
    return [] if _has(domain, other, column) else [f"{other} has no column {column!r}"]


def _has(domain: DomainSpec, label: str, column: str) -> bool:
    """Whether a silver table has the column; True for a table that is a problem of its own."""
    layer, _, name = label.partition(".")
    table = domain.silver.get(name) if layer == "silver" else None
    return table is None or column in table.columns


def _types(columns: Mapping[str, ColumnSpec], kind: str = "columns") -> list[str]:
    found = []
    for name, column in columns.items():
        try:
            type_of(column.type)
        except ValueError as error:
            found.append(f"{kind}.{name}.type: {error}")
    return found


def _file(domain: DomainSpec, key: str, relative: str) -> list[str]:
    path = Path(domain.roots.sql) / relative
    return [] if path.is_file() else [f"{key}: no file {path}"]
