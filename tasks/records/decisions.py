"""Recorded decisions on blocked batches: rejected for good, or accepted once with a reason.

A decision is a person's input, not a state of the pipeline; it lives in a table of its own that no
rebuild touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pyarrow as pa

from storage.base import TableStore
from storage.types import CommitRecord, TableRef
from tasks.domain.schemas import DECISIONS
from tasks.notes import Batch

SCHEMA = pa.schema(
    [
        ("batch_id", pa.string()),
        ("table_name", pa.string()),
        ("decision", pa.string()),
        ("reason", pa.string()),
        ("decided_at", pa.timestamp("us", tz="UTC")),
        ("decided_by", pa.string()),
    ]
)


class Decision(StrEnum):
    """What a person decided about a blocked batch."""

    rejected = "rejected"
    accepted = "accepted"


@dataclass(frozen=True)
class Resolution:
    """One recorded decision."""

    batch_id: str
    table_name: str
    decision: Decision
    reason: str
    decided_at: datetime
    decided_by: str


def table(domain: str) -> TableRef:
    """Where a domain's decisions are kept."""
    return TableRef(domain, "bronze", DECISIONS)


def resolutions(store: TableStore, domain: str) -> Mapping[str, Resolution]:
    """The newest decision of each batch, by batch id."""
    ref = table(domain)
    if not store.exists(ref):
        return {}
    rows = sorted(store.read_arrow(ref).to_pylist(), key=lambda row: row["decided_at"])
    return {
        row["batch_id"]: Resolution(**row | {"decision": Decision(row["decision"])}) for row in rows
    }


def resolvable(store: TableStore, domain: str, batch_id: str) -> Batch:
    """An attempt as a person resolves it; accepted where somebody lets it through its gate."""
    return Batch(batch_id, accepted=batch_id in accepted(store, domain))


def accepted(store: TableStore, domain: str) -> list[str]:
    """The batches that are let through their gates."""
    return _decided(store, domain, Decision.accepted)


def rejected(store: TableStore, domain: str) -> list[str]:
    """The batches that are rejected."""
    return _decided(store, domain, Decision.rejected)


def _decided(store: TableStore, domain: str, decision: Decision) -> list[str]:
    made = resolutions(store, domain).values()
    return sorted(s.batch_id for s in made if s.decision is decision)


def resolve(
    store: TableStore,
    domain: str,
    *,
    batch_id: str,
    table_name: str,
    decision: Decision,
    reason: str,
    by: str,
) -> Resolution:
    """Record a decision; the same decision again writes nothing."""
    known = resolutions(store, domain).get(batch_id)
    if known is not None and known.decision is decision:
        return known
    made = Resolution(batch_id, table_name, decision, reason, datetime.now(UTC), by)
    row = pa.Table.from_pylist([made.__dict__ | {"decision": decision.value}], schema=SCHEMA)
    token = f"{decision.value}:{batch_id}:{made.decided_at.isoformat()}"
    store.append_arrow(table(domain), row, CommitRecord(run_id="decision", token=token))
    return made
