"""How far each table of a destination has come: a row in the destination itself, written with the rows.

The commit is the checkpoint here too. `take` moves the row first in the transaction of a merge, and only
from where the difference was computed from. That locks it, and of two pushes at once one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from storage.errors import DestinationError, DestinationUnavailableError
from tasks.destinations.targets import exists, is_empty

NAME = "_lakehouse_positions"


@dataclass(frozen=True)
class Position:
    """A version of a gold table.

    Attributes:
        source: The table, as `domain gold.table`.
        format: The format of the lake's table.
        version: Its version.
        commit: Token and run of the commit behind that version, which tells lakes apart; stored as `token`.
        rows: Rows of the table at that version.
    """

    source: str
    format: str
    version: str
    commit: str
    rows: int


def positions_table(schema: str | None) -> Table:
    """The table of positions, one row a table of the schema."""
    return Table(
        NAME,
        MetaData(),
        Column("target", String(255), primary_key=True),
        Column("source", String(255), nullable=False),
        Column("format", String(32), nullable=False),
        Column("version", String(64), nullable=False),
        Column("token", String(255), nullable=False),
        Column("table_rows", BigInteger, nullable=False),
        Column("run_id", String(64), nullable=False),
        Column("pushed_at", DateTime, nullable=False),
        schema=schema,
    )


def read(connection: Connection, target: Table, source: str) -> Position | None:
    """The position of a table; None where it has none.

    Raises:
        DestinationError: Another gold table is merged into it, or it has rows that no push has written.
    """
    table = positions_table(target.schema)
    row = None
    if exists(connection, table):
        c = table.c
        row = connection.execute(
            select(c.source, c.format, c.version, c.token, c.table_rows).where(
                c.target == target.name
            )
        ).first()
    if row is None:
        if exists(connection, target) and not is_empty(connection, target):
            raise DestinationError(
                f"{target.fullname} has rows that no push has written, and a push would delete them",
                advice="Rename that table, or empty it where its rows are not needed.",
            )
        return None
    found = Position(*row)
    if found.source != source:
        raise DestinationError(
            f"{target.fullname} is merged from {found.source}, not from {source}",
            advice="Give the destination another schema.",
        )
    return found


def prepare(connection: Connection, schema: str | None) -> None:
    """The table of positions exists. Some databases commit this by itself."""
    table = positions_table(schema)
    if not exists(connection, table):
        table.create(connection)


def take(
    connection: Connection, target: Table, before: Position | None, after: Position, run_id: str
) -> None:
    """Move a table's position, and hold it until the end of the transaction.

    Raises:
        DestinationUnavailableError: Another push has moved it since `before` was read.
    """
    table = positions_table(target.schema)
    c, now = table.c, datetime.now(UTC).replace(tzinfo=None)
    values = {
        "source": after.source, "format": after.format, "version": after.version,
        "token": after.commit, "table_rows": after.rows, "run_id": run_id, "pushed_at": now,
    }  # fmt: skip
    if before is None:
        try:
            connection.execute(insert(table).values(target=target.name, **values))
        except IntegrityError:
            raise _moved(target) from None
        return
    moved = connection.execute(
        update(table)
        .where(
            c.target == target.name,
            c.format == before.format,
            c.version == before.version,
            c.token == before.commit,
        )
        .values(**values)
    )
    if moved.rowcount != 1:
        raise _moved(target)


def _moved(target: Table) -> DestinationUnavailableError:
    return DestinationUnavailableError(
        f"{target.fullname}: another push has moved it meanwhile",
        advice="The next run goes on from there.",
    )
