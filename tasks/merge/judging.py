"""From bronze rows to judged rows: typed, each with the rule that it breaks, references looked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.sql import quote
from storage.types import TableRef, Version
from tasks.context import Context
from tasks.domain.schemas import DELETED, EVENT_ID, WINDOW
from tasks.domain.spec import SilverSpec
from tasks.records import releases
from tasks.rows import ordering
from tasks.rows.frames import REFERENCE_MISSING, WAIVED, typed, waived, with_broken_rule


def judge(
    context: Context, ref: TableRef, rows: DataFrame, versions: Mapping[str, str]
) -> DataFrame:
    """The typed columns, `_is_deleted`, `_rule` and `_reason`, `_let_in`, and what the merge key is made of.

    Args:
        context: The context.
        ref: A silver table fed row by row.
        rows: Bronze rows; further columns whose names start with `_` are kept.
        versions: Version of each referenced table and of the waivers, by `layer.table`.
    """
    spec = context.domain.silver[ref.name]
    columns = context.domain.bronze[context.domain.ref(spec.source or "").name].columns
    rows = releases.with_waivers(context, ref, rows, versions.get(releases.LABEL))
    rows = with_broken_rule(typed(rows, spec.row_columns, columns), spec)
    for name, reference in spec.references.items():
        version = Version(versions[reference.table])
        rows = _missing_reference(context, rows, name, spec, version)
    rows = rows.withColumn("_let_in", F.col(WAIVED).isNotNull()).drop(WAIVED)
    if spec.window is not None:
        rows = rows.withColumn(WINDOW, ordering.window_start(spec))
    if spec.keeps_events:
        rows = rows.withColumn(EVENT_ID, ordering.event_id(spec))
    return rows


def _missing_reference(
    context: Context, rows: DataFrame, name: str, spec: SilverSpec, version: Version
) -> DataFrame:
    table, by = spec.references[name].table, spec.references[name].by
    parent = context.store.read(context.domain.ref(table), version)
    keys = parent.select(
        *[F.col(quote(theirs)).alias(f"_parent_{own}") for own, theirs in by.items()],
        F.lit(True).alias("_found"),
    ).distinct()
    pairs = [F.col(quote(own)).eqNullSafe(F.col(f"_parent_{own}")) for own in by]
    joined = rows.join(keys, reduce(lambda a, b: a & b, pairs), "left")
    absent = F.col("_rule").isNull() & F.col("_found").isNull() & ~F.col(DELETED)
    absent = absent & ~waived(REFERENCE_MISSING)
    own = next(iter(by))
    reason = F.concat(
        F.lit(f"{own}: '"), F.coalesce(F.col(quote(own)).cast("string"), F.lit("")),
        F.lit(f"' is not in {table} yet (record "),
        F.col("_record_number"), F.lit(" of "), F.col("_source_file"), F.lit(")"),
    )  # fmt: skip
    return (
        joined.withColumn("_reason", F.when(absent, reason).otherwise(F.col("_reason")))
        .withColumn("_rule", F.when(absent, REFERENCE_MISSING).otherwise(F.col("_rule")))
        .drop("_found", *[f"_parent_{own}" for own in by])
    )
