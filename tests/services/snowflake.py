"""A server that speaks Snowflake's protocol: fakesnow, which computes with DuckDB.

It is not Snowflake: it has no grants, checks no password, and takes names for reserved that Snowflake does
not (`at`). The driver, its dialect of SQLAlchemy and each statement are those of production.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import snowflake.connector
from snowflake.connector.cursor import SnowflakeCursor

from flows.services.ports import HOST, free_port
from tests.services.process import await_listener, stop

ACCOUNT, DATABASE, SCHEMA, USER = "fakesnow", "shop", "public", "loader"


@dataclass(frozen=True)
class Snowflake:
    """What a client needs."""

    port: int
    password: str = field(default="a-password-of-snowflake", repr=False)

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database, without the password."""
        return f"snowflake://{USER}@{ACCOUNT}/{DATABASE}/{SCHEMA}"

    @property
    def options(self) -> Mapping[str, str]:
        """The driver's arguments that lead to this server; the URL must not have them."""
        return {"host": HOST, "port": str(self.port), "protocol": "http"}

    @contextmanager
    def connect(self) -> Iterator[SnowflakeCursor]:
        """A cursor of a connection that ends with the block."""
        with (
            snowflake.connector.connect(
                user=USER, password=self.password, account=ACCOUNT,
                database=DATABASE, schema=SCHEMA, **self.options,
            ) as connection,
            connection.cursor() as cursor,
        ):  # fmt: skip
            yield cursor

    def run(self, statement: str) -> None:
        """Execute one statement."""
        with self.connect() as cursor:
            cursor.execute(statement)


@contextmanager
def snowflake_server(folder: Path) -> Iterator[Snowflake]:
    """Start an empty server, and stop it with the block.

    Raises:
        RuntimeError: It does not answer in time; what it said is in the message.
    """
    port, log = free_port(), folder / "snowflake.log"
    program = Path(sys.executable).with_name("fakesnow")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "--server", "--host", HOST, "--port", str(port)],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        await_listener(process, port, log)
        yield Snowflake(port)
    finally:
        stop(process)
