"""The business instant that checks measure freshness against."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.types import TableRef
from tasks.context import Context
from tasks.domain.sql_text import named_tables, to_views

PREFIX = "as_of_"
"""Of the views that the domain's `as_of` is taken from, beside those that the checks see."""


def as_of(context: Context, table: TableRef, result: DataFrame) -> str:
    """The instant that is given, else the newest business date of the domain, else the start of the run.

    It is asked for once a run and version of the tables that it is taken from.

    Args:
        context: The context.
        table: The table that is checked.
        result: That table as it will be.

    Returns:
        `YYYY-MM-DD hh:mm:ss` in UTC; the end of the day where the domain has a date.
    """
    if context.run.as_of:
        return context.run.as_of
    refs = [context.domain.ref(label) for label in named_tables(context.domain.as_of)]
    if not all(context.store.exists(ref) for ref in refs):
        return _start(context)
    if table in refs:
        return _asked(context, refs, {table: result})
    key = tuple(f"{ref.label} {context.store.head(ref).version}" for ref in refs)
    if key not in context.run.as_of_at:
        context.run.as_of_at[key] = _asked(context, refs, {})
    return context.run.as_of_at[key]


def _asked(context: Context, refs: list[TableRef], instead: dict[TableRef, DataFrame]) -> str:
    for ref in refs:
        rows = instead[ref] if ref in instead else context.store.read(ref)
        rows.createOrReplaceTempView(f"{PREFIX}{ref.view}")
    found = context.store.query(to_views(context.domain.as_of, PREFIX)).toDF("as_of")
    value = found.select(F.col("as_of").cast("string")).collect()[0][0]
    if value is None:
        return _start(context)
    return str(value) if " " in value else f"{value} 23:59:59"


def _start(context: Context) -> str:
    return context.run.started_at.strftime("%Y-%m-%d %H:%M:%S")
