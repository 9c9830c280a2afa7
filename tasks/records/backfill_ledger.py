"""The ledger of backfills: which partitions are done, under way, failed, blocked or missing.

A partition is done when a commit record of its table says so; nothing else is asked. The report table
`ops.backfills` adds what leaves no commit: partitions that run, failed or were blocked.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.base import TableStore
from storage.processes import same, started
from storage.types import CommitRecord, TableRef
from tasks.domain.schemas import quarantine_of
from tasks.notes import BackfillPart, Notes
from tasks.ops.tables import append_rows, ops_table
from tasks.rows.partitions import Partition


class State(StrEnum):
    """How far a partition of a table is."""

    missing = "missing"
    running = "running"
    failed = "failed"
    blocked = "blocked"
    done = "done"


@dataclass(frozen=True)
class Backfill:
    """A backfill: the same request has the same id, so that it is resumed."""

    id: str
    domain: str
    tables: tuple[TableRef, ...]
    partitions: tuple[Partition, ...]

    def part(self, partition: Partition) -> BackfillPart:
        """What a commit record says of a partition of it."""
        return BackfillPart(self.id, partition)


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of one partition of one table."""

    state: State = State.missing
    version: str = ""
    run_id: str = ""
    message: str = ""


Ledger = Mapping[tuple[TableRef, Partition], Entry]


def ledger(store: TableStore, backfill: Backfill) -> Ledger:
    """The state of every partition: done from the commit records, the rest from the report."""
    found: dict[tuple[TableRef, Partition], Entry] = {
        (t, p): Entry() for t in backfill.tables for p in backfill.partitions
    }
    for row in _reported(store, backfill.domain):
        key = (TableRef.parse(backfill.domain, row["table_name"]), _partition(row))
        if row["backfill_id"] == backfill.id and key in found:
            found[key] = _entry(row)
    for table in backfill.tables:
        for partition, entry in _done(store, table, backfill.id).items():
            if (table, partition) in found:
                found[table, partition] = entry
    return found


def _entry(row: Mapping[str, Any]) -> Entry:
    state, message = State(row["state"]), row["message"] or ""
    if state is State.running and not _alive(row):
        state, message = State.failed, "its process ended"
    if state is State.done:  # only a commit record says so
        state, message = State.missing, "reported as done, but no commit record says so"
    return Entry(state, run_id=row["run_id"], message=message)


def _done(store: TableStore, table: TableRef, backfill_id: str) -> dict[Partition, Entry]:
    found: dict[Partition, Entry] = {}
    if not store.exists(table):
        return found
    for entry in store.lineage(table):
        part = Notes.of(entry.record).backfill
        if entry.record is None or part is None or part.id != backfill_id:
            continue
        if _release_finished(store, table, entry.record):
            done = Entry(State.done, str(entry.version), entry.record.run_id)
            found.setdefault(part.partition, done)
    return found


def _release_finished(store: TableStore, table: TableRef, record: CommitRecord) -> bool:
    """Whether the rows that the commit released have left the quarantine too."""
    if not Notes.of(record).releases:
        return True
    held = quarantine_of(table)
    token = f"{record.token}.leave"
    return any(e.record is not None and e.record.token == token for e in store.lineage(held))


def known(store: TableStore, domain: str, tables: Sequence[TableRef]) -> list[dict[str, Any]]:
    """The backfills of a domain with the number of their partitions by state, newest last."""
    latest: dict[tuple[str, TableRef, Partition], tuple[dt.datetime, Entry]] = {}
    for row in _reported(store, domain):
        key = (row["backfill_id"], TableRef.parse(domain, row["table_name"]), _partition(row))
        latest[key] = (row["recorded_at"], _entry(row))
    for table in tables:
        for commit in store.lineage(table) if store.exists(table) else ():
            part = Notes.of(commit.record).backfill
            if commit.record and part and _release_finished(store, table, commit.record):
                key = (part.id, table, part.partition)
                latest[key] = (commit.committed_at, Entry(State.done))
    found: dict[str, dict[str, Any]] = {}
    for (backfill_id, table, _), (at, entry) in sorted(latest.items(), key=lambda item: item[1][0]):
        row = found.setdefault(
            backfill_id,
            {"backfill": backfill_id, "tables": set(), **dict.fromkeys(map(str, State), 0)},
        )
        row["tables"].add(table.label)
        row[entry.state.value] += 1
        row["last"] = at
    return [row | {"tables": sorted(row["tables"])} for row in found.values()]


def newest(store: TableStore, tables: Sequence[TableRef], base: str) -> int:
    """The highest number of a backfill with this base that was ever begun; 0 where none was."""
    ids = [str(row["backfill_id"]) for row in _reported(store, tables[0].domain)]
    for table in tables:
        history = store.history(table) if store.exists(table) else []
        parts = [Notes.of(entry.record).backfill for entry in history]
        ids += [part.id for part in parts if part]
    return max((int(i.split("-")[1]) for i in ids if i.split("-")[0] == base), default=0)


def _reported(store: TableStore, domain: str) -> list[dict[str, Any]]:
    """Rows of the report, oldest first."""
    if not store.exists(ops_table("backfills")):
        return []
    rows = [
        r for r in store.read_arrow(ops_table("backfills")).to_pylist() if r["domain"] == domain
    ]
    return sorted(rows, key=lambda row: row["recorded_at"])


def _partition(row: Mapping[str, Any]) -> Partition:
    return Partition(row["unit"], row["partition_start"], row["partition_end"])


def record(
    store: TableStore,
    backfill: Backfill,
    run_id: str,
    states: Mapping[tuple[TableRef, Partition], tuple[State, str]],
) -> None:
    """Append to the report what became of partitions."""
    now, pid = dt.datetime.now(dt.UTC), os.getpid()
    rows = [
        {
            "backfill_id": backfill.id, "domain": backfill.domain, "table_name": table.label,
            "unit": partition.unit, "partition_start": partition.start,
            "partition_end": partition.end, "state": state.value, "message": message,
            "run_id": run_id, "host": socket.gethostname(), "pid": pid,
            "process_started": started(pid), "recorded_at": now,
        }
        for (table, partition), (state, message) in states.items()
    ]  # fmt: skip
    token = f"backfill:{run_id}:{now.isoformat()}"
    append_rows(store, "backfills", rows, CommitRecord(run_id, token))


def _alive(row: Mapping[str, Any]) -> bool:
    """Whether the process that reported is still there; of other machines that is not known."""
    if row["host"] != socket.gethostname():
        return True
    return same(row["pid"], row["process_started"]) is not None
