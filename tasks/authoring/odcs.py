"""The contract of a domain's tables as a document of the Open Data Contract Standard, version 3.1.0.

The standard: https://bitol-io.github.io/open-data-contract-standard/v3.1.0/. Keys are those of its JSON
schema; what it has no key for (owner of a single table, mode of drift) is among `customProperties`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from storage.types import TableRef
from tasks.context import fingerprint
from tasks.domain.schemas import SPAN
from tasks.domain.spec import (
    ColumnSpec,
    DomainSpec,
    GoldSpec,
    JoinSpec,
    SilverSpec,
    SourceSpec,
)
from tasks.gate import freshness

VERSION = "v3.1.0"
LOGICAL = {
    "string": "string", "boolean": "boolean", "int": "integer", "bigint": "integer",
    "double": "number", "date": "date", "timestamp": "timestamp",
}  # fmt: skip
"""The standard's type of each type of a column; decimals are numbers."""

Document = dict[str, Any]
Spec = SourceSpec | SilverSpec | GoldSpec


def document(domain: DomainSpec, tables: Sequence[TableRef]) -> Document:
    """The contract of tables of one domain.

    Its `version` is a fingerprint of the rest: it changes whenever anything that is promised does.
    """
    alone = tables[0] if len(tables) == 1 else None
    label = alone.label if alone else ""
    owner = _owner(domain, alone) if alone else domain.owner
    purpose = domain.spec(alone).description if alone else domain.description
    body: Document = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": f"{domain.name}.{label}" if label else domain.name,
        "name": label or domain.name,
        "status": "active",
        "domain": domain.name,
        **({"description": {"purpose": purpose}} if purpose else {}),
        **({"team": {"name": owner}} if owner else {}),
        "schema": [_table(domain, ref) for ref in tables],
    }
    agreed = [(ref, span) for ref in tables if (span := freshness.limit(domain, ref)) is not None]
    if agreed:
        body["slaProperties"] = [_sla(ref, span) for ref, span in agreed]
    return {"version": fingerprint(body), **body}


def _owner(domain: DomainSpec, ref: TableRef) -> str:
    return domain.spec(ref).owner or domain.owner


def _sla(ref: TableRef, span: timedelta) -> Document:
    hours = span.total_seconds() / 3600
    return {"property": "freshness", "value": hours, "unit": "h", "element": ref.view}


def _table(domain: DomainSpec, ref: TableRef) -> Document:
    spec = domain.spec(ref)
    rules = spec.rules if isinstance(spec, SilverSpec) else {}
    own = {"owner": _owner(domain, ref)}
    own |= {"drift": spec.drift.value} if isinstance(spec, SourceSpec) else {}
    quality = [
        {"name": name, "type": "text", "description": f"no row whose {rule.column} {rule.says}"}
        for name, rule in rules.items()
    ]
    custom = [{"property": name, "value": value} for name, value in own.items() if value]
    found: Document = {
        "name": ref.view,
        "physicalName": f"{ref.database}.{ref.name}",
        "logicalType": "object",
        "physicalType": "table",
        "description": spec.description,
        "properties": _bronze(spec) if isinstance(spec, SourceSpec) else _columns(domain, spec),
        "quality": quality,
        "relationships": _composite(domain, ref, spec),
        "customProperties": custom,
    }
    return {key: value for key, value in found.items() if value}


def _bronze(source: SourceSpec) -> list[Document]:
    return [
        _property(name, ColumnSpec(personal=source.personal.get(name, [])))
        for name in source.columns
    ]


def _columns(domain: DomainSpec, spec: SilverSpec | GoldSpec) -> list[Document]:
    columns, key = dict(spec.columns), list(spec.key)
    references: Mapping[str, JoinSpec] = {}
    if isinstance(spec, SilverSpec):
        references = spec.references
        if spec.is_history:
            columns |= {name: ColumnSpec(kind) for name, kind in SPAN}
            key = [*key, "valid_from"]
    single = {
        own: f"{domain.ref(join.table).view}.{other}"
        for join in references.values()
        if len(join.by) == 1
        for own, other in join.by.items()
    }
    return [_property(name, column, key, single.get(name)) for name, column in columns.items()]


def _property(
    name: str, column: ColumnSpec, key: Sequence[str] = (), refers: str | None = None
) -> Document:
    found: Document = {
        "name": name,
        "logicalType": LOGICAL.get(column.type, "number"),
        "physicalType": column.type,
        "description": column.doc,
        "required": column.required or name in key,
    }
    if name in key:
        found |= {"primaryKey": True, "primaryKeyPosition": list(key).index(name) + 1}
    if refers:
        found["relationships"] = [{"type": "foreignKey", "to": refers}]
    if column.personal:
        found |= {"classification": "personal", "tags": list(column.personal)}
    return {k: v for k, v in found.items() if v not in ("", None)}


def _composite(domain: DomainSpec, ref: TableRef, spec: Spec) -> list[Document]:
    """References by several columns, which the standard has at the level of the table."""
    joins = spec.references.values() if isinstance(spec, SilverSpec) else ()
    return [
        {
            "type": "foreignKey",
            "from": [f"{ref.view}.{own}" for own in join.by],
            "to": [f"{domain.ref(join.table).view}.{other}" for other in join.by.values()],
        }
        for join in joins
        if len(join.by) > 1
    ]
