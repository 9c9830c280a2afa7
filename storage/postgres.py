"""A PostgreSQL that machines share: the catalog of a lake, and its locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

from storage.errors import ConfigurationError, LakehouseError, LockTimeoutError, TransientError
from storage.failures import explain
from storage.locks import Locks
from storage.secrets import reveal

PREFIX = "jdbc:postgresql://"
CONNECT_SECONDS = 15
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


@dataclass(frozen=True)
class PostgresAddress:
    """A database and how to log in; the texts may hold references to secrets.

    Attributes:
        url: JDBC address, `jdbc:postgresql://host:port/database`.
    """

    url: str
    user: str
    password: str

    def __post_init__(self) -> None:
        if not self.url.startswith(PREFIX) or "/" not in self.url.removeprefix(PREFIX):
            raise ConfigurationError(
                f"catalog.url = {self.url!r} is no address of a PostgreSQL database",
                advice=f"Write {PREFIX}HOST:5432/DATABASE, without user and password.",
            )

    @property
    def sqlalchemy(self) -> URL:
        """SQLAlchemy's address, with the password; its text form hides it."""
        host, _, database = self.url.removeprefix(PREFIX).partition("/")
        name, _, port = host.partition(":")
        return URL.create(
            "postgresql+psycopg",
            username=reveal(self.user),
            password=reveal(self.password),
            host=name,
            port=int(port or 5432),
            database=database.partition("?")[0],
        )

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that commits each statement.

        Raises:
            LakehouseError: The server refuses it, or does not answer (transient).
        """
        at = self.sqlalchemy
        try:
            return psycopg.connect(
                host=at.host, port=at.port, user=at.username, password=at.password,
                dbname=at.database, autocommit=True, connect_timeout=CONNECT_SECONDS,
            )  # fmt: skip
        except psycopg.Error as error:
            failure = self.explained(error)
        raise failure

    def explained(self, error: BaseException) -> LakehouseError:
        """The platform's error for one of the driver."""
        known = explain(f"catalog {self.url}", error)
        advice = known.advice or "Check catalog.url, user and password, and that it answers."
        return type(known)(known.message, advice=advice)


class SharedLocks(Locks):
    """Locks among the machines that share a lake: PostgreSQL's advisory locks.

    A lock of this machine comes first, which also waits for the JVM of a killed run here. The server
    releases the lock of a process or machine that is gone. Keys are 64-bit hashes of the names, within
    the catalog's database: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """

    def __init__(
        self,
        folder: Path,
        address: PostgresAddress,
        *,
        timeout_seconds: float,
        jvm_pid: int | None = None,
    ) -> None:
        super().__init__(folder, timeout_seconds=timeout_seconds, jvm_pid=jvm_pid)
        self._address = address

    @contextmanager
    def hold(self, name: str, *, timeout_seconds: float | None = None) -> Iterator[None]:
        seconds = self._timeout if timeout_seconds is None else timeout_seconds
        with super().hold(name, timeout_seconds=seconds), self._address.connect() as connection:
            self._acquire(connection, name, seconds)
            yield

    def _acquire(
        self, connection: psycopg.Connection[tuple[Any, ...]], name: str, seconds: float
    ) -> None:
        try:
            wait = f"{max(1, round(seconds * 1000))}ms"
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [wait])
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        except psycopg.errors.LockNotAvailable:
            raise LockTimeoutError(
                f"lock {name} was held by another machine or process for {seconds:.0f} s",
                advice="Wait for the other run to end, then run again.",
            ) from None
        except LOST as error:
            raise TransientError(f"lock {name}: {error}") from None
