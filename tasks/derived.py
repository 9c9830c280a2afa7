"""Tables that are the result of a query: gold tables, and silver tables made of the events of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.errors import ConfigurationError
from storage.metrics import rows_read, scans
from storage.parquet_reading import spark_rows
from storage.plans import GONE, MergePlan, difference, difference_plan, lacking
from storage.schemas import describe_difference, same_columns, schema
from storage.sql import quote
from storage.types import TableRef, Version
from tasks import changes
from tasks.bench import (
    NOTE,
    Bench,
    Staged,
    attempt_id,
    backfill_folder,
    fingerprint,
    live,
    moved,
    position,
    sql_file,
    views,
)
from tasks.computed import with_computed
from tasks.contracts import contract_of
from tasks.decisions import Decision, settlements
from tasks.folding import NEW, combined
from tasks.groups import distinct, mapped, restricted, touched, within
from tasks.heads import heads
from tasks.histories import folded, spans
from tasks.ordering import DELETED, content
from tasks.partitions import Partition
from tasks.spec import (
    EVENTS,
    ColumnSpec,
    Deletes,
    DomainSpec,
    GoldSpec,
    SilverSpec,
    Strategy,
    dependencies,
)
from tasks.sql_text import to_views

METADATA = (("_batch_id", "string"), ("_merge_id", "string"), ("_updated_at", "timestamp"))
SPAN = (("valid_from", "timestamp"), ("valid_to", "timestamp"), ("is_current", "boolean"))
MARK = ((DELETED, "boolean"), ("_deleted_at", "timestamp"))
NULL_KEYS = "null_keys"
"""Note of a commit: groups with a null in their key are up to date, which earlier versions left stale."""


def spec_of(domain: DomainSpec, ref: TableRef) -> GoldSpec | SilverSpec:
    """What the domain declares of a table."""
    return domain.gold[ref.name] if ref.layer == "gold" else domain.silver[ref.name]


def business_columns(domain: DomainSpec, ref: TableRef) -> list[tuple[str, str]]:
    """Names and types of the table's own columns, in order."""
    spec = spec_of(domain, ref)
    if isinstance(spec, GoldSpec) or spec.sql:
        return _types(spec.columns)
    if spec.strategy is Strategy.scd2:
        return [*_types(spec.columns), *SPAN]
    return [*_types(spec.columns), *(MARK if spec.marks_deleted else ())]


def _types(columns: Mapping[str, ColumnSpec]) -> list[tuple[str, str]]:
    return [(name, column.type) for name, column in columns.items()]


def derived_schema(domain: DomainSpec, ref: TableRef) -> StructType:
    """The table's own columns, then the metadata."""
    return schema([*business_columns(domain, ref), *METADATA])


def key_of(domain: DomainSpec, ref: TableRef) -> list[str]:
    """The merge key: the grain of a gold table, natural key and span start of a history."""
    spec = spec_of(domain, ref)
    history = isinstance(spec, SilverSpec) and spec.strategy is Strategy.scd2
    return [*spec.key, "valid_from"] if history else list(spec.key)


def group_of(domain: DomainSpec, ref: TableRef) -> list[str]:
    """Columns that identify what is computed at once: a group, a key with all its spans."""
    spec = spec_of(domain, ref)
    return list(spec.group_by or spec.key)


def has_groups_in_key(domain: DomainSpec, ref: TableRef) -> bool:
    """Whether a row's key tells its group, so that the key can be in no other group."""
    return set(group_of(domain, ref)) <= set(key_of(domain, ref))


def plan(bench: Bench, ref: TableRef) -> MergePlan:
    """Apply the staged difference."""
    columns = [name for name, _ in (*business_columns(bench.domain, ref), *METADATA)]
    return difference_plan(key_of(bench.domain, ref), columns)


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Write what differs from the query's result to the staging folder; None when no input moved."""
    labels, found = dependencies(bench.domain)[ref.label], heads(bench, ref)
    before = position(bench, ref)
    contract = contract_of(bench, ref)
    if not any(moved(bench, bench.domain.ref(i), before.get(i)) for i in labels):
        return None
    after = {i: str(bench.store.head(bench.domain.ref(i)).version) for i in labels}
    rebuilding = [bench.run.run_id] if bench.run.rebuild else []
    token = fingerprint(ref.label, before, after, contract, rebuilding)
    batch_id = attempt_id(ref, after, contract)
    decided = settlements(bench.store, bench.domain.name).get(batch_id)
    if decided is not None and decided.decision is Decision.rejected:
        return None
    first = bench.run.rebuild or bench.store.head(ref).record is None
    staged = Staged(
        table=ref,
        token=token,
        folder=str(bench.folder(ref, token)),
        inputs=after,
        contract=contract,
        replace=bench.run.rebuild,
        heads=found,
        notes={
            "batch_id": batch_id,
            "accepted": decided is not None and decided.decision is Decision.accepted,
            "changes": not first,
            NULL_KEYS: True,
        },
    )
    staged.clear()
    views(bench, after)
    spec, group = spec_of(bench.domain, ref), group_of(bench.domain, ref)
    keys = None if first else touched(bench, spec.groups, group, before, after)
    if keys is None:
        return _computed(bench, staged, None, batch_id, first=first)
    neglected = _neglected(bench, ref, after)
    if neglected is not None:
        keys = distinct([keys, neglected])
    return _computed(bench, staged, keys, batch_id, Since(before, neglected))


def _neglected(bench: Bench, ref: TableRef, versions: Mapping[str, str]) -> DataFrame | None:
    """The groups with a null in their key, where an earlier version of the platform left them stale."""
    spec, group = spec_of(bench.domain, ref), group_of(bench.domain, ref)
    head = bench.store.head(ref).record
    judged = list(spec.inputs) == [f"{ref.label}{EVENTS}"]  # rows without a key are in quarantine
    if spec.group_by or judged or head is None or head.notes.get(NULL_KEYS):
        return None
    parts = [bench.store.read(ref).select(*map(quote, group))]
    for label, mapping in spec.groups.items():
        rows = bench.store.read(bench.domain.ref(label), Version(versions[label]))
        parts.append(mapped(bench, label, mapping, rows, group))
    empty = reduce(Column.__or__, [F.col(quote(k)).isNull() for k in group])
    return distinct(parts).where(empty)


def restage(bench: Bench, ref: TableRef, partition: Partition, note: Mapping[str, Any]) -> Staged:
    """Compute anew the groups that a partition of the inputs maps to, and write what differs.

    The inputs are read as the table has consumed them, so its position stays where it was.

    Args:
        bench: The bench.
        ref: A derived table that declares `groups`.
        partition: The span of time.
        note: Id of the backfill and the partition, for the commit record.

    Raises:
        ConfigurationError: The table was never computed.
    """
    found = heads(bench, ref)
    head = bench.store.head(ref).record
    if head is None or not head.inputs:
        raise ConfigurationError(
            f"{ref.label} was never computed, so there is nothing to restate",
            advice=f"Load it first: lakehouse run domain={bench.domain.name}",
        )
    contract = contract_of(bench, ref)
    token = fingerprint(ref.label, dict(note), dict(head.inputs), contract)
    batch_id = f"{ref.name}-{token[:12]}"
    decided = settlements(bench.store, bench.domain.name).get(batch_id)
    staged = Staged(
        table=ref,
        token=token,
        folder=str(backfill_folder(bench, ref, token)),
        inputs=dict(head.inputs),
        contract=contract,
        heads=found,
        notes={
            NOTE: dict(note),
            "batch_id": batch_id,
            "accepted": decided is not None and decided.decision is Decision.accepted,
            "changes": True,
            NULL_KEYS: bool(head.notes.get(NULL_KEYS)),
        },
    )
    staged.clear()
    views(bench, head.inputs)
    spec, group = spec_of(bench.domain, ref), group_of(bench.domain, ref)
    parts = within(bench, spec.groups, group, partition, head.inputs)
    parts += _dated(bench, ref, partition)
    keys = distinct(parts)
    return _computed(bench, staged, keys, batch_id)


def _dated(bench: Bench, ref: TableRef, partition: Partition) -> list[DataFrame]:
    """The groups whose own date falls in the partition, those without any input row included."""
    group, types = group_of(bench.domain, ref), dict(business_columns(bench.domain, ref))
    return [
        bench.store.read(ref).where(partition.typed(quote(k), types[k])).select(*map(quote, group))
        for k in group
        if types[k] in ("date", "timestamp")
    ]


class Since(NamedTuple):
    """What a table may be folded from: the versions that it has consumed, and keys not to be folded."""

    versions: Mapping[str, str]
    recomputed: DataFrame | None = None


def _computed(
    bench: Bench,
    staged: Staged,
    keys: DataFrame | None,
    batch_id: str,
    since: Since | None = None,
    *,
    first: bool = False,
) -> Staged:
    """Stage the difference between the table and its query, for the touched keys where they are known.

    Args:
        bench: The bench.
        staged: The attempt.
        keys: The touched keys; None computes all.
        batch_id: What a person settles the attempt by.
        since: What the table may be folded from, where it may be.
        first: Whether the table has no rows that count.
    """
    ref = staged.table
    made: DataFrame | None = None
    if keys is not None:
        keys.write.mode("overwrite").parquet(staged.part("touched"))
        keys = spark_rows(bench.store.session, staged.part("touched"))
        if since is not None and spec_of(bench.domain, ref).fold:
            made = _folded(bench, staged, keys, since)
    if made is None:
        made = query(bench.store.session, bench.domain, ref, keys)
    rows = _complete(bench, ref, made, staged.token, batch_id)
    staged = replace(staged, rows=_write(bench, staged, rows, keys, first=first))
    staged.save()
    return staged


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged difference: rows to write, and rows that leave."""
    rows = changes.rows_of(bench, staged)
    return rows.select(*map(quote, plan(bench, staged.table).source_columns))


def _text(domain: DomainSpec, ref: TableRef) -> str:
    spec = spec_of(domain, ref)
    if spec.sql:
        return sql_file(domain, spec.sql)
    assert isinstance(spec, SilverSpec)  # noqa: S101 - gold has a query
    return sql_file(domain, spec.events) if spec.events else f"select * from {spec.inputs[0]}"


def query(
    session: SparkSession, domain: DomainSpec, ref: TableRef, keys: DataFrame | None = None
) -> DataFrame:
    """The result of a table's query with the table's columns, whole or for the touched keys.

    Args:
        session: Has the inputs as views `layer_table`.
        domain: The domain.
        ref: A derived table.
        keys: The touched keys, or None for all.
    """
    rows = _result(session, domain, ref)
    if keys is not None:  # of a history the events are restricted, before it is made of them
        rows = restricted(rows, keys, group_of(domain, ref))
    return rows if spec_of(domain, ref).sql else history(domain, ref, rows)


def _result(
    session: SparkSession, domain: DomainSpec, ref: TableRef, prefix: str = ""
) -> DataFrame:
    """What a table's SQL gives, with the columns computed of it; a history's events as they are.

    Args:
        session: Has the inputs as views `layer_table`, with the prefix.
        domain: The domain.
        ref: A derived table.
        prefix: Begin of the views' names.

    Raises:
        ConfigurationError: The SQL gives other columns than those declared for it.
    """
    rows, spec = session.sql(to_views(_text(domain, ref), prefix)), spec_of(domain, ref)
    if not spec.sql:
        return rows
    given = {name: column for name, column in spec.columns.items() if not column.expr}
    _refuse_difference(ref, rows.schema, schema(_types(given)))
    return with_computed(ref, rows, spec.columns)


def _folded(bench: Bench, staged: Staged, keys: DataFrame, since: Since) -> DataFrame | None:
    """The touched keys from their stored rows and the new rows of the input; None where that is not known.

    Keys of which rows changed or left are computed from all their rows.
    """
    session, ref, spec = bench.store.session, staged.table, spec_of(bench.domain, staged.table)
    [label] = spec.inputs
    read = bench.domain.ref(label)
    found = changes.sides(bench, read, since.versions.get(label), staged.inputs[label])
    if found is None:
        return None
    live(bench.domain, read, found.new).createOrReplaceTempView(f"{NEW}{read.view}")
    made = _result(session, bench.domain, ref, NEW)
    new, stored = (restricted(rows, keys, spec.key) for rows in (made, bench.store.read(ref)))
    rows = with_computed(ref, combined(stored, new, spec), spec.columns)
    parts = [] if since.recomputed is None else [since.recomputed]
    if not found.old.isEmpty():
        parts.append(mapped(bench, label, spec.groups[label], found.old, spec.key))
    if not parts:
        return rows
    other = distinct(parts)
    other.write.mode("overwrite").parquet(staged.part("recomputed"))
    other = spark_rows(session, staged.part("recomputed"))
    kept = lacking(rows, F.broadcast(other), spec.key)
    return kept.unionByName(query(session, bench.domain, ref, other))


def history(domain: DomainSpec, ref: TableRef, events: DataFrame) -> DataFrame:
    """The rows of a derived silver table, made of the events of its keys."""
    spec = domain.silver[ref.name]
    log = domain.silver.get(f"{ref.name}{EVENTS}", spec)
    ties = [c for c in (DELETED, *content(log)) if c in events.columns]
    if spec.strategy is Strategy.scd2:
        return spans(
            events, keys=spec.key, track=spec.track, sequence_by=spec.sequence_by, ties=ties
        )
    if DELETED not in events.columns:
        events = events.withColumn(DELETED, F.lit(False))
    columns = [c for c in spec.columns if c not in spec.key]
    order = [*spec.sequence_by, DELETED, *content(log)]
    rows = folded(events, keys=spec.key, columns=columns, order=order)
    if spec.deletes is Deletes.hard:
        rows = rows.where(~F.col(DELETED))
    instant = F.col(quote(spec.sequence_by[0]))
    dated = spec.columns[spec.sequence_by[0]].type in ("timestamp", "date")
    at = F.when(F.col(DELETED) & F.lit(dated), instant.try_cast("timestamp"))
    rows = rows.withColumn("_deleted_at", at)
    added = [name for name, _ in MARK] if spec.marks_deleted else []
    return rows.select(*map(quote, spec.columns), *added)


def refuse_other_columns(domain: DomainSpec, ref: TableRef, found: StructType) -> None:
    """Refuse a result whose columns are not those declared, in their order and types.

    Raises:
        ConfigurationError: The message names the difference.
    """
    _refuse_difference(ref, found, schema(business_columns(domain, ref)))


def _refuse_difference(ref: TableRef, found: StructType, wanted: StructType) -> None:
    if not same_columns(found, wanted):
        raise ConfigurationError(
            f"{ref.label}: the query's columns are not those declared: "
            + describe_difference(found, wanted),
            advice=f"Mend the SQL or the columns of {ref.label} in the domain's YAML.",
        )


def _complete(bench: Bench, ref: TableRef, rows: DataFrame, token: str, batch_id: str) -> DataFrame:
    refuse_other_columns(bench.domain, ref, rows.schema)
    return rows.select(
        *[quote(name) for name, _ in business_columns(bench.domain, ref)],
        F.lit(batch_id).alias("_batch_id"),
        F.lit(token).alias("_merge_id"),
        F.lit(bench.run.started_at).cast("timestamp").alias("_updated_at"),
    )


def _write(
    bench: Bench, staged: Staged, result: DataFrame, keys: DataFrame | None, *, first: bool
) -> dict[str, int]:
    """Stage the difference.

    Returns:
        Rows computed, to be written and to be removed; rows read of the inputs and rows that they have;
        the groups that were touched, where not all are computed.
    """
    ref = staged.table
    computed = Observation(f"computed {staged.token}")
    result = result.observe(computed, F.count(F.lit(1)).alias("rows"))
    if first:
        rows = result.withColumn(GONE, F.lit(False))
    else:
        target = bench.store.read(ref)
        if keys is not None:
            target = restricted(target, keys, group_of(bench.domain, ref))
        compared = [name for name, _ in business_columns(bench.domain, ref)]
        rows = difference(target, result, key_of(bench.domain, ref), compared)
    with scans(bench.store.session) as found:
        rows.write.mode("overwrite").parquet(staged.part("rows"))
    inputs = [bench.domain.ref(label) for label in staged.inputs]
    counted = {
        "computed": int(computed.get["rows"]),
        "published": staged.count("rows", ~ds.field(GONE)),
        "removed": staged.count("rows", ds.field(GONE)),
        "scanned": rows_read(found, [ref.path for ref in inputs]),
        "available": sum(bench.store.stats(ref).rows for ref in inputs),
    }
    return counted | ({"groups": staged.count("touched")} if keys is not None else {})
