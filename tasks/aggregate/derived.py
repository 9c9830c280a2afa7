"""Tables that are the result of a query: gold tables, and silver tables with SQL or made of their events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from storage.errors import ConfigurationError
from storage.plans import GONE, MergePlan, difference, difference_plan, lacking
from storage.spark.metrics import rows_read, scans
from storage.sql import quote
from storage.types import TableRef, Version
from tasks.aggregate.groups import distinct, mapped, restricted, touched, within
from tasks.aggregate.query import queried, query, refuse_other_columns
from tasks.context import (
    Attempt,
    Context,
    attempt_id,
    backfill_folder,
    fingerprint,
    has_changed,
    live,
    source_versions,
    views,
)
from tasks.domain.schemas import (
    DERIVED_METADATA,
    business_columns,
    group_of,
    key_of,
    spec_of,
)
from tasks.domain.spec import (
    EVENTS,
    DomainSpec,
    SilverSpec,
    dependencies,
)
from tasks.notes import BackfillPart, Notes
from tasks.records import changes
from tasks.records.contracts import contract_of
from tasks.records.decisions import rejected, resolvable
from tasks.records.heads import heads
from tasks.rows.computed import with_computed
from tasks.rows.folding import NEW, combined
from tasks.rows.partitions import Partition

NO_SPAN = "none of its inputs declares partition, and it has no date key"


def plan(context: Context, ref: TableRef) -> MergePlan:
    """Apply the staged difference."""
    columns = [name for name, _ in (*business_columns(context.domain, ref), *DERIVED_METADATA)]
    return difference_plan(key_of(context.domain, ref), columns)


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Stage what differs from the query's result; None when no input moved or the attempt was rejected."""
    labels, found = dependencies(context.domain)[ref.label], heads(context, ref)
    before = source_versions(context, ref)
    contract = contract_of(context, ref)
    if not any(has_changed(context, context.domain.ref(i), before.get(i)) for i in labels):
        return None
    after = {i: str(context.store.head(context.domain.ref(i)).version) for i in labels}
    rebuilding = [context.run.run_id] if context.run.rebuild else []
    token = fingerprint(ref.label, before, after, contract, rebuilding)
    batch_id = attempt_id(ref, after, contract)
    if batch_id in rejected(context.store, context.domain.name):
        return None
    first = context.run.rebuild or context.store.head(ref).record is None
    attempt = Attempt(
        table=ref,
        token=token,
        folder=str(context.folder(ref, token)),
        inputs=after,
        contract=contract,
        replace=context.run.rebuild,
        heads=found,
        notes=Notes(
            itself=resolvable(context.store, context.domain.name, batch_id),
            keeps_changes=not first,
            null_keys=True,
        ),
    )
    attempt.clear()
    views(context, after)
    spec, group = spec_of(context.domain, ref), group_of(context.domain, ref)
    keys = None if first else touched(context, spec.groups, group, before, after)
    if keys is None:
        return _computed(context, attempt, None, batch_id, first=first)
    neglected = _neglected(context, ref, after)
    if neglected is not None:
        keys = distinct([keys, neglected])
    return _computed(context, attempt, keys, batch_id, Since(before, neglected))


def _neglected(context: Context, ref: TableRef, versions: Mapping[str, str]) -> DataFrame | None:
    """The groups with a null in their key, where an earlier version of the platform left them stale."""
    spec, group = spec_of(context.domain, ref), group_of(context.domain, ref)
    head = context.store.head(ref).record
    judged = list(spec.inputs) == [f"{ref.label}{EVENTS}"]  # rows without a key are in quarantine
    if spec.group_by or judged or head is None or Notes.of(head).null_keys:
        return None
    parts = [context.store.read(ref).select(*map(quote, group))]
    for label, mapping in spec.groups.items():
        rows = context.store.read(context.domain.ref(label), Version(versions[label]))
        parts.append(mapped(context, label, mapping, rows, group))
    empty = reduce(Column.__or__, [F.col(quote(k)).isNull() for k in group])
    return distinct(parts).where(empty)


def restage(context: Context, ref: TableRef, part: BackfillPart) -> Attempt:
    """Compute again the groups that a partition of the inputs maps to, and write what differs.

    The inputs are read as the table has consumed them, so its source versions stay as they were.

    Args:
        context: The context.
        ref: A derived table that declares `groups`.
        part: The partition.

    Raises:
        ConfigurationError: The table was never computed.
    """
    found = heads(context, ref)
    head = context.store.head(ref).record
    if head is None or not head.inputs:
        raise ConfigurationError(
            f"{ref.label} was never computed, so there is nothing to restate",
            advice=f"Load it first: lakehouse run domain={context.domain.name}",
        )
    contract = contract_of(context, ref)
    token = fingerprint(ref.label, part.stored(), dict(head.inputs), contract)
    batch_id = f"{ref.name}-{token[:12]}"
    attempt = Attempt(
        table=ref,
        token=token,
        folder=str(backfill_folder(context, ref, token)),
        inputs=dict(head.inputs),
        contract=contract,
        heads=found,
        notes=Notes(
            backfill=part,
            itself=resolvable(context.store, context.domain.name, batch_id),
            keeps_changes=True,
            null_keys=bool(Notes.of(head).null_keys),
        ),
    )
    attempt.clear()
    views(context, head.inputs)
    spec, group = spec_of(context.domain, ref), group_of(context.domain, ref)
    parts = within(context, spec.groups, group, part.partition, head.inputs)
    parts += _dated(context, ref, part.partition)
    keys = distinct(parts)
    return _computed(context, attempt, keys, batch_id)


def undivided(domain: DomainSpec, ref: TableRef) -> str:
    """Why the table cannot be computed for a span of time; empty where it can."""
    spec = spec_of(domain, ref)
    if spec.full:
        return f"it is computed whole ({spec.full}) and follows by itself"
    inputs = [domain.spec(domain.ref(label)) for label in spec.groups]
    placed = any(isinstance(read, SilverSpec) and read.partition for read in inputs)
    return "" if placed or _dates(domain, ref) else NO_SPAN


def _dates(domain: DomainSpec, ref: TableRef) -> dict[str, str]:
    """The columns of a group that are dates or instants, with their types."""
    types = dict(business_columns(domain, ref))
    found = {k: types.get(k, "") for k in group_of(domain, ref)}
    return {k: kind for k, kind in found.items() if kind in ("date", "timestamp")}


def _dated(context: Context, ref: TableRef, partition: Partition) -> list[DataFrame]:
    """The groups whose own date falls in the partition, those without any input row included."""
    group = [quote(k) for k in group_of(context.domain, ref)]
    rows = context.store.read(ref)
    return [
        rows.where(partition.typed(quote(k), kind)).select(*group)
        for k, kind in _dates(context.domain, ref).items()
    ]


class Since(NamedTuple):
    """What a table may be folded from: the versions that it has consumed, and keys not to be folded."""

    versions: Mapping[str, str]
    recomputed: DataFrame | None = None


def _computed(
    context: Context,
    attempt: Attempt,
    keys: DataFrame | None,
    batch_id: str,
    since: Since | None = None,
    *,
    first: bool = False,
) -> Attempt:
    """Stage the difference between the table and its query, for the touched keys where they are known.

    Args:
        context: The context.
        attempt: The attempt.
        keys: The touched keys; None computes all.
        batch_id: What a person resolves the attempt by.
        since: What the table may be folded from, where it may be.
        first: Whether the table has no rows that count.
    """
    ref = attempt.table
    made: DataFrame | None = None
    if keys is not None:
        keys = context.store.materialised(keys, attempt.part("touched"))
        if since is not None and spec_of(context.domain, ref).fold:
            made = _folded(context, attempt, keys, since)
    if made is None:
        made = query(context.store.query, context.domain, ref, keys)
    rows = _complete(context, ref, made, attempt.token, batch_id)
    attempt = replace(attempt, rows=_write(context, attempt, rows, keys, first=first))
    attempt.save()
    return attempt


def staged_rows(context: Context, attempt: Attempt) -> DataFrame:
    """The staged difference: rows to write, and rows that leave."""
    rows = changes.rows_of(context, attempt)
    return rows.select(*map(quote, plan(context, attempt.table).source_columns))


def _folded(context: Context, attempt: Attempt, keys: DataFrame, since: Since) -> DataFrame | None:
    """The touched keys from their stored rows and the new rows of the input; None where that is not known.

    Keys of which rows changed or left are computed from all their rows.
    """
    ref, spec = attempt.table, spec_of(context.domain, attempt.table)
    [label] = spec.inputs
    read = context.domain.ref(label)
    found = changes.sides(context, read, since.versions.get(label), attempt.inputs[label])
    if found is None:
        return None
    live(context.domain, read, found.new).createOrReplaceTempView(f"{NEW}{read.view}")
    made = queried(context.store.query, context.domain, ref, NEW)
    new, stored = (restricted(rows, keys, spec.key) for rows in (made, context.store.read(ref)))
    rows = with_computed(ref, combined(stored, new, spec), spec.columns)
    parts = [] if since.recomputed is None else [since.recomputed]
    if not found.old.isEmpty():
        parts.append(mapped(context, label, spec.groups[label], found.old, spec.key))
    if not parts:
        return rows
    other = context.store.materialised(distinct(parts), attempt.part("recomputed"))
    kept = lacking(rows, F.broadcast(other), spec.key)
    return kept.unionByName(query(context.store.query, context.domain, ref, other))


def _complete(
    context: Context, ref: TableRef, rows: DataFrame, token: str, batch_id: str
) -> DataFrame:
    refuse_other_columns(context.domain, ref, rows.schema)
    return rows.select(
        *[quote(name) for name, _ in business_columns(context.domain, ref)],
        F.lit(batch_id).alias("_batch_id"),
        F.lit(token).alias("_merge_id"),
        F.lit(context.run.started_at).cast("timestamp").alias("_updated_at"),
    )


def _write(
    context: Context, attempt: Attempt, result: DataFrame, keys: DataFrame | None, *, first: bool
) -> dict[str, int]:
    """Stage the difference.

    Returns:
        Rows computed, to be written and to be removed; rows read of the inputs and rows that they have;
        the groups that were touched, where not all are computed.
    """
    ref = attempt.table
    computed = Observation(f"computed {attempt.token}")
    result = result.observe(computed, F.count(F.lit(1)).alias("rows"))
    if first:
        rows = result.withColumn(GONE, F.lit(False))
    else:
        target = context.store.read(ref)
        if keys is not None:
            target = restricted(target, keys, group_of(context.domain, ref))
        compared = [name for name, _ in business_columns(context.domain, ref)]
        rows = difference(target, result, key_of(context.domain, ref), compared)
    with scans(context.store.session) as found:
        rows.write.mode("overwrite").parquet(attempt.part("rows"))
    inputs = [context.domain.ref(label) for label in attempt.inputs]
    counted = {
        "computed": int(computed.get["rows"]),
        "published": attempt.count("rows", ~ds.field(GONE)),
        "removed": attempt.count("rows", ds.field(GONE)),
        "scanned": rows_read(found, [ref.path for ref in inputs]),
        "available": sum(context.store.stats(ref).rows for ref in inputs),
    }
    return counted | ({"groups": attempt.count("touched")} if keys is not None else {})
