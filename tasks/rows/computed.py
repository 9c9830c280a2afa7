"""Columns that are computed of a query's rows (`expr`)."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from storage.errors import ConfigurationError
from storage.sql import quote
from storage.types import TableRef
from tasks.domain.spec import ColumnSpec, Rounding
from tasks.rows.parsing import casts_exactly


def with_computed(ref: TableRef, rows: DataFrame, columns: Mapping[str, ColumnSpec]) -> DataFrame:
    """The rows with the columns that are computed by `expr`, in the order declared.

    Raises:
        ConfigurationError: An `expr` gives a type of which the column's does not hold every value, and the
            column does not say that it `rounds`: Spark's cast would round, or cut off, without a word.
    """
    expressions = [F.expr(c.expr).alias(name) for name, c in columns.items() if c.expr]
    for field in rows.select(*expressions).schema.fields if expressions else []:
        _refuse_loss(ref, field.name, field.dataType, columns[field.name])
    return rows.select(
        *[
            F.expr(column.expr).cast(column.type).alias(name) if column.expr else F.col(quote(name))
            for name, column in columns.items()
        ]
    )


def _refuse_loss(ref: TableRef, name: str, found: DataType, column: ColumnSpec) -> None:
    if casts_exactly(found, column.type) or column.rounds is not Rounding.none:
        return
    is_decimal = column.type.startswith("decimal")
    raise ConfigurationError(
        f"{ref.label}.{name}: its expr gives {found.simpleString()}, of which {column.type} does not hold "
        "every value",
        advice="Declare `rounds: half_up` for it, or cast in the expr."
        if is_decimal
        else "Cast in the expr.",
    )
