"""Connections to PostgreSQL: how long a silent one is kept.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES
"""

from __future__ import annotations

from collections.abc import Mapping

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
