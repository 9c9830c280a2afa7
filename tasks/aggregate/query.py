"""The query of a derived table, and its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.errors import ConfigurationError
from storage.schemas import describe_difference, same_columns, schema
from storage.sql import quote
from storage.types import TableRef
from tasks.aggregate.groups import restricted
from tasks.domain.schemas import (
    DELETED,
    MARK,
    business_columns,
    group_of,
    spec_of,
    types_of,
)
from tasks.domain.spec import (
    EVENTS,
    Deletes,
    DomainSpec,
    SilverSpec,
)
from tasks.domain.sql_files import sql_file
from tasks.domain.sql_text import to_views
from tasks.rows.computed import with_computed
from tasks.rows.histories import folded, spans
from tasks.rows.ordering import content

RunQuery: TypeAlias = Callable[[str], DataFrame]
"""Runs a query over the views of a session."""


def _text(domain: DomainSpec, ref: TableRef) -> str:
    spec = spec_of(domain, ref)
    if spec.sql:
        return sql_file(domain, spec.sql)
    assert isinstance(spec, SilverSpec)  # noqa: S101 - gold has a query
    return sql_file(domain, spec.events) if spec.events else f"select * from {spec.inputs[0]}"


def query(
    run: RunQuery, domain: DomainSpec, ref: TableRef, keys: DataFrame | None = None
) -> DataFrame:
    """The result of a table's query with the table's columns, whole or for the touched keys.

    Args:
        run: Runs it where the inputs are views `layer_table`.
        domain: The domain.
        ref: A derived table.
        keys: The touched keys, or None for all.
    """
    rows = queried(run, domain, ref)
    if keys is not None:  # of a history the events are restricted, before it is made of them
        rows = restricted(rows, keys, group_of(domain, ref))
    return rows if spec_of(domain, ref).sql else history(domain, ref, rows)


def queried(run: RunQuery, domain: DomainSpec, ref: TableRef, prefix: str = "") -> DataFrame:
    """What a table's SQL gives, with the columns computed of it; a history's events as they are.

    Args:
        run: Runs it where the inputs are views `layer_table`, with the prefix.
        domain: The domain.
        ref: A derived table.
        prefix: Begin of the views' names.

    Raises:
        ConfigurationError: The SQL gives other columns than those declared for it.
    """
    rows, spec = run(to_views(_text(domain, ref), prefix)), spec_of(domain, ref)
    if not spec.sql:
        return rows
    given = {name: column for name, column in spec.columns.items() if not column.expr}
    _refuse_difference(ref, rows.schema, schema(types_of(given)))
    return with_computed(ref, rows, spec.columns)


def history(domain: DomainSpec, ref: TableRef, events: DataFrame) -> DataFrame:
    """The rows of a derived silver table, made of the events of its keys."""
    spec = domain.silver[ref.name]
    log = domain.silver.get(f"{ref.name}{EVENTS}", spec)
    ties = [c for c in (DELETED, *content(log)) if c in events.columns]
    if spec.is_history:
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
            advice=f"Fix the SQL or the columns of {ref.label} in the domain's YAML.",
        )
