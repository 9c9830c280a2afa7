"""Stores outside of the lake that gold tables are merged into."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.types import TableRef

DESTINATION = "destination"
"""The layer under which what is pushed is selected and reported."""


@dataclass
class DestinationSpec:
    """A database that gold tables are merged into by key, after they are published."""

    url: str = field(default="", repr=False)
    """SQLAlchemy's URL without a password, `postgresql+psycopg://USER@HOST:PORT/DATABASE` or
    `snowflake://USER@ACCOUNT/DATABASE?warehouse=NAME&role=NAME`. Nothing is pushed where it
    is empty."""
    user: str = ""
    """User, where the URL names none."""
    password: str = field(default="", repr=False)
    """A reference to the password, `${secret:NAME}`."""
    schema: str = ""
    """Schema of its tables, which has to exist; the connection's own where it is empty."""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """Further arguments of the driver's `connect`, for example `private_key_file` (Snowflake) or `sslmode`
    (PostgreSQL)."""
    tables: list[str] = field(default_factory=list)
    """Gold tables that are merged into it, as `gold.table`."""


@dataclass(frozen=True)
class Push:
    """One gold table on its way into one destination."""

    destination: str
    table: TableRef

    @property
    def ref(self) -> TableRef:
        """The name that it is reported under: `destination.<destination>.<table>`."""
        return TableRef(self.table.domain, DESTINATION, f"{self.destination}.{self.table.name}")
