"""Connections to databases: how long a silent one is kept, and what their drivers' errors mean.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES and
https://www.postgresql.org/docs/current/errcodes-appendix.html (SQLSTATE, which Snowflake's driver gives too).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from py4j.protocol import Py4JError

IDLE_SECONDS = 30
INTERVAL_SECONDS = 10
PROBES = 3

KEEPALIVES: Mapping[str, int] = {
    "keepalives_idle": IDLE_SECONDS,
    "keepalives_interval": INTERVAL_SECONDS,
    "keepalives_count": PROBES,
    "tcp_user_timeout": (IDLE_SECONDS + INTERVAL_SECONDS * PROBES) * 1000,
}
"""Arguments of the driver: after a minute without a sign of life the client gives a connection up."""
SERVER_KEEPALIVES = (
    f"-c tcp_keepalives_idle={IDLE_SECONDS} -c tcp_keepalives_interval={INTERVAL_SECONDS} "
    f"-c tcp_keepalives_count={PROBES}"
)
"""Settings of the session: after the same time the server gives up a machine that is gone, and its locks."""

DRIVERS = ("psycopg", "snowflake")
REJECTED = "08004"
LOGIN = "28000"
SNOWFLAKE_LOGINS = (390100, 390144)
"""Codes with which Snowflake refuses a password or a key. It gives them the SQLSTATE of a lost connection,
and each further try counts towards the lock of the user."""
REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|(role|database) .* does not exist"
    r"|incorrect username or password|JWT token is invalid|not authorized|insufficient privileges"
    r"|permission denied",
    re.IGNORECASE,
)
"""Answers that stay the same until someone changes user, password or grants. PostgreSQL's driver gives no
code for an error while it connects."""
TRANSIENT = ("08", "25P03", "40", "53", "57P01", "57P02", "57P03", "57P05", "55P03", "58")
"""SQLSTATE of a lost connection, an idle session that was ended, a conflict, a lack of resources, a shutdown
or start, a lock, a broken machine."""
LONGEST_CHAIN = 12


class Failure(Enum):
    """What an error of a database says about the next try."""

    REFUSED = "user, password or grants"
    TRANSIENT = "worth another try"
    TERMINAL = "fails again"


def judged(error: BaseException) -> Failure | None:
    """What an error of a driver means, in Python or in the JVM; None where no database is behind it."""
    native = getattr(error, "orig", None) or error
    state = state_of(native)
    driver = type(native).__module__.split(".")[0] in DRIVERS
    if not (state or driver):
        return None
    said = str(native).strip()
    said = said.partition("\n")[0] if state else said  # what follows may show values of rows
    if state[:2] == "28" or state in (REJECTED, "42501") or REFUSED.search(said):
        return Failure.REFUSED
    lost = getattr(error, "connection_invalidated", False) or (
        not state and type(native).__name__ in ("OperationalError", "InterfaceError")
    )
    return Failure.TRANSIENT if lost or state.startswith(TRANSIENT) else Failure.TERMINAL


def state_of(native: BaseException) -> str:
    """The SQLSTATE of a driver's error, or of the one behind an error of the JVM; empty where there is none.

    It has five characters; Snowflake's driver writes `n/a` where it has none.
    """
    state = str(getattr(native, "sqlstate", None) or "")
    java = getattr(native, "java_exception", None) or getattr(native, "_origin", None)
    for _ in range(LONGEST_CHAIN):
        if java is None or len(state) == 5:
            break
        try:
            state = _java_state(java)
        except (Py4JError, TypeError):  # no exception of SQL, or the JVM is gone
            state = ""
        try:
            java = java.getCause()
        except (Py4JError, TypeError):
            break
    return state if len(state) == 5 else ""


def _java_state(java: Any) -> str:
    """The SQLSTATE of an exception of SQL."""
    state = str(java.getSQLState() or "")
    is_login = state.startswith("08") and int(java.getErrorCode()) in SNOWFLAKE_LOGINS
    return LOGIN if is_login else state
