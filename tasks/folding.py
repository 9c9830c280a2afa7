"""Rows of a query kept up to date from what is new, without reading all rows of a group again; pure.

A query may be folded where its result over two sets of rows follows from its results over each: counts and
sums, minima and maxima. Sums of decimals are exact, so that the order in which rows came leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    FractionalType,
    IntegralType,
    StringType,
    TimestampType,
)

from storage.errors import ConfigurationError
from storage.schemas import type_of
from storage.sql import quote
from storage.types import TableRef
from tasks.spec import ColumnSpec, Fold, GoldSpec, Rounding, SilverSpec

NEW = "new_"
"""Prefix of the view of an input that holds its new rows only."""
FUNCTIONS: Mapping[Fold, Callable[[str], Column]] = {
    Fold.sum: F.sum,
    Fold.min: F.min,
    Fold.max: F.max,
}


def combined(stored: DataFrame, new: DataFrame, spec: GoldSpec | SilverSpec) -> DataFrame:
    """One row a key out of the stored row and the row that the query makes of new rows.

    Args:
        stored: Rows of the table.
        new: The query's result over the new rows of its input.
        spec: Key, columns and how each is folded.

    Returns:
        The key and the folded columns, in the types that are declared.
    """
    names = [quote(c) for c in (*spec.key, *spec.fold)]
    both = stored.select(*names).unionByName(new.select(*names))
    return both.groupBy(*map(quote, spec.key)).agg(
        *[
            FUNCTIONS[how](quote(name)).cast(spec.columns[name].type).alias(name)
            for name, how in spec.fold.items()
        ]
    )


def with_computed(ref: TableRef, rows: DataFrame, columns: Mapping[str, ColumnSpec]) -> DataFrame:
    """The rows with the columns that are computed by `expr`, in the order declared.

    Raises:
        ConfigurationError: An `expr` gives a type whose values the column's would round or cut off without a
            word, and the column does not say that it `rounds`.
    """
    computed = [F.expr(c.expr).alias(n) for n, c in columns.items() if c.expr]
    for field in rows.select(*computed).schema.fields:
        _refuse_loss(ref, field.name, field.dataType, columns[field.name])
    return rows.select(
        *[
            F.expr(column.expr).cast(column.type).alias(name) if column.expr else F.col(quote(name))
            for name, column in columns.items()
        ]
    )


def _refuse_loss(ref: TableRef, name: str, found: DataType, column: ColumnSpec) -> None:
    wanted = type_of(column.type)
    if _loses(found, wanted) and column.rounds is Rounding.none:
        rounds = "Say `rounds: half_up`, or cast" if isinstance(wanted, DecimalType) else "Cast"
        raise ConfigurationError(
            f"{ref.label}.{name}: its expr gives {found.simpleString()}, of which {column.type} does not "
            "hold every value exactly",
            advice=f"{rounds} in the expr of {ref.label}.{name}.",
        )


def _loses(found: DataType, wanted: DataType) -> bool:
    """Whether Spark's cast rounds or cuts off without an error."""
    if isinstance(wanted, DecimalType):
        more = isinstance(found, DecimalType) and found.scale > wanted.scale
        inexact = isinstance(found, FractionalType) and not isinstance(found, DecimalType)
        return more or inexact or isinstance(found, StringType)
    if isinstance(wanted, IntegralType):
        whole = isinstance(found, DecimalType) and found.scale == 0
        return isinstance(found, FractionalType) and not whole
    return isinstance(wanted, DateType) and isinstance(found, TimestampType)
