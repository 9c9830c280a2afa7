"""Values of PostgreSQL as the text that it gives, where a type of Spark would change or refuse them."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    FractionalType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from storage.sql import quote

TEXTS = ("numeric", "time", "timetz", "timestamp", "timestamptz", "date")
"""Types that Spark would cut (`numeric` to 38 digits), give a date (`time`), or that hold what Spark has no
place for: NaN, infinity, years before 1 and after 9999."""
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59.999"
"""As what an infinite instant is read."""


def as_text(schema: StructType, *, typed: str = "") -> str:
    """The columns that are read as text, as Spark's option `customSchema`; `bit(n)` is its zeros and ones.

    Args:
        schema: The columns as Spark understands them.
        typed: One that keeps its type, since Spark's own options part by it.
    """
    texts = [f for f in schema.fields if f.name.lower() != typed.lower() and _is_text(f)]
    return ", ".join(f"{quote(f.name)} string" for f in texts)


def _is_text(field: StructField) -> bool:
    kind = field.metadata.get("jdbcClientType")
    return kind in TEXTS or (kind == "bit" and isinstance(field.dataType, BinaryType))


def with_json(relation: str, schema: StructType) -> str:
    """The relation with its arrays as JSON: Spark has one depth for all rows, and no NaN in decimals."""
    if not any(isinstance(f.dataType, ArrayType) for f in schema.fields):
        return relation
    columns = (
        f"array_to_json({name})::text as {name}" if isinstance(f.dataType, ArrayType) else name
        for f, name in ((f, '"' + f.name.replace('"', '""') + '"') for f in schema.fields)
    )
    return f"(select {', '.join(columns)} from {relation}) with_json"


def finite(column: str, kind: DataType) -> str:
    """The WHERE clause that leaves out what no range can end at."""
    if isinstance(kind, FractionalType):
        return f" where {column}::text not in ('NaN', 'Infinity', '-Infinity')"
    if isinstance(kind, NumericType):
        return ""
    return f" where {column} between '{FIRST}' and '{LAST}'"


def text_of(field: StructField, native: DataType) -> Column:
    """A column that is read as text, as bronze has it: instants in UTC without the server's `+00`."""
    value = F.col(quote(field.name))
    if not isinstance(native, TimestampType):
        return value
    plain = F.regexp_replace(value, r"\+00(?= BC$|$)", "")
    return F.when(value == "infinity", LAST).when(value == "-infinity", FIRST).otherwise(plain)


def bound_of(since: str, native: DataType) -> Column:
    """The literal that the server compares a column with that is read as text."""
    return F.lit(f"{since}+00" if isinstance(native, TimestampType) else since)


def is_text(field: StructField, native: DataType) -> bool:
    """Whether a column is read as the text of another type."""
    return isinstance(field.dataType, StringType) and not isinstance(native, StringType)
