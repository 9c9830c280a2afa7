"""Recorded requests to let rows out of quarantine: judged again, or let in despite a rule.

Like a decision on a batch, a request is a person's input; it lives in a table of its own that no rebuild
touches. A silver table that has taken requests in says so by the version among its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.errors import ConfigurationError, VersionNotFoundError
from storage.types import CommitRecord, Snapshot, TableRef, Version
from tasks.context import Context, fingerprint
from tasks.domain.schemas import RELEASES
from tasks.domain.spec import EVENTS
from tasks.notes import Notes, ReleaseRequest
from tasks.rows.frames import WAIVED

LABEL = f"bronze.{RELEASES}"
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("table_name", pa.string()),
        ("sequence", pa.int64()),
        ("rule", pa.string()),
        ("action", pa.string()),
        ("chosen_by", pa.string()),
        ("reason", pa.string()),
        ("requested_at", pa.timestamp("us", tz="UTC")),
        ("requested_by", pa.string()),
    ]
)


class Action(StrEnum):
    """What a request asks for."""

    judge = "judge"
    """The rows are judged again."""
    waive = "waive"
    """The rows are let in although they break the rule that they are held by."""
    withdraw = "withdraw"
    """An earlier request does not count any more; what it has published stays until a rebuild."""


@dataclass(frozen=True)
class Request:
    """One recorded request.

    Attributes:
        table_name: The table, as `layer.table`; for a table of events its history.
        rules: Rule that each row was held by, by `_sequence`.
        chosen_by: The filter that chose the rows.
    """

    request_id: str
    table_name: str
    rules: Mapping[int, str]
    action: Action
    chosen_by: str
    reason: str
    requested_at: datetime
    requested_by: str


def table(domain: str) -> TableRef:
    """Where a domain's requests are kept, a row a released row."""
    return TableRef.parse(domain, LABEL)


def name_of(ref: TableRef) -> str:
    """The name under which a person knows the table whose rows are in quarantine."""
    return ref.label.removesuffix(EVENTS)


def request(
    store: TableStore,
    ref: TableRef,
    rules: Mapping[int, str],
    *,
    action: Action,
    chosen_by: str,
    reason: str,
    by: str,
) -> Request:
    """Record a request in one commit."""
    now = datetime.now(UTC)
    name = name_of(ref)
    request_id = fingerprint(name, sorted(rules), action, reason, by, now)[:12]
    made = Request(request_id, name, dict(rules), action, chosen_by, reason, now, by)
    _record(store, ref, made)
    return made


def withdraw(store: TableStore, ref: TableRef, request_id: str, *, reason: str, by: str) -> None:
    """Record that a request does not count any more.

    Raises:
        ConfigurationError: The table has no such request, or it was withdrawn before.
    """
    known = _ids(asked(store, ref, None))
    if request_id not in known:
        raise ConfigurationError(
            f"{name_of(ref)}: there is no request {request_id!r} that counts",
            advice=f"Requests: {', '.join(known) or 'none'}",
        )
    now = datetime.now(UTC)
    _record(store, ref, Request(request_id, name_of(ref), {}, Action.withdraw, "", reason, now, by))


def _record(store: TableStore, ref: TableRef, made: Request) -> None:
    common: dict[str, object] = {
        "request_id": made.request_id, "table_name": made.table_name, "action": made.action.value,
        "chosen_by": made.chosen_by, "reason": made.reason, "requested_at": made.requested_at,
        "requested_by": made.requested_by,
    }  # fmt: skip
    rows = [common | {"sequence": sequence, "rule": rule} for sequence, rule in made.rules.items()]
    record = CommitRecord(
        run_id="release",
        token=f"{made.action.value}:{made.request_id}",
        notes=Notes(
            request=ReleaseRequest(made.request_id, made.table_name, made.action.value)
        ).stored(),
    )
    written = pa.Table.from_pylist(rows or [common], schema=SCHEMA)
    store.append_arrow(table(ref.domain), written, record)


def asked(store: TableStore, ref: TableRef, after: str | None) -> list[Snapshot]:
    """Commits of the table's requests that count, after a position, oldest first; from metadata alone.

    Where the history does not reach back to the position, every request: one that was taken in before
    finds no row any more.
    """
    requests = table(ref.domain)
    if not store.exists(requests):
        return []
    try:
        entries = store.since(requests, Version(after) if after else None)
    except VersionNotFoundError:
        entries = store.since(requests, None)
    own = [e for e in entries if (made := _noted(e)) and made.table == name_of(ref)]
    withdrawn = set(_ids([e for e in own if _asks_for(e, Action.withdraw)]))
    return [e for e in own if not withdrawn.intersection(_ids([e]))]


def _noted(entry: Snapshot) -> ReleaseRequest | None:
    return Notes.of(entry.record).request


def _asks_for(entry: Snapshot, action: Action) -> bool:
    made = _noted(entry)
    return made is not None and made.action == action


def _ids(entries: list[Snapshot]) -> list[str]:
    return [made.request for entry in entries if (made := _noted(entry))]


def consumed(pending: list[Snapshot], before: Mapping[str, str]) -> dict[str, str]:
    """The version to record as consumed; it moves with the table's own requests only."""
    if pending:
        return {LABEL: str(pending[-1].version)}
    return {LABEL: before[LABEL]} if LABEL in before else {}


def sequences(context: Context, ref: TableRef, after: str | None, until: str | None) -> DataFrame:
    """`_sequence` and `_request_id` of the rows asked for between two positions; one row a sequence."""
    rows = _until(context, ref, until)
    pending = _ids(asked(context.store, ref, after))
    return (
        rows.where(F.col("request_id").isin(pending))
        .groupBy(F.col("sequence").alias("_sequence"))
        .agg(F.max_by("request_id", "requested_at").alias("_request_id"))
    )


def with_waivers(context: Context, ref: TableRef, rows: DataFrame, until: str | None) -> DataFrame:
    """The rows with `_waived`: names of the rules that they are let in despite; null for none."""
    requests = asked(context.store, ref, None) if until else []
    waivers = _ids([entry for entry in requests if _asks_for(entry, Action.waive)])
    if not waivers:
        return rows.withColumn(WAIVED, F.lit(None).cast("array<string>"))
    waived = (
        _until(context, ref, until)
        .where(F.col("request_id").isin(waivers))
        .groupBy(F.col("sequence").alias("_sequence"))
        .agg(F.collect_set("rule").alias(WAIVED))
    )
    return rows.join(F.broadcast(waived), "_sequence", "left")


def _until(context: Context, ref: TableRef, until: str | None) -> DataFrame:
    requests = table(ref.domain)
    rows = context.store.read(requests, Version(until) if until else None)
    return rows.where(F.col("table_name") == name_of(ref))
