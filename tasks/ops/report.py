"""The operational tables: a report of runs, checks and row counts.

No run takes its starting point from them; runs and row counts can be rebuilt from the commit records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa

from checks.model import Outcome
from storage.base import TableStore
from storage.errors import CommitConflictError
from storage.types import LAYERS, CommitRecord, Snapshot, TableRef
from tasks.context import GateReport, RunInfo
from tasks.domain.spec import DESTINATION
from tasks.notes import Account, Notes
from tasks.ops.tables import (
    COUNTS,
    REPLACED,
    RESTATED,
    ROLLED_BACK,
    ROW_COUNTS,
    TABLES,
    WRITTEN,
    add_lacking_columns,
    append_rows,
    as_columns,
    ops_table,
)

Row: TypeAlias = Mapping[str, Any]
REBUILD_TRIES = 10
"""How often a rebuild of a report reads its table, where others write to it meanwhile."""


@dataclass
class TableOutcome:
    """What became of one table in a run.

    Attributes:
        status: published, pushed (into a destination), unchanged, blocked, failed, skipped or rolled back.
        rows: Row accounting of what was staged.
        accounts: The same for each batch of a table fed row by row.
        version: Of the table, after the run.
        partition: Label of the part of the table in a backfill, else empty.
        restated: Whether a backfill made parts of it again.
        replaced: Whether a rebuild wrote it whole.
    """

    table: TableRef
    status: str
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    version: str = ""
    gate: GateReport | None = None
    message: str = ""
    advice: str = ""
    accounts: Mapping[str, Account] = field(default_factory=dict)
    partition: str = ""
    restated: bool = False
    replaced: bool = False

    def written(self, unit: str = "") -> str:
        """Rows published, and removed where there are any; else the status."""
        if self.status not in WRITTEN:
            return self.status
        removed = self.rows.get("removed", 0)
        published = f"{self.rows.get('published', 0):,}{unit}"
        return f"{published}, {removed:,} removed" if removed else published

    @property
    def label(self) -> str:
        """The table, and its part where it is of one."""
        return f"{self.table.label} {self.partition}".rstrip()


def report(
    store: TableStore,
    domain: str,
    run: RunInfo,
    outcomes: Sequence[TableOutcome],
    *,
    status: str,
    score: float,
    message: str,
) -> None:
    """Append one run to the tables; a repeat for the same run writes nothing."""
    now = datetime.now(UTC)
    published = [o for o in outcomes if o.status == "published"]
    runs = [
        {
            "run_id": run.run_id,
            "domain": domain,
            "status": status,
            "started_at": run.started_at,
            "seconds": (now - run.started_at).total_seconds(),
            "tables_published": len(published),
            "rows_published": sum(o.rows.get("published", 0) for o in published),
            "score": score,
            "message": message,
            "code": run.code,
        }
    ]
    common = {"run_id": run.run_id, "domain": domain}
    metrics = [common | _metrics(store, run, o, now) for o in outcomes if o.status != "skipped"]
    checks = [
        common | row | {"checked_at": now} for o in outcomes if o.gate for row in _checks(o.gate)
    ]
    batches = [
        common | row | {"status": _reported(o), "recorded_at": now}
        for o in outcomes
        for row in _accounts(o.table, o.accounts)
    ]
    reported = {"check_results": checks, "batch_metrics": batches, "table_metrics": metrics}
    for name, rows in (*reported.items(), ("runs", runs)):
        if rows:
            append_rows(store, name, rows, CommitRecord(run.run_id, f"ops:{run.run_id}"))


def _reported(outcome: TableOutcome) -> str:
    if outcome.status != "published":
        return outcome.status
    if outcome.restated:
        return RESTATED
    return REPLACED if outcome.replaced else "published"


def _metrics(
    store: TableStore, run: RunInfo, outcome: TableOutcome, now: datetime
) -> dict[str, object]:
    of_lake = outcome.table.layer in LAYERS and store.exists(outcome.table)
    stats = store.stats(outcome.table) if of_lake else None
    return {
        "table_name": outcome.table.label,
        "status": _reported(outcome),
        **{f"rows_{name}": outcome.rows.get(name) for name in ROW_COUNTS},
        "groups": outcome.rows.get("groups"),
        "table_rows": stats.rows if stats else None,
        "table_bytes": stats.bytes if stats else None,
        "seconds": outcome.seconds,
        "version": outcome.version,
        "message": outcome.message,
        "blocked_batches": list(outcome.gate.batches)
        if outcome.gate and outcome.status == "blocked"
        else [],
        "recorded_at": now,
    }


def _accounts(table: TableRef, accounts: Mapping[str, Account]) -> Iterator[dict[str, object]]:
    for batch_id, account in accounts.items():
        counts = {f"rows_{name}": account.get(name, 0) for name in COUNTS}
        yield {"table_name": table.label, "batch_id": batch_id, **counts}


def _checks(gate: GateReport) -> list[dict[str, object]]:
    return [
        {
            "table_name": gate.table.label,
            "token": gate.token,
            "check_name": result.name,
            "dataset": result.dataset,
            "outcome": result.outcome.value,
            "waived": result.name in gate.waived,
            "value": result.value,
            "threshold": result.threshold,
            "severity": result.severity.value,
            "message": result.message,
            "table_score": gate.verdict.score,
        }
        for result in gate.results
    ]


def passed(gate: GateReport) -> tuple[int, int]:
    """Checks passed, and checks in all."""
    good = sum(1 for r in gate.results if r.outcome is Outcome.PASS)
    return good, len(gate.results)


def rebuild(store: TableStore, domain: str, tables: Sequence[TableRef]) -> int:
    """Write `runs`, `table_metrics` and `batch_metrics` again from the tables' commit records.

    Check results are not in the commit records beyond their score, and pushes are in none: their rows stay
    as they are. Each table is replaced in one commit, so a kill loses no row; run it while no run of the
    domain is under way.

    Returns:
        The number of commits reported.
    """
    metrics: list[dict[str, object]] = []
    batches: list[dict[str, object]] = []
    runs: dict[str, dict[str, object]] = {}
    for table in tables:
        for entry in reversed(store.history(table)) if store.exists(table) else ():
            if entry.record is None:
                continue
            record = entry.record
            common: dict[str, object] = {
                "run_id": record.run_id, "domain": domain, "recorded_at": entry.committed_at,
                "status": _status(entry), "groups": record.rows.get("groups"),
            }  # fmt: skip
            accounts = Notes.of(record).accounts or {}
            batches += [common | row for row in _accounts(table, accounts)]
            counts = {f"rows_{name}": record.rows.get(name) for name in ROW_COUNTS}
            metrics.append(common | counts | {"table_name": table.label, "version": entry.version})
            run = runs.setdefault(
                record.run_id,
                {
                    "run_id": record.run_id, "domain": domain, "status": "rebuilt",
                    "started_at": entry.committed_at, "tables_published": 0, "rows_published": 0,
                    "code": record.code, "message": "rebuilt from commit records",
                },
            )  # fmt: skip
            if _status(entry) in ("published", REPLACED, RESTATED):
                run["tables_published"] = int(str(run["tables_published"])) + 1
                run["rows_published"] = int(str(run["rows_published"])) + record.rows.get(
                    "published", 0
                )
    pushing = _pushing(store, domain)
    _replace(store, "table_metrics", metrics, lambda r: r["domain"] != domain or _of_push(r))
    _replace(store, "batch_metrics", batches, lambda r: r["domain"] != domain)
    _replace(
        store, "runs", list(runs.values()),
        lambda r: r["domain"] != domain or (r["run_id"] in pushing and r["run_id"] not in runs),
    )  # fmt: skip
    return len(metrics)


def _pushing(store: TableStore, domain: str) -> set[object]:
    """The runs of a domain that have pushed: one that did nothing else is in no commit record."""
    if not store.exists(ops_table("table_metrics")):
        return set()
    rows = store.read_arrow(ops_table("table_metrics")).to_pylist()
    return {row["run_id"] for row in rows if row["domain"] == domain and _of_push(row)}


def _status(entry: Snapshot) -> str:
    notes = Notes.of(entry.record)
    if entry.restored is not None:
        return ROLLED_BACK
    if entry.record and entry.record.is_checkpoint:
        return "unchanged"
    if notes.replaces:
        return REPLACED
    return RESTATED if notes.backfill else "published"


def _of_push(row: Mapping[str, object]) -> bool:
    return str(row.get("table_name")).startswith(f"{DESTINATION}.")


def _replace(
    store: TableStore, name: str, rows: list[dict[str, object]], keeps: Callable[[Row], bool]
) -> None:
    """Put rows in the place of those that are not kept, in one commit; another's report is never lost."""
    record = CommitRecord("ops-rebuild", f"ops-rebuild:{datetime.now(UTC).isoformat()}")
    if not store.exists(ops_table(name)):
        append_rows(store, name, rows, record)
        return
    add_lacking_columns(store, [name])
    for number in range(1, REBUILD_TRIES + 1):
        checked = store.version(ops_table(name))
        found = store.read_arrow(ops_table(name))
        kept = found.filter(pa.array([keeps(row) for row in found.to_pylist()], pa.bool_()))
        made = as_columns(found.schema, pa.Table.from_pylist(rows, schema=TABLES[name]))
        try:
            store.overwrite_arrow(
                ops_table(name), pa.concat_tables([kept, made]), record, expected=checked
            )
        except CommitConflictError:  # a run of another domain has reported meanwhile
            if number == REBUILD_TRIES:
                raise
        else:
            return
