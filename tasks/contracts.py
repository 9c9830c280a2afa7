"""What gives a table its meaning, and how a table that was written with another meaning is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from storage.errors import OutdatedError
from storage.types import TableRef
from tasks.bench import Bench, fingerprint
from tasks.spec import DomainSpec, SilverSpec, dependencies

ENGINE = 2
"""Counts up whenever the platform itself computes something differently from the same declarations."""
NO_MEANING = {"description", "doc", "quarantine", "missing_share", "volume", "groups", "full"}
"""Declarations that change no row."""


@dataclass(frozen=True)
class Outdated:
    """A table that was written with another meaning than the one declared now.

    Attributes:
        table: The table.
        found: Fingerprint of the contract it was written with.
        wanted: Fingerprint of the one declared.
        code: Version of the platform that wrote it.
        because: The table upstream whose rebuild makes it outdated; empty where it is so by itself.
    """

    table: TableRef
    found: str
    wanted: str
    code: str
    because: str = ""

    def __str__(self) -> str:
        if self.because:
            return f"{self.table.label} (computed from {self.because})"
        return (
            f"{self.table.label} (contract {self.found} of version {self.code}, now {self.wanted})"
        )


def meaning(bench: Bench, ref: TableRef) -> dict[str, Any]:
    """Everything that decides which rows the table has, as JSON-serialisable values."""
    texts = {path: bench.sql(path) for path in _files(bench.domain, ref)}
    return {"engine": ENGINE, "declared": _meaningful(_spec(bench.domain, ref)), "sql": texts}


def contract_of(bench: Bench, ref: TableRef) -> str:
    """Fingerprint of a table's meaning."""
    return fingerprint(meaning(bench, ref))


def outdated(bench: Bench, tables: Sequence[TableRef]) -> list[Outdated]:
    """The tables whose rows have another meaning than declared, and those computed from them.

    Bronze keeps what was delivered, whatever is declared, so it is never outdated.
    """
    found: dict[str, Outdated] = {}
    graph = dependencies(bench.domain)
    for ref in tables:
        if ref.layer == "bronze" or not bench.store.exists(ref):
            continue
        record = bench.store.head(ref).record
        if record is None:
            continue
        wanted = contract_of(bench, ref)
        cause = next((label for label in graph[ref.label] if label in found), "")
        if record.contract != wanted or cause:
            by_itself = record.contract != wanted
            found[ref.label] = Outdated(
                ref, record.contract, wanted, record.code, "" if by_itself else cause
            )
    return list(found.values())


def _spec(domain: DomainSpec, ref: TableRef) -> Any:
    kind: dict[str, Any] = getattr(domain, ref.layer)
    return kind[ref.name]


def _files(domain: DomainSpec, ref: TableRef) -> list[str]:
    spec = _spec(domain, ref)
    if isinstance(spec, SilverSpec):
        return [path for path in (spec.reduce, spec.events) if path]
    return [spec.sql] if ref.layer == "gold" else []


def _meaningful(value: Any) -> Any:
    if is_dataclass(value):
        kept = [f.name for f in fields(value) if f.name not in NO_MEANING]
        return {name: _meaningful(getattr(value, name)) for name in kept}
    if isinstance(value, dict):
        return {k: _meaningful(v) for k, v in value.items()}
    return [_meaningful(v) for v in value] if isinstance(value, list) else value


def refuse_outdated(bench: Bench, tables: Sequence[TableRef]) -> None:
    """Refuse a run that would mix two meanings in one table.

    Raises:
        OutdatedError: A table was written with another meaning than the one declared now.
    """
    if bench.run.rebuild:
        return
    found = outdated(bench, tables)
    if found:
        raise OutdatedError(
            "written with another meaning than is declared now: " + "; ".join(map(str, found)),
            advice=f"Rebuild what is named from bronze: lakehouse upgrade domain={bench.domain.name}",
        )
