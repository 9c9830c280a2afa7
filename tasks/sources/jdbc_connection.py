"""How Spark's JDBC reader is asked for a source's table, and what its errors mean.

Secrets become values here and nowhere else: what is printed, stored or hashed holds references.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    DateType,
    DoubleType,
    FloatType,
    IntegralType,
    NumericType,
    StructField,
    StructType,
)

from storage import secrets
from storage.errors import InputError, LakehouseError
from storage.failures import explain
from storage.sql import quote
from tasks.sources.secrets import redacted
from tasks.spec import PartitionsSpec, SourceSpec

DEFAULTS = {"fetchsize": "10000", "preferTimestampNTZ": "true"}
"""Without a fetch size some drivers hold the whole result in memory; without the other, wall-clock times
move by the time zone of this machine."""
TEXTUAL = ("numeric", "time", "timetz", "timestamp", "timestamptz", "date")
ADVICE = "Check url, table and options of the source, and that the database answers."


def loaded(
    session: SparkSession, source: SourceSpec, *, parted: bool = True
) -> tuple[DataFrame, StructType]:
    """The source's table or query, lazily, and its columns as Spark understands the database's types.

    Values that Spark's type for them would change or refuse are read as the text that the database gives.
    Unless `parted`, one statement reads all of it.

    Raises:
        ConfigurationError: A secret is not set.
        InputError: The column that parts the extraction is missing or has an unfit type.
    """
    reader = _reader(session, source)
    table = _of(reader, source).load()
    parts = source.partitions
    if parts is not None and parted:
        field = _named(table.schema, parts.column, source)
        reader = _parted(session, source, reader, parts, field)
        table = _of(reader, source).load()
    if any(name.lower() == "customschema" for name in source.options):
        return table, table.schema
    if _url(source).startswith("jdbc:sqlite:"):
        table = _of(reader.option("customSchema", _as_stored(table.schema)), source).load()
        return table, table.schema
    texts = _as_text(table.schema, source)
    if not texts:
        return table, table.schema
    listed = ", ".join(f"{quote(name)} string" for name in texts)
    found = _of(reader.option("customSchema", listed), source).load()
    zoned = [n for n, kind in texts.items() if kind == "timestamptz"]
    return found.withColumns({n: _utc(F.col(quote(n))) for n in zoned}), table.schema


def place(source: SourceSpec) -> str:
    """What is read, for messages."""
    return source.table or "the query"


def explained(source: SourceSpec, table: str, error: BaseException) -> LakehouseError:
    """The platform's error for a native one, without any credential."""
    known = explain(f"bronze.{table}", error)
    return type(known)(redacted(known.message, source), advice=known.advice or ADVICE)


def _reader(session: SparkSession, source: SourceSpec) -> DataFrameReader:
    options: Mapping[str, str] = {**DEFAULTS, **source.options, "url": source.url}
    return session.read.format("jdbc").options(**secrets.revealed(options))


def _url(source: SourceSpec) -> str:
    return secrets.reveal(source.url)


def _of(reader: DataFrameReader, source: SourceSpec) -> DataFrameReader:
    """The reader on the table or query; Spark parts only what is given as a table."""
    if source.table:
        return reader.option("dbtable", source.table)
    if source.partitions is None:
        return reader.option("query", source.query or "")
    return reader.option("dbtable", _subquery(source))


def _subquery(source: SourceSpec) -> str:
    return source.table or f"({source.query}) extraction"


def _parted(
    session: SparkSession,
    source: SourceSpec,
    reader: DataFrameReader,
    parts: PartitionsSpec,
    field: StructField,
) -> DataFrameReader:
    """The reader with as many ranges of the column as there are to be connections.

    The outermost ranges are open, so a row beyond the bounds is read all the same.
    """
    dialect = session._jvm.org.apache.spark.sql.jdbc.JdbcDialects  # type: ignore[union-attr]
    column = dialect.get(_url(source)).quoteIdentifier(field.name)
    bounds = f"select min({column}) as low, max({column}) as high from {_subquery(source)}"
    found = _reader(session, source).option("query", bounds).load()
    low, high = found.select(*(found[n].cast("string") for n in found.columns)).collect()[0]
    if low is None:
        return reader
    if isinstance(field.dataType, NumericType):
        low, high = str(math.floor(float(low))), str(math.ceil(float(high)))
    return reader.options(
        partitionColumn=field.name, lowerBound=low, upperBound=high, numPartitions=str(parts.count)
    )


def _named(schema: StructType, column: str, source: SourceSpec) -> StructField:
    for field in schema.fields:
        if field.name.lower() == column.lower():
            kind = field.dataType
            if isinstance(kind, NumericType | DateType) or "timestamp" in kind.simpleString():
                return field
            raise InputError(
                f"{place(source)}: partitions.column {column} is {kind.simpleString()}",
                advice="Name a column of numbers, dates or instants.",
            )
    raise InputError(
        f"{place(source)}: partitions.column {column} is none of {', '.join(schema.names)}",
        advice="Name the column as the database does.",
    )


def _as_text(schema: StructType, source: SourceSpec) -> Mapping[str, str]:
    """PostgreSQL's columns that are read as text, each with its type there.

    Spark would cut `numeric` to 38 digits and has no NaN in it; a `time` would get a date; an `infinity`
    has no place in its dates; Java lacks the days from 1582-10-05 to 14. Columns that the database compares
    keep their types.
    """
    if not _url(source).startswith("jdbc:postgresql:"):
        return {}
    typed = {source.watermark.column.lower()} if source.watermark else set()
    typed |= {source.partitions.column.lower()} if source.partitions else set()
    return {
        f.name: kind
        for f in schema.fields
        if (kind := f.metadata.get("jdbcClientType")) in TEXTUAL and f.name.lower() not in typed
    }


def _utc(column: Column) -> Column:
    """PostgreSQL's text of an instant for a client in UTC, in Spark's form and with its infinities."""
    return (
        F.when(column == "infinity", "9999-12-31 23:59:59.999")
        .when(column == "-infinity", "0001-01-01 00:00:00")
        .otherwise(F.regexp_replace(column, r"\+00$", ""))
    )


def _as_stored(schema: StructType) -> str:
    """The types in which SQLite's values are read without loss.

    SQLite types values, not columns: what a column declares can cut a large integer, round a decimal or
    refuse a date. Text is what it stores; integers are of 64 bits, floats are doubles.
    """
    kinds = [
        (IntegralType, "bigint"), ((DoubleType, FloatType), "double"), (BinaryType, "binary"),
    ]  # fmt: skip
    return ", ".join(
        f"{quote(f.name)} "
        + next((name for kind, name in kinds if isinstance(f.dataType, kind)), "string")  # type: ignore[arg-type]
        for f in schema.fields
    )
