"""The operational tables: their columns, and how rows get into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from storage.base import TableStore
from storage.evolution import AddColumn, compare
from storage.types import CommitRecord, TableRef

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
REPLACED = "replaced"
"""Status in `table_metrics` of a table that a rebuild wrote again."""
ROLLED_BACK = "rolled back"
WRITTEN = ("published", "pushed")
"""Statuses of a table whose rows changed."""
RESTATED = "restated"
"""Status in `table_metrics` of a table that a backfill made again in part."""
COUNTS = (
    "ingested", "published", "deduplicated", "folded", "quarantined", "rejected", "released", "restated",
)  # fmt: skip

BATCH_METRICS = pa.schema(
    [
        ("run_id", pa.string()),
        ("domain", pa.string()),
        ("table_name", pa.string()),
        ("batch_id", pa.string()),
        ("status", pa.string()),
        *((f"rows_{name}", pa.int64()) for name in COUNTS),
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


def ops_table(name: str) -> TableRef:
    """An operational table by its name; they are shared by all domains of a lake."""
    return TableRef("ops", "ops", name)


def append_rows(
    store: TableStore, name: str, rows: Sequence[Mapping[str, object]], record: CommitRecord
) -> None:
    """Add rows to an operational table, also to one that another version of the code made.

    Columns that it lacks are added; its columns that this version does not know are null.
    """
    table = pa.Table.from_pylist(list(rows), schema=TABLES[name])
    add_lacking_columns(store, [name])
    if store.exists(ops_table(name)):
        table = as_columns(store.columns(ops_table(name)), table)
    store.append_arrow(ops_table(name), table, record)


def lacking_columns(
    store: TableStore, names: Sequence[str] = tuple(TABLES)
) -> dict[str, list[AddColumn]]:
    """The columns that operational tables of an older version lack, by table."""
    found: dict[str, list[AddColumn]] = {}
    for name in names:
        if store.exists(ops_table(name)):
            changes = compare(store.columns(ops_table(name)), TABLES[name]).changes
            last, added = store.columns(ops_table(name)).names[-1], []
            for change in changes:
                if isinstance(change, AddColumn):
                    added.append(AddColumn(change.name, change.type, last))
                    last = change.name
            if added:
                found[name] = added
    return found


def add_lacking_columns(
    store: TableStore, names: Sequence[str] = tuple(TABLES)
) -> dict[str, list[AddColumn]]:
    """Add the columns that operational tables of an older version lack; a repeat adds none."""
    made = lacking_columns(store, names)
    for name, added in made.items():
        store.evolve(ops_table(name), added)
    return made


def as_columns(columns: pa.Schema, rows: pa.Table) -> pa.Table:
    """The rows with the columns of a table that another version of the code may have made."""
    for column in columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(columns.names).cast(columns)
