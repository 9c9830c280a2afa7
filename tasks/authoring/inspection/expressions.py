"""Expressions over the typed columns of a row: columns, rules, deletes, defaults of lookups."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructType

from storage.sql import quote
from tasks.authoring.inspection.analyzer import Inspection
from tasks.domain.schemas import DELETED, bronze_schema
from tasks.domain.spec import ColumnSpec, SilverSpec
from tasks.rows.frames import is_sourced, typed


def look(inspection: Inspection) -> None:
    """Add what does not resolve against the typed columns, or has another type than wanted."""
    for name, silver in inspection.domain.silver.items():
        if silver.source and inspection.complete(silver.source, f"silver.{name}"):
            _row_by_row(inspection, name, silver)


def _row_by_row(inspection: Inspection, name: str, silver: SilverSpec) -> None:
    key = f"domain.silver.{name}"
    kind = "samples" if silver.reduce else "columns"
    rows = _typed(inspection, silver)
    for column, spec in silver.row_columns.items():
        if spec.expr is None:
            continue
        made = _with(inspection, rows, column, spec.expr, spec.type, f"{key}.{kind}.{column}.expr")
        rows = made if made is not None else rows.withColumn(column, F.lit(None).cast(spec.type))
    if silver.delete_when:
        _condition(inspection, rows, silver.delete_when, f"{key}.delete_when")
    judged = rows.withColumn(DELETED, F.lit(False))
    for rule, said in silver.rules.items():
        _condition(inspection, judged, said.when, f"{key}.rules.{rule}.when")
    _lookups(inspection, silver, rows, key)


def _typed(inspection: Inspection, silver: SilverSpec) -> DataFrame:
    """The row's typed columns as the engine makes them, without those that are computed."""
    source = inspection.domain.bronze[(silver.source or "").removeprefix("bronze.")]
    sourced = {
        n: c
        for n, c in silver.row_columns.items()
        if is_sourced(c) and (c.source or n) in source.columns
    }
    empty = inspection.view("source", bronze_schema(source))
    return typed(empty, sourced, source.columns)


def _with(
    inspection: Inspection, rows: DataFrame, column: str, expr: str, kind: str, key: str
) -> DataFrame | None:
    return inspection.resolved(key, lambda: rows.withColumn(column, F.expr(expr).cast(kind)))


def _condition(inspection: Inspection, rows: DataFrame, text: str, key: str) -> None:
    made = inspection.resolved(key, lambda: rows.select(F.expr(text)))
    if made is not None and not isinstance(made.schema.fields[0].dataType, BooleanType):
        said = made.schema.fields[0].dataType.simpleString()
        inspection.found.error(key, f"gives {said}; true or false is wanted")


def _lookups(inspection: Inspection, silver: SilverSpec, rows: DataFrame, key: str) -> None:
    looked_up = {n: c for n, c in silver.columns.items() if c.lookup is not None}
    for column, spec in looked_up.items():
        lookup, _, theirs = (spec.lookup or "").partition(".")
        other = silver.lookups[lookup].table if lookup in silver.lookups else ""
        columns = inspection.schemas.get(other, StructType())
        if theirs in columns.names and columns[theirs].dataType.simpleString() != spec.type:
            inspection.found.warn(
                f"{key}.columns.{column}.lookup",
                f"{other}.{theirs} is a {columns[theirs].dataType.simpleString()}, "
                f"declared is {spec.type}",
            )
    empty = {n: F.lit(None).cast(c.type) for n, c in looked_up.items()}
    rows = rows.withColumns(empty) if empty else rows
    for column, spec in looked_up.items():
        if spec.default is not None:
            _default(inspection, rows, column, spec, f"{key}.columns.{column}.default")


def _default(
    inspection: Inspection, rows: DataFrame, column: str, spec: ColumnSpec, key: str
) -> None:
    made = inspection.resolved(
        key, lambda: rows.select(F.coalesce(F.col(quote(column)), F.expr(spec.default or "null")))
    )
    if made is not None and (kind := made.schema.fields[0].dataType.simpleString()) != spec.type:
        inspection.found.error(key, f"makes the column a {kind}, declared is {spec.type}")
