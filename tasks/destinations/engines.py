"""Connections to destinations: URLs, credentials, and which errors are worth a retry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from storage import secrets
from storage.connections import KEEPALIVES, SERVER_KEEPALIVES, Failure, judged, state_of
from storage.errors import (
    ConfigurationError,
    DestinationError,
    DestinationUnavailableError,
    LakehouseError,
)
from tasks.domain.spec import DestinationSpec

CONNECT_SECONDS = 20
LOCK_SECONDS = 60


@dataclass(frozen=True)
class Backend:
    """A kind of database that tables can be pushed to.

    Attributes:
        extra: The optional dependencies that hold its driver; empty where it is always installed.
        options: Arguments of the driver's `connect`, unless the destination gives its own.
    """

    extra: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


BACKENDS: Mapping[str, Backend] = {
    "postgresql+psycopg": Backend(
        options={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "lakehouse",
            **KEEPALIVES,
            "options": f"-c lock_timeout={LOCK_SECONDS}s -c timezone=UTC {SERVER_KEEPALIVES}",
        }
    ),
    "snowflake": Backend(
        extra="snowflake",
        options={
            "login_timeout": CONNECT_SECONDS,
            "application": "lakehouse",
            "session_parameters": {"LOCK_TIMEOUT": LOCK_SECONDS, "TIMEZONE": "UTC"},
        },
    ),
}
"""The drivers that a URL may name."""

MADE_MEANWHILE = ("42P07", "42P06", "42710")
"""A table that another session made since it was looked for."""


def connect_arguments(spec: DestinationSpec) -> tuple[Any, dict[str, Any]]:
    """The URL with user and password, and the arguments of the driver's `connect`.

    Raises:
        ConfigurationError: A secret is not set.
    """
    url = make_url(spec.url)
    if spec.user:
        url = url.set(username=spec.user)
    if spec.password:
        url = url.set(password=secrets.reveal(spec.password))
    options = {**BACKENDS[url.drivername].options, **secrets.revealed(spec.options)}
    return url, {name: value for name, value in options.items() if name not in url.query}


def engine_of(name: str, spec: DestinationSpec) -> Engine:
    """An engine without a pool; nothing is connected yet.

    Args:
        name: The destination's name, for messages.
        spec: What is declared of it, with a URL.

    Raises:
        ConfigurationError: A secret is not set, the driver is not installed, or it refuses the URL.
    """
    url, options = connect_arguments(spec)
    try:
        return create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except (ImportError, NoSuchModuleError):
        extra = BACKENDS[url.drivername].extra
        raise ConfigurationError(
            f"destination {name}: the driver of {url.drivername} is not installed",
            advice=f"Install the optional dependencies: pip install 'lakehouse-platform[{extra}]'",
        ) from None
    except ArgumentError as error:
        raise ConfigurationError(
            f"destination {name}: url: {str(error).partition('. ')[0]}",
            advice=f"Give arguments of the driver as domain.destinations.{name}.options.",
        ) from None


@contextmanager
def transaction(name: str, engine: Engine) -> Iterator[Connection]:
    """A transaction, whose native errors become ours, without values and without secrets.

    Raises:
        DestinationUnavailableError: The same call may succeed later.
        DestinationError: It fails again until something is changed.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except LakehouseError:
        raise
    except Exception as error:
        known = classified(name, error)
        if known is None:
            raise
        raise known from None


def classified(name: str, error: Exception) -> LakehouseError | None:
    """Our error for one of the driver; None where it is none."""
    native = (error.orig if isinstance(error, DBAPIError) else None) or error
    failure = judged(error)
    if failure is None and not isinstance(error, SQLAlchemyError):
        return None
    message = f"destination {name}: {secrets.hidden(_said(native))}"
    if failure is Failure.REFUSED:
        advice = "Check the destination's user and password, and what it is granted there."
        return DestinationError(message, advice=advice)
    if failure is Failure.TRANSIENT or _made(native):
        advice = "Check that the destination answers; the next run goes on where this one stopped."
        return DestinationUnavailableError(message, advice=advice)
    return DestinationError(message, advice="Fix what it names; nothing of this push is visible.")


def _made(error: BaseException) -> bool:
    """Whether two sessions made the same table at once; a unique key of the catalog may have refused it."""
    state = state_of(error)
    constraint = getattr(getattr(error, "diag", None), "constraint_name", None) or ""
    return state in MADE_MEANWHILE or (state == "23505" and constraint.startswith("pg_"))


def _said(error: BaseException) -> str:
    """The first line: what follows may show values of rows."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
