"""Which errors of a database are worth another try; nothing here connects."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from py4j.protocol import Py4JError
from sqlalchemy.exc import OperationalError

from storage.connections import Failure, judged
from storage.errors import LakehouseError, TerminalError, TransientError
from storage.failures import explain


class Java:
    """An exception of the JVM, as py4j shows it."""

    def __init__(
        self, text: str, state: str | None = None, cause: Java | None = None, code: int = 0
    ) -> None:
        self._text, self._state, self._cause, self._code = text, state, cause, code

    def toString(self) -> str:  # noqa: N802 - Java's name
        return self._text

    def getCause(self) -> Java | None:  # noqa: N802
        return self._cause

    def getSQLState(self) -> str:  # noqa: N802
        if self._state is None:
            raise Py4JError("Method getSQLState([]) does not exist")
        return self._state

    def getErrorCode(self) -> int:  # noqa: N802
        return self._code


def of_java(state: str, code: int = 0) -> Exception:
    error = Exception("a call failed")
    cause = Java("org.postgresql.util.PSQLException: what the server said", state, code=code)
    error.java_exception = Java("UncheckedSQLException: Failed to list", None, cause)  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "text",
    [
        "connection timeout expired",
        "connection failed: FATAL:  the database system is starting up",
        "connection failed: FATAL:  sorry, too many clients already",
        "consuming input failed: server closed the connection unexpectedly",
        "failed to resolve host 'db.example.invalid': [Errno -2] Name or service not known",
        "the connection is closed",
    ],
)
def test_what_passes_while_connecting_is_worth_another_try(text: str) -> None:
    for error in (psycopg.OperationalError(text), _wrapped(psycopg.OperationalError(text))):
        assert judged(error) is Failure.TRANSIENT
        assert type(explain("catalog", error)) is TransientError


@pytest.mark.parametrize(
    "text",
    [
        'connection failed: FATAL:  password authentication failed for user "lake"',
        'connection failed: FATAL:  database "lake" does not exist',
        'connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1"',
    ],
)
def test_what_is_refused_is_refused_again(text: str) -> None:
    error = psycopg.OperationalError(text)
    assert judged(error) is Failure.REFUSED
    assert type(explain("catalog", error)) is TerminalError


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.AdminShutdown, Failure.TRANSIENT),
        (errors.CannotConnectNow, Failure.TRANSIENT),
        (errors.IdleSessionTimeout, Failure.TRANSIENT),
        (errors.TooManyConnections, Failure.TRANSIENT),
        (errors.DeadlockDetected, Failure.TRANSIENT),
        (errors.SerializationFailure, Failure.TRANSIENT),
        (errors.DatabaseDropped, Failure.TERMINAL),
        (errors.UndefinedTable, Failure.TERMINAL),
        (errors.InsufficientPrivilege, Failure.REFUSED),
        (errors.InvalidPassword, Failure.REFUSED),
    ],
)
def test_a_state_says_what_the_server_meant(kind: type[psycopg.Error], expected: Failure) -> None:
    assert judged(kind("what the server said")) is expected
    assert judged(_wrapped(kind("what the server said"))) is expected
    assert judged(of_java(kind.sqlstate or "")) is expected


@pytest.mark.parametrize(
    ("state", "kind"),
    [("08001", TransientError), ("08006", TransientError), ("08004", TerminalError),
     ("28P01", TerminalError), ("3D000", TerminalError)],
)  # fmt: skip
def test_an_error_of_the_jvm_is_told_with_its_cause(state: str, kind: type[LakehouseError]) -> None:
    found = explain("silver.orders", of_java(state))
    assert type(found) is kind
    assert found.message.endswith("what the server said")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(390100, Failure.REFUSED), (390144, Failure.REFUSED), (200001, Failure.TRANSIENT)],
)
def test_a_login_that_snowflake_refuses_is_no_lost_connection(code: int, expected: Failure) -> None:
    assert judged(of_java("08001", code)) is expected


def test_other_errors_are_none_of_a_database() -> None:
    assert judged(OSError("No space left on device")) is None
    assert judged(ValueError("password authentication failed")) is None


def test_values_of_rows_are_not_searched_for_what_the_server_said() -> None:
    error = errors.UniqueViolation("duplicate key\nDETAIL:  (permission denied) exists")
    assert judged(error) is Failure.TERMINAL


def _wrapped(error: psycopg.Error) -> OperationalError:
    return OperationalError("SELECT 1", None, error)
