"""Tables that are the result of a query: gold tables, and silver histories (SCD2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.errors import ConfigurationError
from storage.plans import MergePlan, sync_plan
from storage.schemas import describe_difference, same_columns, schema
from storage.sql import quote
from storage.types import TableRef
from tasks.bench import Bench, Staged, attempt_id, fingerprint, moved, position, views
from tasks.decisions import Decision, settlements
from tasks.scd2 import spans
from tasks.spec import ColumnSpec, dependencies
from tasks.sql_text import to_views

METADATA = (("_batch_id", "string"), ("_merge_id", "string"), ("_updated_at", "timestamp"))
SPAN = (("valid_from", "timestamp"), ("valid_to", "timestamp"), ("is_current", "boolean"))


def business_columns(bench: Bench, ref: TableRef) -> list[tuple[str, str]]:
    """Names and types of the table's own columns, in order."""
    columns: Mapping[str, ColumnSpec] = (
        bench.domain.gold[ref.name].columns
        if ref.layer == "gold"
        else bench.domain.silver[ref.name].columns
    )
    span = SPAN if ref.layer == "silver" else ()
    return [*((name, column.type) for name, column in columns.items()), *span]


def derived_schema(bench: Bench, ref: TableRef) -> StructType:
    """The table's own columns, then the metadata."""
    return schema([*business_columns(bench, ref), *METADATA])


def key_of(bench: Bench, ref: TableRef) -> list[str]:
    """The merge key: the grain of a gold table, natural key and span start of a history."""
    if ref.layer == "gold":
        return bench.domain.gold[ref.name].key
    return [*bench.domain.silver[ref.name].key, "valid_from"]


def plan(bench: Bench, ref: TableRef) -> MergePlan:
    """Make the table equal to the query's result, writing only what differs."""
    compared = [name for name, _ in business_columns(bench, ref)]
    columns = [*compared, *(name for name, _ in METADATA)]
    return sync_plan(key_of(bench, ref), columns, compared)


def contract_of(bench: Bench, ref: TableRef) -> str:
    """Fingerprint of the declarations and the SQL."""
    return fingerprint(business_columns(bench, ref), key_of(bench, ref), _text(bench, ref))


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Write the query's result to the staging folder; None when its inputs did not move."""
    labels = dependencies(bench.domain)[ref.label]
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
    folder = bench.folder(ref, token)
    result = _complete(bench, ref, _query(bench, ref, after), token, batch_id)
    result.write.mode("overwrite").parquet(str(folder / "rows"))
    staged = Staged(
        table=ref,
        token=token,
        folder=str(folder),
        inputs=after,
        contract=contract,
        replace=bench.run.rebuild,
        notes={
            "batch_id": batch_id,
            "accepted": decided is not None and decided.decision is Decision.accepted,
        },
    )
    staged = replace(staged, rows=_count(bench, staged))
    staged.save()
    return staged


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged result of the query, whole."""
    rows = bench.store.session.read.parquet(staged.part("rows"))
    return rows.select(*map(quote, plan(bench, staged.table).columns))


def _text(bench: Bench, ref: TableRef) -> str:
    if ref.layer == "gold":
        return bench.sql(bench.domain.gold[ref.name].sql)
    return bench.sql(bench.domain.silver[ref.name].events or "")


def _query(bench: Bench, ref: TableRef, versions: Mapping[str, str]) -> DataFrame:
    views(bench, versions)
    rows = bench.store.session.sql(to_views(_text(bench, ref)))
    if ref.layer == "gold":
        return rows
    spec = bench.domain.silver[ref.name]
    return spans(rows, keys=spec.key, track=spec.track, sequence_by=spec.sequence_by)


def _complete(bench: Bench, ref: TableRef, rows: DataFrame, token: str, batch_id: str) -> DataFrame:
    wanted = schema(business_columns(bench, ref))
    if not same_columns(rows.schema, wanted):
        raise ConfigurationError(
            f"{ref.label}: the query's columns are not those declared: "
            + describe_difference(rows.schema, wanted),
            advice=f"Mend the SQL or the columns of {ref.label} in the domain's YAML.",
        )
    return rows.select(
        *[quote(f.name) for f in wanted.fields],
        F.lit(batch_id).alias("_batch_id"),
        F.lit(token).alias("_merge_id"),
        F.lit(bench.run.started_at).cast("timestamp").alias("_updated_at"),
    )


def _count(bench: Bench, staged: Staged) -> dict[str, int]:
    """Rows of the result, and how many of them differ from the table's."""
    ref, total = staged.table, staged.count("rows")
    if bench.run.rebuild or bench.store.head(ref).record is None:
        return {"computed": total, "published": total, "removed": 0}
    result = bench.store.session.read.parquet(staged.part("rows"))
    target = bench.store.read(ref)
    changed = plan(bench, ref).effective(target, result).count()
    removed = target.join(result.select(*key_of(bench, ref)), key_of(bench, ref), "left_anti")
    return {"computed": total, "published": changed, "removed": removed.count()}
