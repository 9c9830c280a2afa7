"""A PostgreSQL that machines share: the catalog of a lake, and its locks."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import psycopg
from sqlalchemy import URL

from storage.connections import KEEPALIVES, SERVER_KEEPALIVES
from storage.errors import ConfigurationError, LakehouseError, LockTimeoutError, TransientError
from storage.failures import explain
from storage.locks import Locks
from storage.secrets import names, reveal

PREFIX = "jdbc:postgresql://"
CONNECT_SECONDS = 15
PARAMETERS: Mapping[str, str] = {
    **{name: name for name in ("sslmode", "sslrootcert", "sslcert", "sslkey")},
    "connectTimeout": "connect_timeout",
    "ApplicationName": "application_name",
}
"""Parameters that an address may have, as JDBC names them, and as Python's driver does."""
SESSION = f"-c idle_session_timeout=0 {SERVER_KEEPALIVES}"
"""A lock is held by a session that is idle for as long as the holder works."""


@dataclass(frozen=True)
class PostgresAddress:
    """A database and how to log in; the texts may hold references to secrets.

    Attributes:
        url: JDBC address, `jdbc:postgresql://host:port/database`.
        password: A reference to a secret, or an empty text where the server asks for none.
    """

    url: str
    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        problem = next(_problems(self.url), "")
        if problem:
            raise ConfigurationError(
                f"catalog.url: {problem}",
                advice=f"Write {PREFIX}HOST:5432/DATABASE, without user and password.",
            )
        if self.password and not names(self.password):
            raise ConfigurationError(
                "catalog.password: is written out",
                advice="Name the secret that holds it: catalog.password='${secret:NAME}'.",
            )

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of Python's driver, without user and password."""
        parts = _parts(self.url)
        given = {PARAMETERS[name]: value for name, value in parse_qsl(parts.query)}
        return {
            "host": parts.hostname or "",
            "port": str(parts.port or 5432),
            "dbname": unquote(parts.path[1:]),
            "connect_timeout": str(CONNECT_SECONDS),
            **{name: str(value) for name, value in KEEPALIVES.items()},
            "options": SESSION,
            **given,
        }

    @property
    def sqlalchemy(self) -> URL:
        """SQLAlchemy's address, with the password; its text form hides it."""
        query = self.arguments
        host, port, database = (query.pop(name) for name in ("host", "port", "dbname"))
        return URL.create(
            "postgresql+psycopg",
            username=reveal(self.user),
            password=reveal(self.password),
            host=host,
            port=int(port),
            database=database,
            query=query,
        )

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that commits each statement.

        Raises:
            LakehouseError: The server refuses it, or does not answer (transient).
        """
        arguments: dict[str, Any] = self.arguments
        try:
            return psycopg.connect(
                **arguments, user=reveal(self.user), password=reveal(self.password), autocommit=True
            )
        except psycopg.Error as error:
            failure = self.explained(error)
        raise failure

    def explained(self, error: BaseException) -> LakehouseError:
        """The platform's error for one of the driver."""
        known = explain(f"catalog {self.url}", error)
        advice = known.advice or "Check catalog.url, user and password, and that it answers."
        return type(known)(known.message, advice=advice)


def _parts(url: str) -> SplitResult:
    return urlsplit(url.removeprefix("jdbc:"))


def _problems(url: str) -> Iterator[str]:
    """Why an address cannot be used, without a text that may hold a secret."""
    if not url.startswith(PREFIX):
        yield "is not a JDBC address of a PostgreSQL"
        return
    try:
        parts = _parts(url)
        port = parts.port
    except ValueError:
        yield "its host or port is not readable; it has one host, and a port of digits"
        return
    if parts.username is not None or parts.password is not None:
        yield "has a user or a password; give them as catalog.user and catalog.password"
    elif not parts.hostname or port == 0 or "," in parts.netloc:
        yield "names no host, or several"
    elif not re.fullmatch(r"/[^/]+", parts.path):
        yield "names no database"
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in PARAMETERS:
            yield f"the parameter {name} is none of {', '.join(PARAMETERS)}"


_HELD: dict[PostgresAddress, dict[str, psycopg.Connection[tuple[Any, ...]]]] = {}
"""By database and name the sessions of this process that hold a lock."""
_NOTING = threading.Lock()


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
            with _NOTING:
                _HELD.setdefault(self._address, {})[name] = connection
            try:
                yield
            finally:
                with _NOTING:
                    del _HELD[self._address][name]

    def check_held(self) -> None:
        with _NOTING:
            held = dict(_HELD.get(self._address, {}))
        for name, connection in held.items():
            try:
                connection.execute("SELECT 1")
            except psycopg.Error as error:
                with _NOTING:
                    released = _HELD[self._address].get(name) is not connection
                if not released:
                    raise self._lost(name, error) from None

    def _lost(self, name: str, error: psycopg.Error) -> TransientError:
        said = self._address.explained(error).message
        return TransientError(
            f"lock {name} was lost, so nothing is committed: {said}",
            advice="Run again: the run goes on where this one stopped.",
        )

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
        except psycopg.Error as error:
            raise self._address.explained(error) from None
