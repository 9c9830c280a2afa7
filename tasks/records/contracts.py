"""What gives a table its meaning, and how a table that was written with another meaning is recognised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from storage.base import TableStore
from storage.errors import OutdatedError
from storage.types import CommitRecord, TableRef
from tasks.context import Context, fingerprint
from tasks.domain.spec import dependencies, sql_files
from tasks.ops.tables import append_rows, ops_table

ENGINE = 2
"""Counts up whenever the platform itself computes something differently from the same declarations."""
NO_MEANING = {
    "description", "doc", "owner", "personal", "freshness", "quarantine", "missing_share", "volume",
    "anomalies", "groups", "group_by", "cluster_by", "full", "partition", "rounds",
}  # fmt: skip
"""Declarations that change no row."""
LATER = {"first_wins", "sql", "fold"}
"""Declarations of later versions: a table that does not use them means what it meant before."""


@dataclass(frozen=True)
class Outdated:
    """A table that was written with another meaning than the one declared now.

    Attributes:
        table: The table.
        found: Fingerprint of the contract it was written with.
        wanted: Fingerprint of the one declared.
        code: Version of the platform that wrote it.
        because: The table upstream whose rebuild makes it outdated; empty where it is so by itself.
        changes: What differs between the two, in words; empty where the old one is not known.
    """

    table: TableRef
    found: str
    wanted: str
    code: str
    because: str = ""
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.because:
            return f"{self.table.label} (computed from {self.because})"
        if self.changes:
            return f"{self.table.label} ({'; '.join(self.changes)})"
        return (
            f"{self.table.label} (contract {self.found} of version {self.code}, now {self.wanted})"
        )


def meaning(context: Context, ref: TableRef) -> dict[str, Any]:
    """Everything that decides which rows the table has, as JSON-serialisable values."""
    spec = context.domain.spec(ref)
    texts = {path: context.sql(path) for path in sql_files(spec)}
    order = list(getattr(spec, "columns", ()))  # a fingerprint does not see the order of keys
    return {"engine": ENGINE, "declared": _meaningful(spec), "order": order, "sql": texts}


def contract_of(context: Context, ref: TableRef) -> str:
    """Fingerprint of a table's meaning."""
    return fingerprint(meaning(context, ref))


def outdated(context: Context, tables: Sequence[TableRef]) -> list[Outdated]:
    """The tables whose rows have another meaning than declared, and those computed from them.

    Bronze keeps what was delivered, whatever is declared, so it is never outdated.
    """
    found: dict[str, Outdated] = {}
    texts: Mapping[str, Mapping[str, Any]] | None = None
    graph = dependencies(context.domain)
    computed = set(context.domain.computed())
    for ref in tables:
        if ref not in computed or not context.store.exists(ref):
            continue
        record = context.store.head(ref).record
        if record is None:
            continue
        wanted = contract_of(context, ref)
        cause = next((label for label in graph[ref.label] if label in found), "")
        if record.contract != wanted or cause:
            by_itself = record.contract != wanted
            texts = known(context.store) if texts is None else texts
            old = texts.get(record.contract) if by_itself else None
            found[ref.label] = Outdated(
                ref,
                record.contract,
                wanted,
                record.code,
                "" if by_itself else cause,
                differences(old, meaning(context, ref)) if old else (),
            )
    return list(found.values())


def known(store: TableStore) -> dict[str, Mapping[str, Any]]:
    """The meanings that were written down, by fingerprint; empty where there is no such report."""
    if not store.exists(ops_table("contracts")):
        return {}
    rows = store.read_arrow(ops_table("contracts")).select(["contract", "meaning"]).to_pylist()
    return {row["contract"]: json.loads(row["meaning"]) for row in rows}


def remember(context: Context, tables: Sequence[TableRef]) -> None:
    """Write down the meaning of tables, so that a later difference can be told in words."""
    computed = [ref for ref in tables if not context.domain.spec(ref).is_delivered]
    there = known(context.store) if computed else {}
    rows = [
        {
            "contract": contract_of(context, ref), "domain": context.domain.name,
            "table_name": ref.label, "code": context.run.code,
            "meaning": json.dumps(meaning(context, ref), default=str),
            "recorded_at": context.run.started_at,
        }
        for ref in computed
        if contract_of(context, ref) not in there
    ]  # fmt: skip
    if rows:
        record = CommitRecord(context.run.run_id, f"contracts:{context.run.run_id}")
        append_rows(context.store, "contracts", rows, record)


NAMED = {
    "columns": "column", "samples": "sample", "rules": "rule", "references": "reference",
    "lookups": "lookup",
}  # fmt: skip
"""Declarations that hold several by name, and what one of them is called."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between two meanings of a table, in words."""
    new = json.loads(json.dumps(new, default=str))
    found = []
    if old.get("engine") != new.get("engine"):
        found.append("the platform computes it differently now")
    before, after = old.get("declared", {}), new.get("declared", {})
    for key in dict.fromkeys([*after, *before]):
        if key in NAMED:
            found += _named(NAMED[key], before.get(key) or {}, after.get(key) or {})
        elif before.get(key) != after.get(key):
            found.append(f"{key}: {_said(before.get(key))} → {_said(after.get(key))}")
    kept = set(old.get("order", ())) & set(new["order"])
    if [c for c in old.get("order", new["order"]) if c in kept] != [
        c for c in new["order"] if c in kept
    ]:
        found.append("the order of the columns changed")
    texts = dict.fromkeys([*new.get("sql", {}), *old.get("sql", {})])
    changed = [p for p in texts if old.get("sql", {}).get(p) != new.get("sql", {}).get(p)]
    return (*found, *(f"SQL of {path} changed" for path in changed))


def _named(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = [f"{kind} {name} dropped" for name in before if name not in after]
    for name, spec in after.items():
        if name not in before:
            found.append(f"{kind} {name} added")
            continue
        for part in dict.fromkeys([*spec, *before[name]]):
            old, new = before[name].get(part), spec.get(part)
            if old != new:
                own = "" if part == "type" else f" {part}"
                found.append(f"{kind} {name}{own}: {_said(old)} → {_said(new)}")
    return found


def _said(value: object) -> str:
    return "none" if value in (None, "", [], {}) else str(value)


def _meaningful(value: Any) -> Any:
    if is_dataclass(value):
        kept = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in NO_MEANING}
        return {name: _meaningful(v) for name, v in kept.items() if v or name not in LATER}
    if isinstance(value, dict):
        return {k: _meaningful(v) for k, v in value.items()}
    return [_meaningful(v) for v in value] if isinstance(value, list) else value


def refuse_outdated(context: Context, tables: Sequence[TableRef]) -> None:
    """Refuse a run that would mix two meanings in one table.

    Raises:
        OutdatedError: A table was written with another meaning than the one declared now.
    """
    if context.run.rebuild:
        return
    found = outdated(context, tables)
    if found:
        raise OutdatedError(
            "\n  ".join(["written with another meaning than is declared now:", *map(str, found)]),
            advice=f"Rebuild what is named from bronze: lakehouse upgrade domain={context.domain.name}",
        )
