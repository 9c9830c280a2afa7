"""Rows on their way: a temporary table of the session, and the merge from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    MetaData,
    Table,
    Text,
    delete,
    exists,
    insert,
    text,
)
from sqlalchemy.types import TypeEngine

from storage.errors import DestinationError
from storage.parquet_reading import parquet_dataset

GONE = "_lakehouse_gone"
"""Flag of a staged row: its key has left the gold table."""
STAGE = "_lakehouse_stage"
STAND_INS: Mapping[type[TypeEngine[Any]], str] = {
    Text: "''",
    Boolean: "false",
    Date: "date '1970-01-01'",
    DateTime: "timestamp '1970-01-01 00:00:00'",
}
"""What stands in for a null while keys are compared, by type; 0 for numbers."""
CHUNK_ROWS = 10_000
"""Rows in memory at once, and in one statement where rows are sent as statements."""
NUL = "\0"
SHOWN = 3
"""Rows in a message."""


def stage_table(connection: Connection, target: Table) -> Table:
    """A temporary table with the target's columns and the flag; it ends with the session."""
    postgres = connection.dialect.name == "postgresql"
    columns = [Column(column.name, column.type) for column in target.columns]
    return Table(
        STAGE,
        MetaData(),
        *columns,
        Column(GONE, Boolean, nullable=False),
        prefixes=["TEMPORARY"],
        schema=None if postgres else target.schema,  # PostgreSQL has a schema of its own for them
    )


def load(
    connection: Connection,
    stage: Table,
    folder: Path,
    *,
    place: str,
    key: Sequence[str],
    personal: Set[str],
) -> None:
    """Fill the staging table from Parquet files.

    PostgreSQL takes them by COPY; any other destination by inserts of many rows.

    Args:
        connection: In the transaction of the merge.
        stage: The table to fill.
        folder: The files.
        place: The destination and its table, for messages.
        key: Columns that tell rows from each other, for messages.
        personal: Columns whose values messages do not show.

    Raises:
        DestinationError: A text has a character that the destination has no place for.
    """
    stage.create(connection)
    if connection.dialect.name == "postgresql":
        _refuse_nul(folder, place, key, personal)
        _copy(connection, stage, folder)
        return
    for rows in _chunks(stage, folder):
        names = [column.name for column in stage.columns]
        connection.execute(insert(stage), [dict(zip(names, row, strict=True)) for row in rows])


def _copy(connection: Connection, stage: Table, folder: Path) -> None:
    prepare = connection.dialect.identifier_preparer
    names = ", ".join(prepare.format_column(column) for column in stage.columns)
    statement = f"COPY {prepare.format_table(stage)} ({names}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for rows in _chunks(stage, folder):
            for row in rows:
                copy.write_row(row)
    connection.execute(text(f"ANALYZE {prepare.format_table(stage)}"))  # no statistics otherwise


def _refuse_nul(folder: Path, place: str, key: Sequence[str], personal: Set[str]) -> None:
    """PostgreSQL's text holds every character but NUL, and its driver names neither row nor column."""
    files = parquet_dataset(folder)
    texts = [f.name for f in files.schema if pa.types.is_string(f.type)]
    if not texts:
        return
    has_nul = reduce(or_, (pc.match_substring(ds.field(name), NUL) for name in texts))
    rows = files.to_table(list(dict.fromkeys([*key, *texts])), filter=has_nul)
    if rows.num_rows:
        shown = [_place(row, texts, key, personal) for row in rows.slice(0, SHOWN).to_pylist()]
        more = f", and {rows.num_rows - SHOWN} more" if rows.num_rows > SHOWN else ""
        raise DestinationError(
            f"{place}: a text of PostgreSQL cannot hold the character NUL, U+0000: {'; '.join(shown)}{more}",
            advice="Take it out where the column is made, as translate(column, char(0), '') does, or keep "
            "such rows out by a rule of silver. Nothing of this push is visible.",
        )


def _place(
    row: Mapping[str, Any], texts: Sequence[str], key: Sequence[str], personal: Set[str]
) -> str:
    """The columns of a row that hold the character, and the row's key."""
    columns = [name for name in texts if NUL in (row[name] or "")]
    named = (f"{name} = {'***' if name in personal else repr(row[name])}" for name in key)
    return f"{', '.join(columns)} of the row with {', '.join(named)}"


def _chunks(stage: Table, folder: Path) -> Iterator[Sequence[tuple[Any, ...]]]:
    files = parquet_dataset(folder)
    names = [column.name for column in stage.columns]
    for batch in files.to_batches(columns=names, batch_size=CHUNK_ROWS):
        if batch.num_rows:
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


@dataclass(frozen=True)
class Key:
    """The merge key of a push.

    Attributes:
        columns: Its columns.
        nulls: Those that are null in a staged row; a null in any other meets nothing.
    """

    columns: Sequence[str]
    nulls: Sequence[str] = ()

    @classmethod
    def of(cls, columns: Sequence[str], folder: Path) -> Self:
        """The key of rows that were written to a folder."""
        files = parquet_dataset(folder)
        nulls = [c for c in columns if files.count_rows(filter=pc.field(c).is_null())]
        return cls(columns, nulls)

    def met(self, connection: Connection, target: Table, one: str, other: str) -> str:
        """Whether two rows have the same key, a null being a value.

        Each condition is an equality, so that a database can join by hash: `IS NOT DISTINCT FROM` makes
        PostgreSQL compare each row with each.

        Args:
            connection: Quotes names.
            target: Has the types.
            one: What qualifies the columns of one row, quoted.
            other: What qualifies those of the other.
        """
        prepare, conditions = connection.dialect.identifier_preparer, []
        for column in (target.c[name] for name in self.columns):
            first, second = (f"{side}.{prepare.format_column(column)}" for side in (one, other))
            if column.name in self.nulls:
                zero = STAND_INS.get(type(column.type), "0")
                conditions.append(f"({first} IS NULL) = ({second} IS NULL)")
                first, second = (f"coalesce({side}, {zero})" for side in (first, second))
            conditions.append(f"{first} = {second}")
        return " AND ".join(conditions)


def remove(connection: Connection, target: Table, stage: Table, key: Key, *, whole: bool) -> int:
    """Delete the rows whose keys have left.

    Args:
        connection: In the transaction of the merge.
        target: Where from.
        stage: The staged rows.
        key: The merge key.
        whole: Whether all rows of the gold table are staged, so that any other key has left.

    Returns:
        The number of rows deleted.
    """
    names = [connection.dialect.identifier_preparer.format_table(t) for t in (target, stage)]
    met = text(key.met(connection, target, *names))
    same = exists().select_from(stage).where(met)
    left = ~same if whole else same.where(stage.c[GONE])
    return int(connection.execute(delete(target).where(left)).rowcount)


def merge(connection: Connection, target: Table, stage: Table, key: Key) -> int:
    """Insert what is new and update what differs.

    Returns:
        The number of rows written.
    """
    return int(connection.execute(text(merge_sql(connection, target, stage, key))).rowcount)


def merge_sql(connection: Connection, target: Table, stage: Table, key: Key) -> str:
    """The MERGE, which PostgreSQL (15 and newer) and Snowflake read alike."""
    prepare = connection.dialect.identifier_preparer
    names = {column.name: prepare.format_column(column) for column in target.columns}
    rest = [names[name] for name in names if name not in key.columns]
    on = key.met(connection, target, "t", "s")
    clauses = [
        f"MERGE INTO {prepare.format_table(target)} t",
        f"USING (SELECT * FROM {prepare.format_table(stage)} "
        f"WHERE NOT {prepare.format_column(stage.c[GONE])}) s ON {on}",
    ]
    if rest:
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in rest)
        assignments = ", ".join(f"{name} = s.{name}" for name in rest)
        clauses.append(f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {assignments}")
    columns, values = ", ".join(names.values()), ", ".join(f"s.{n}" for n in names.values())
    clauses.append(f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})")
    return "\n".join(clauses)
