"""How Spark's JDBC reader is asked for a source's table, and what its errors mean.

Secrets become values here and nowhere else: what is printed, stored or hashed holds references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pyspark.sql import DataFrame, DataFrameReader, SparkSession
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
from tasks.domain.spec import SourceSpec
from tasks.domain.sql_text import trimmed
from tasks.ingest.sources.jdbc.postgres import as_text, finite, with_json
from tasks.ingest.sources.secrets import redacted

DEFAULTS = {"fetchsize": "10000", "preferTimestampNTZ": "true"}
"""Without a fetch size some drivers hold the whole result in memory; without the other, wall-clock times
move by the time zone of this machine."""
FIXED = {"pushDownPredicate": "true"}
"""The database itself evaluates the condition on a watermark: it compares with its own types."""
DIALECTS = {"postgresql": "postgres", "mariadb": "mysql", "sqlserver": "tsql"}
"""sqlglot's names of dialects that JDBC addresses name otherwise."""
LARGEST = 2**63 - 1
"""The highest bound that Spark parts by."""
UNKNOWN_TYPE = "Read a `query` that casts the column of this type to text, or that leaves it out."
ADVICE = "Check url, table and options of the source, and that the database answers."


@dataclass(frozen=True)
class Loaded:
    """A source's table or query.

    Attributes:
        rows: What is read, lazily. What Spark's type of a column would change or refuse is text.
        native: The columns as Spark understands the database's types.
    """

    rows: DataFrame
    native: StructType


def loaded(session: SparkSession, source: SourceSpec, *, parted: bool = True) -> Loaded:
    """The source's table or query, lazily. Unless `parted`, one statement reads all of it.

    Raises:
        ConfigurationError: A secret is not set.
        InputError: The column that parts the extraction is missing or has an unfit type.
    """
    reader, relation = _reader(_case_sensitive(session), source), _relation(source)
    found = native = _table(reader, relation).schema
    texts = ""
    if any(name.lower() == "customschema" for name in source.options):
        pass
    elif _url(source).startswith("jdbc:sqlite:"):
        native, texts = _as_stored(reader, relation, native)
    elif is_postgres(source):
        options = {name.lower(): value for name, value in source.options.items()}
        texts = as_text(native, typed=options.get("partitioncolumn", ""))
        relation = with_json(relation, native)
    if texts:
        reader = reader.option("customSchema", texts)
    if source.partitions is None or not parted:
        return Loaded(_table(reader, relation), native)
    return Loaded(_parted(session, source, reader, relation, found), native)


def field_of(fields: StructType, name: str) -> StructField | None:
    """The column of a name, by its exact case first; None where none or several differ in case only."""
    exact = [f for f in fields if f.name == name]
    found = exact or [f for f in fields if f.name.lower() == name.lower()]
    return found[0] if len(found) == 1 else None


def place(source: SourceSpec) -> str:
    """What is read, for messages."""
    return source.table or "the query"


def explained(source: SourceSpec, table: str, error: BaseException) -> LakehouseError:
    """The platform's error for a native one, without any credential."""
    known = explain(f"bronze.{table}", error)
    advice = UNKNOWN_TYPE if "UNRECOGNIZED_SQL_TYPE" in known.message else known.advice or ADVICE
    return type(known)(redacted(known.message, source), advice=advice)


def _reader(session: SparkSession, source: SourceSpec) -> DataFrameReader:
    options: Mapping[str, str] = {**DEFAULTS, **source.options, **FIXED, "url": source.url}
    return session.read.format("jdbc").options(**secrets.revealed(options))


def _case_sensitive(session: SparkSession) -> SparkSession:
    """A session in which columns that differ in case only are two, as they are in a database."""
    own = session.newSession()
    own.conf.set("spark.sql.caseSensitive", "true")
    return own


def _url(source: SourceSpec) -> str:
    return secrets.reveal(source.url)


def is_postgres(source: SourceSpec) -> bool:
    """Whether the source is a PostgreSQL."""
    return _url(source).startswith("jdbc:postgresql:")


def _relation(source: SourceSpec) -> str:
    """What stands behind FROM."""
    if source.table:
        return source.table
    scheme = _url(source).split(":")[1]
    return f"({trimmed(source.query or '', DIALECTS.get(scheme, scheme))}) extraction"


def _table(reader: DataFrameReader, relation: str) -> DataFrame:
    return reader.option("dbtable", relation).load()


def _parted(
    session: SparkSession, source: SourceSpec, reader: DataFrameReader, relation: str,
    native: StructType,
) -> DataFrame:  # fmt: skip
    """What is read, by as many ranges of the column as there are to be connections.

    The outermost ranges are open, so a row beyond the bounds is read all the same.
    """
    parts = source.partitions
    assert parts is not None  # noqa: S101 - the caller has looked
    field = _part_field(native, parts.column, source)
    dialect = session._jvm.org.apache.spark.sql.jdbc.JdbcDialects  # type: ignore[union-attr]
    column = dialect.get(_url(source)).quoteIdentifier(field.name)
    found = _bounds(_reader(session, source), source, relation, column, field)
    if found is None:
        return _table(reader, relation)
    low, high = found
    ranges = {
        "partitionColumn": field.name, "lowerBound": low, "upperBound": high,
        "numPartitions": str(parts.count),
    }  # fmt: skip
    # Spark parts by numbers, dates and TIMESTAMP alone; what is read may be the text of another type.
    typed = _reader(_case_sensitive(session), source).option("preferTimestampNTZ", "false")
    plan = _table(typed.options(**ranges), relation)._jdf.queryExecution().analyzed()
    conditions = [part.whereClause() for part in plan.relation().parts()]
    return reader.jdbc(_url(source), relation, predicates=conditions)


def _bounds(
    reader: DataFrameReader, source: SourceSpec, relation: str, column: str, field: StructField
) -> tuple[str, str] | None:
    """The lowest and the highest value of a column, as text; None where there are none to go by."""
    low, high, only = f"min({column})", f"max({column})", ""
    if is_postgres(source):
        low, high, only = f"{low}::text", f"{high}::text", finite(column, field.dataType)
    asked = f"(select {low} as low, {high} as high from {relation}{only}) bounds"
    found = _table(reader, asked)
    ends = found.select(*(found[n].cast("string") for n in found.columns)).collect()[0]
    if any(end is None for end in ends):
        return None
    if not isinstance(field.dataType, NumericType):
        return ends[0], ends[1]
    least, most = Decimal(ends[0]), Decimal(ends[1])
    if not (least.is_finite() and most.is_finite()):
        return None
    whole = least.to_integral_value(ROUND_FLOOR), most.to_integral_value(ROUND_CEILING)
    return str(max(int(whole[0]), -LARGEST)), str(min(int(whole[1]), LARGEST))


def _part_field(schema: StructType, column: str, source: SourceSpec) -> StructField:
    field = field_of(schema, column)
    if field is None:
        raise InputError(
            f"{place(source)}: partitions.column {column} is none of {', '.join(schema.names)}",
            advice="Name the column as the database does.",
        )
    kind = field.dataType
    if isinstance(kind, NumericType | DateType) or "timestamp" in kind.simpleString():
        return field
    raise InputError(
        f"{place(source)}: partitions.column {column} is {kind.simpleString()}",
        advice="Name a column of numbers, dates or instants.",
    )


def _as_stored(
    reader: DataFrameReader, relation: str, schema: StructType
) -> tuple[StructType, str]:
    """The types in which SQLite's values are read without loss.

    SQLite types values, not columns: what a column declares can cut a large integer, round a decimal or
    refuse a date. Text is what it stores; integers are of 64 bits, floats are doubles.
    """
    kinds = [
        (IntegralType, "bigint"), ((DoubleType, FloatType), "double"), (BinaryType, "binary"),
    ]  # fmt: skip
    texts = ", ".join(
        f"{quote(f.name)} "
        + next((name for kind, name in kinds if isinstance(f.dataType, kind)), "string")  # type: ignore[arg-type]
        for f in schema.fields
    )
    return _table(reader.option("customSchema", texts), relation).schema, texts
