"""Rows on their way: a temporary table of the session, and the merge from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    MetaData,
    Table,
    and_,
    delete,
    exists,
    insert,
    text,
)

from storage.errors import DestinationError
from storage.parquet_reading import parquet_dataset

GONE = "_lakehouse_gone"
"""Flag of a staged row: its key has left the gold table."""
STAGE = "_lakehouse_stage"
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


def remove(
    connection: Connection, target: Table, stage: Table, key: Sequence[str], *, whole: bool
) -> int:
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
    met = and_(*(target.c[k] == stage.c[k] for k in key))
    if whole:
        left = ~exists().where(met).correlate(target)
    else:
        left = exists().where(met, stage.c[GONE]).correlate(target)
    return int(connection.execute(delete(target).where(left)).rowcount)


def merge(connection: Connection, target: Table, stage: Table, key: Sequence[str]) -> int:
    """Insert what is new and update what differs.

    Returns:
        The number of rows written.
    """
    return int(connection.execute(text(merge_sql(connection, target, stage, key))).rowcount)


def merge_sql(connection: Connection, target: Table, stage: Table, key: Sequence[str]) -> str:
    """The MERGE, which PostgreSQL (15 and newer) and Snowflake read alike."""
    prepare = connection.dialect.identifier_preparer
    names = {column.name: prepare.format_column(column) for column in target.columns}
    rest = [names[name] for name in names if name not in key]
    on = " AND ".join(f"t.{names[k]} = s.{names[k]}" for k in key)
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
