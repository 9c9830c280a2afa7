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
    UniqueConstraint,
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
    name: str,
    schema: str | None,
    columns: Mapping[str, str],
    key: Sequence[str],
    *,
    null_keys: bool = False,
) -> Table:
    """The table as it should be.

    Args:
        name: Its name.
        schema: Its schema; None for the connection's own.
        columns: Type strings by column, in order.
        key: The merge key, its primary key.
        null_keys: Whether a key holds a null, which no primary key does: then it is a unique constraint.
    """
    made = [
        Column(
            column,
            sql_type(kind),
            primary_key=column in key and not null_keys,
            autoincrement=False,
        )
        for column, kind in columns.items()
    ]
    unique = [UniqueConstraint(*key, postgresql_nulls_not_distinct=True)] if null_keys else []
    return Table(name, MetaData(), *made, *unique, schema=schema)


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


def ensure(
    connection: Connection, table: Table, columns: Mapping[str, str], key: Sequence[str]
) -> None:
    """The table exists with these columns and this key; it is created, or gets the columns that it lacks.

    A primary key gives way to a unique constraint where the table should have one: a key holds a null.

    Raises:
        DestinationError: It has other columns, other types or another key.
    """
    if not exists(connection, table):
        table.create(connection)
        return
    found = columns_of(connection, table)
    problems = [f"{n} is {found[n]}, wanted {t}" for n, t in columns.items()
                if n in found and not found[n].holds(t)]  # fmt: skip
    problems += [f"{n} is not in the gold table" for n in found if n not in columns]
    primary = inspect(connection).get_pk_constraint(table.name, schema=table.schema)
    has = primary["constrained_columns"]
    is_primary = sorted(has) == sorted(key)
    if not is_primary and (has or not _is_unique(connection, table, key)):
        problems.append(f"its primary key is {', '.join(has) or 'none'}, wanted {', '.join(key)}")
    if problems:
        raise DestinationError(
            f"{table.fullname} exists with other columns: {'; '.join(problems)}",
            advice="Alter it there, or drop it together with what reads it: the next run makes it again "
            "from the whole gold table.",
        )
    _add(connection, table, [name for name in columns if name not in found])
    if is_primary and not table.primary_key:
        _allow_nulls(connection, table, str(primary["name"]), key)


def _is_unique(connection: Connection, table: Table, key: Sequence[str]) -> bool:
    """Whether a constraint lets each key be there once, one with a null included.

    Other databases than PostgreSQL enforce none, and not all of their catalogs show one.
    """
    if connection.dialect.name != "postgresql":
        return True
    found = inspect(connection).get_unique_constraints(table.name, schema=table.schema)
    return any(
        sorted(one["column_names"]) == sorted(key)
        and one.get("dialect_options", {}).get("postgresql_nulls_not_distinct")
        for one in found
    )


def _allow_nulls(connection: Connection, table: Table, primary: str, key: Sequence[str]) -> None:
    """Put a unique constraint in the place of the primary key, in one statement.

    Raises:
        DestinationError: The database cannot.
    """
    names = ", ".join(key)
    if connection.dialect.name != "postgresql":
        raise DestinationError(
            f"{table.fullname} has the primary key {names}, and a row of the gold table has a null there",
            advice="Drop the table there: the next run makes it again, with a unique constraint.",
        )
    prepare = connection.dialect.identifier_preparer
    columns = [prepare.format_column(table.c[k]) for k in key]
    steps = [f"DROP CONSTRAINT {prepare.quote(primary)}"]
    steps += [f"ALTER COLUMN {column} DROP NOT NULL" for column in columns]
    steps.append(f"ADD UNIQUE NULLS NOT DISTINCT ({', '.join(columns)})")
    connection.execute(text(f"ALTER TABLE {prepare.format_table(table)} {', '.join(steps)}"))


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
