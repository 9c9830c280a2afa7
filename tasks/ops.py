"""The operational tables: a report of runs, checks and row counts.

No run takes its starting point from them; runs and row counts can be rebuilt from the commit records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from checks.model import Outcome
from storage.base import TableStore
from storage.errors import CommitConflictError
from storage.evolution import AddColumn, compare
from storage.types import CommitRecord, Snapshot, TableRef
from tasks import accounting
from tasks.bench import NOTE, RunInfo
from tasks.spec import DESTINATION

if TYPE_CHECKING:  # the gate itself looks at the report
    from tasks.gate import GateReport

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("status", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("seconds", pa.float64()),
        ("tables_published", pa.int64()),
        ("rows_published", pa.int64()),
        ("score", pa.float64()),
        ("message", pa.string()),
        ("code", pa.string()),
    ]
)
CHECK_RESULTS = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("token", pa.string()),
        ("check_name", pa.string()),
        ("dataset", pa.string()),
        ("outcome", pa.string()),
        ("waived", pa.bool_()),
        ("value", pa.float64()),
        ("threshold", pa.string()),
        ("severity", pa.string()),
        ("message", pa.string()),
        ("table_score", pa.float64()),
        ("checked_at", pa.timestamp("us", tz="UTC")),
    ]
)
ROW_COUNTS = (
    "ingested", "published", "quarantined", "deduplicated", "rejected", "released", "refreshed",
    "removed", "waiting", "computed", "scanned", "available",
)  # fmt: skip
TABLE_METRICS = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("status", pa.string()),
        *((f"rows_{name}", pa.int64()) for name in ROW_COUNTS),
        ("groups", pa.int64()),
        ("table_rows", pa.int64()),
        ("table_bytes", pa.int64()),
        ("seconds", pa.float64()),
        ("version", pa.string()),
        ("message", pa.string()),
        ("blocked_batches", pa.list_(pa.string())),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
    ]
)
Row: TypeAlias = Mapping[str, Any]
REBUILD_ATTEMPTS = 10
"""How often a rebuild reads a table of the report again that others write to."""
REPLACED = "replaced"
"""Status in `table_metrics` of a table that a rebuild wrote anew."""
ROLLED_BACK = "rolled back"
WRITTEN = ("published", "pushed")
"""Statuses of a table whose rows changed."""
RESTATED = "restated"
"""Status in `table_metrics` of a table that a backfill made anew in part."""
BATCH_METRICS = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("batch_id", pa.string()),
        ("status", pa.string()),
        *((f"rows_{name}", pa.int64()) for name in accounting.COUNTS),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
    ]
)
SCHEMA_CHANGES = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("batch_id", pa.string()),
        ("mode", pa.string()),
        ("outcome", pa.string()),
        ("change", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("code", pa.string()),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
    ]
)
CONTRACTS = pa.schema(
    [
        ("contract", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("code", pa.string()),
        ("meaning", pa.string()),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
    ]
)
BACKFILLS = pa.schema(
    [
        ("backfill_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("unit", pa.string()),
        ("partition_start", pa.date32()),
        ("partition_end", pa.date32()),
        ("state", pa.string()),
        ("message", pa.string()),
        ("run_id", pa.string()),
        ("host", pa.string()),
        ("pid", pa.int64()),
        ("process_started", pa.float64()),
        ("recorded_at", pa.timestamp("us", tz="UTC")),
    ]
)
TABLES = {
    "runs": RUNS,
    "check_results": CHECK_RESULTS,
    "table_metrics": TABLE_METRICS,
    "batch_metrics": BATCH_METRICS,
    "schema_changes": SCHEMA_CHANGES,
    "contracts": CONTRACTS,
    "backfills": BACKFILLS,
}


@dataclass
class TableOutcome:
    """What became of one table in a run.

    Attributes:
        status: published, pushed (into a destination), unchanged, blocked, failed, skipped or rolled back.
        rows: Row accounting of what was staged.
        accounts: The same for each batch of a table fed row by row.
        version: Position after the run.
        partition: Label of the part of the table in a backfill, else empty.
        restated: Whether a backfill made parts of it anew.
    """

    table: TableRef
    status: str
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    version: str = ""
    gate: GateReport | None = None
    message: str = ""
    advice: str = ""
    accounts: Mapping[str, accounting.Account] = field(default_factory=dict)
    partition: str = ""
    restated: bool = False

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


def ref(name: str) -> TableRef:
    """An operational table; they are shared by all domains of a lake."""
    return TableRef("ops", "ops", name)


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
        common | row | {"status": _reported(run, o), "recorded_at": now}
        for o in outcomes
        for row in _accounts(o.table, o.accounts)
    ]
    reported = {"check_results": checks, "batch_metrics": batches, "table_metrics": metrics}
    for name, rows in (*reported.items(), ("runs", runs)):
        if rows:
            append(store, name, rows, CommitRecord(run.run_id, f"ops:{run.run_id}"))


def append(
    store: TableStore, name: str, rows: Sequence[Mapping[str, object]], record: CommitRecord
) -> None:
    """Add rows to an operational table, also to one that another version of the code made.

    Columns that it lacks are added; its columns that this version does not know are null.
    """
    table = pa.Table.from_pylist(list(rows), schema=TABLES[name])
    upgrade(store, [name])
    if store.exists(ref(name)):
        table = _as(store.columns(ref(name)), table)
    store.append_arrow(ref(name), table, record)


def outdated(store: TableStore, names: Sequence[str] = tuple(TABLES)) -> dict[str, list[AddColumn]]:
    """The columns that operational tables of an older version lack, by table."""
    found: dict[str, list[AddColumn]] = {}
    for name in names:
        if store.exists(ref(name)):
            changes = compare(store.columns(ref(name)), TABLES[name]).changes
            last, added = store.columns(ref(name)).names[-1], []
            for change in changes:
                if isinstance(change, AddColumn):
                    added.append(AddColumn(change.name, change.type, last))
                    last = change.name
            if added:
                found[name] = added
    return found


def upgrade(store: TableStore, names: Sequence[str] = tuple(TABLES)) -> dict[str, list[AddColumn]]:
    """Add the columns that operational tables of an older version lack; a repeat adds none."""
    made = outdated(store, names)
    for name, added in made.items():
        store.evolve(ref(name), added)
    return made


def _reported(run: RunInfo, outcome: TableOutcome) -> str:
    if outcome.status != "published":
        return outcome.status
    if outcome.restated:
        return RESTATED
    return REPLACED if run.rebuild and outcome.table.layer != "bronze" else "published"


def _metrics(
    store: TableStore, run: RunInfo, outcome: TableOutcome, now: datetime
) -> dict[str, object]:
    of_lake = outcome.table.layer != DESTINATION
    stats = store.stats(outcome.table) if of_lake and store.exists(outcome.table) else None
    return {
        "table_name": outcome.table.label,
        "status": _reported(run, outcome),
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


def _accounts(
    table: TableRef, accounts: Mapping[str, accounting.Account]
) -> Iterator[dict[str, object]]:
    for batch_id, account in accounts.items():
        counts = {f"rows_{name}": account.get(name, 0) for name in accounting.COUNTS}
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
    """Write `runs`, `table_metrics` and `batch_metrics` anew from the tables' commit records.

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
            accounts = record.notes.get(accounting.ACCOUNTS, {})
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
    if not store.exists(ref("table_metrics")):
        return set()
    rows = store.read_arrow(ref("table_metrics")).to_pylist()
    return {row["run_id"] for row in rows if row["domain"] == domain and _of_push(row)}


def _status(entry: Snapshot) -> str:
    notes = entry.record.notes if entry.record else {}
    if entry.restored is not None:
        return ROLLED_BACK
    if notes.get("mark"):
        return "unchanged"
    if notes.get("replace"):
        return REPLACED
    return RESTATED if NOTE in notes else "published"


def _of_push(row: Mapping[str, object]) -> bool:
    return str(row.get("table_name")).startswith(f"{DESTINATION}.")


def _replace(
    store: TableStore, name: str, rows: list[dict[str, object]], keeps: Callable[[Row], bool]
) -> None:
    """Put rows in the place of those that are not kept, in one commit; another's report is never lost."""
    record = CommitRecord("ops-rebuild", f"ops-rebuild:{datetime.now(UTC).isoformat()}")
    if not store.exists(ref(name)):
        append(store, name, rows, record)
        return
    upgrade(store, [name])
    for attempt in range(1, REBUILD_ATTEMPTS + 1):
        checked = store.version(ref(name))
        found = store.read_arrow(ref(name))
        kept = found.filter(pa.array([keeps(row) for row in found.to_pylist()], pa.bool_()))
        made = _as(found.schema, pa.Table.from_pylist(rows, schema=TABLES[name]))
        try:
            store.overwrite_arrow(
                ref(name), pa.concat_tables([kept, made]), record, expected=checked
            )
        except CommitConflictError:  # a run of another domain has reported meanwhile
            if attempt == REBUILD_ATTEMPTS:
                raise
        else:
            return


def _as(columns: pa.Schema, rows: pa.Table) -> pa.Table:
    """The rows with the columns of a table that another version of the code may have made."""
    for column in columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(columns.names).cast(columns)
