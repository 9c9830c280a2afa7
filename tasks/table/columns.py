"""The columns of a table: what it lacks, what it gets, and the report of each change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from storage.errors import TableExistsError
from storage.evolution import FIRST, AddColumn, compare
from storage.schemas import named_types, same_columns
from storage.types import Commit, CommitRecord, TableRef, Version
from tasks.context import Context
from tasks.domain.schemas import bronze_schema
from tasks.ops.tables import append_rows
from tasks.table.layout import layout

FIRST_METADATA = "_ingested_at"


def additions(found: pa.Schema, wanted: Sequence[tuple[str, str]]) -> list[AddColumn]:
    """The columns that a table lacks, to be added before the metadata columns."""
    names = found.names
    place = names.index(FIRST_METADATA) if FIRST_METADATA in names else len(names)
    after = names[place - 1] if place else FIRST
    added: list[AddColumn] = []
    for name, kind in wanted:
        if name not in names:
            added.append(AddColumn(name, kind, after))
            after = name
    return added


def note_declared(context: Context, ref: TableRef, lacking: Sequence[AddColumn]) -> None:
    """Report that a table gets columns which the domain newly declares."""
    before = named_types(context.store.columns(ref))
    after = before | {c.name: c.type for c in lacking}
    change = f"declared: {', '.join(c.name for c in lacking)}"
    row = change_row(context, ref, mode="declared", change=change, before=before, after=after)
    report_changes(context, [row], f"declared:{ref.path}:{','.join(after)}")


def replace(
    context: Context, ref: TableRef, rows: DataFrame, record: CommitRecord, checked: Version
) -> Commit:
    """Replace rows and columns of a table in one commit, and report the change of its columns."""
    before, after = named_types(context.store.columns(ref)), named_types(rows.schema)
    evolution = compare(context.store.columns(ref), rows.schema)
    change = "; ".join([*map(str, evolution.changes), *evolution.breaking])
    row = change_row(context, ref, mode="upgrade", change=change, before=before, after=after)
    report_changes(context, [row], f"upgrade:{record.token}")
    return context.store.replace(ref, rows, record, expected=checked)


def change_row(
    context: Context,
    ref: TableRef,
    *,
    mode: str,
    change: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    batch_id: str = "",
    outcome: str = "applied",
) -> dict[str, object]:
    """A change of columns as a row of `ops.schema_changes`."""
    return {
        "run_id": context.run.run_id, "domain": context.domain.name, "table_name": ref.label,
        "batch_id": batch_id, "mode": mode, "outcome": outcome, "change": change,
        "before": json.dumps(before, ensure_ascii=False),
        "after": json.dumps(after, ensure_ascii=False),
        "code": context.run.code, "recorded_at": datetime.now(UTC),
    }  # fmt: skip


def report_changes(context: Context, rows: Sequence[Mapping[str, object]], token: str) -> None:
    """Append rows to `ops.schema_changes`; a repeat of the token writes nothing."""
    if rows:
        append_rows(context.store, "schema_changes", rows, CommitRecord(context.run.run_id, token))


def create_bronze(context: Context, ref: TableRef) -> None:
    """Create a bronze table, or add the columns to it that the domain newly declares."""
    source = context.domain.bronze[ref.name]
    create_growing(context, ref, bronze_schema(source), **layout(source))


def create_growing(
    context: Context,
    ref: TableRef,
    wanted: StructType,
    *,
    partition_by: tuple[str, ...] = (),
    track_changes: bool = False,
) -> None:
    """Create a table that keeps what came: it gets the declared columns that it lacks, and loses none.

    Raises:
        TableExistsError: It has a column with another type than declared.
    """
    store = context.store
    if not store.exists(ref):
        store.create(ref, wanted, partition_by=partition_by, track_changes=track_changes)
        return
    found = store.columns(ref)
    lacking = additions(found, [(f.name, f.dataType.simpleString()) for f in wanted.fields])
    have, want = named_types(found), named_types(wanted)
    changed = [f"{n} is {have[n]}, wanted {t}" for n, t in want.items() if have.get(n, t) != t]
    if changed:
        raise _differs(context, ref, changed)
    if lacking:
        note_declared(context, ref, lacking)
        store.evolve(ref, lacking)


def create_exact(context: Context, ref: TableRef, wanted: StructType) -> None:
    """Create a table that has exactly the columns declared, unless this run replaces it.

    Raises:
        TableExistsError: It was published with other columns.
    """
    store = context.store
    if store.exists(ref) and not same_columns(store.columns(ref), wanted):
        if context.run.rebuild:
            return
        found = store.columns(ref)
        if store.head(ref).record is not None or store.stats(ref).rows:
            difference = compare(found, wanted)
            raise _differs(context, ref, [*map(str, difference.changes), *difference.breaking])
        store.drop(ref)  # nothing was ever published in it
    store.create(ref, wanted)


def _differs(context: Context, ref: TableRef, difference: list[str]) -> TableExistsError:
    return TableExistsError(
        f"{ref.label} has other columns than the domain declares: {'; '.join(difference)}",
        advice=f"Rebuild it from bronze: lakehouse upgrade domain={context.domain.name}",
    )
