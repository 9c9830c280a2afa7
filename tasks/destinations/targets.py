"""The table in a destination: created, given the columns that it lacks, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
)
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from storage.errors import DestinationError
from storage.schemas import type_of

SIMPLE: Mapping[type[DataType], type[TypeEngine[Any]]] = {
    StringType: Text,
    BooleanType: Boolean,
    IntegerType: Integer,
    LongType: BigInteger,
    DoubleType: Double,
    DateType: Date,
    TimestampType: DateTime,  # without a time zone, in UTC
}
TEXT = ("text", "character varying", "varchar", "string")
LONG_TEXT = 1_000_000
"""A column for text that is shorter than this could cut a value; Snowflake's own limit is 16 MiB."""
INSTANT = ("timestamp without time zone", "timestamp_ntz")
NUMBER = ("numeric", "number", "decimal")
INTEGERS = {"integer": 10, "bigint": 19}
"""Digits that hold every value of a type."""


def sql_type(name: str) -> TypeEngine[Any]:
    """The destination's type for one of the platform's type strings."""
    kind = type_of(name)
    if isinstance(kind, DecimalType):
        return Numeric(kind.precision, kind.scale)
    return SIMPLE[type(kind)]()


def target_table(
    name: str, schema: str | None, columns: Mapping[str, str], key: Sequence[str]
) -> Table:
    """The table as it should be.

    Args:
        name: Its name.
        schema: Its schema; None for the connection's own.
        columns: Type strings by column, in order.
        key: The merge key, its primary key.
    """
    made = [
        Column(column, sql_type(kind), primary_key=column in key, autoincrement=False)
        for column, kind in columns.items()
    ]
    return Table(name, MetaData(), *made, schema=schema)


@dataclass(frozen=True)
class Found:
    """A column that is there, as `information_schema` describes it."""

    kind: str
    precision: int | None
    scale: int | None
    length: int | None

    def __str__(self) -> str:
        if self.kind in NUMBER and self.precision is not None:
            return f"{self.kind}({self.precision},{self.scale})"
        return f"{self.kind}({self.length})" if self.length is not None else self.kind

    def holds(self, name: str) -> bool:
        """Whether every value of one of the platform's types fits in unchanged."""
        kind, precision = type_of(name), self.precision
        if isinstance(kind, DecimalType):
            unbounded = precision is None
            enough = precision is not None and precision >= kind.precision
            return self.kind in NUMBER and (unbounded or (enough and self.scale == kind.scale))
        if isinstance(kind, IntegerType | LongType):
            digits = INTEGERS["integer" if isinstance(kind, IntegerType) else "bigint"]
            whole = self.kind in NUMBER and self.scale == 0
            has = precision if whole else INTEGERS.get(self.kind, 0)
            return has is not None and has >= digits
        if isinstance(kind, StringType):
            return self.kind in TEXT and (self.length is None or self.length >= LONG_TEXT)
        plain: Mapping[type[DataType], Sequence[str]] = {
            BooleanType: ("boolean",),
            DoubleType: ("double precision", "double", "float"),
            DateType: ("date",),
            TimestampType: INSTANT,
        }
        return self.kind in plain[type(kind)]


def exists(connection: Connection, table: Table) -> bool:
    """Whether a table of that name is there."""
    return inspect(connection).has_table(table.name, schema=table.schema)


def is_empty(connection: Connection, table: Table) -> bool:
    """Whether it has no row."""
    return (
        connection.execute(select(literal_column("1")).select_from(table).limit(1)).first() is None
    )


def ensure(connection: Connection, table: Table, columns: Mapping[str, str]) -> None:
    """The table exists with these columns; it is created, or gets those that it lacks.

    Raises:
        DestinationError: It has other columns, other types or another primary key.
    """
    if not exists(connection, table):
        table.create(connection)
        return
    found = columns_of(connection, table)
    problems = [f"{n} is {found[n]}, wanted {t}" for n, t in columns.items()
                if n in found and not found[n].holds(t)]  # fmt: skip
    problems += [f"{n} is not in the gold table" for n in found if n not in columns]
    wanted = [column.name for column in table.primary_key]
    key = inspect(connection).get_pk_constraint(table.name, schema=table.schema)
    if sorted(key["constrained_columns"]) != sorted(wanted):
        has = ", ".join(key["constrained_columns"]) or "none"
        problems.append(f"its primary key is {has}, wanted {', '.join(wanted)}")
    if problems:
        raise DestinationError(
            f"{table.fullname} exists with other columns: {'; '.join(problems)}",
            advice="Alter it there, or drop it together with what reads it: the next run makes it anew "
            "from the whole gold table.",
        )
    _add(connection, table, [name for name in columns if name not in found])


def _add(connection: Connection, table: Table, names: Sequence[str]) -> None:
    prepare = connection.dialect.identifier_preparer
    for name in names:
        column = table.c[name]
        kind = column.type.compile(connection.dialect)
        connection.execute(
            text(
                f"ALTER TABLE {prepare.format_table(table)} "
                f"ADD COLUMN {prepare.format_column(column)} {kind}"
            )
        )


def columns_of(connection: Connection, table: Table) -> dict[str, Found]:
    """The columns of a table that is there, by their names as SQLAlchemy has them."""
    stored, shown = _stored(connection), _shown(connection)
    schema = table.schema or inspect(connection).default_schema_name or ""
    rows = connection.execute(
        text(
            "SELECT column_name, data_type, numeric_precision, numeric_scale, "
            "character_maximum_length FROM information_schema.columns "
            "WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position"
        ),
        {"schema": stored(schema), "name": stored(table.name)},
    )
    return {
        shown(name): Found(kind.lower(), precision, scale, length)
        for name, kind, precision, scale, length in rows
    }


def _stored(connection: Connection) -> Callable[[str], str]:
    """How the database's catalog writes a name: Snowflake's in capitals, unless it was quoted."""
    dialect = connection.dialect
    if not dialect.requires_name_normalize:
        return str
    return lambda name: str(dialect.denormalize_name(name))


def _shown(connection: Connection) -> Callable[[str], str]:
    dialect = connection.dialect
    if not dialect.requires_name_normalize:
        return str
    return lambda name: str(dialect.normalize_name(name))
