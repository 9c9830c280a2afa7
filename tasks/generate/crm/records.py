"""Records of the crm files: their columns, and how instants and amounts are written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

Record = Mapping[str, str | None]
"""Column to text."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Instants are milliseconds from the first one."""

FILES = {
    "contacts": "crm_contacts_{:02}.jsonl",
    "deals": "crm_deals_{:02}.jsonl",
    "customers": "crm_customers_{:02}.csv",
    "orders": "crm_orders_{:02}.csv",
    "behavior": "crm_behavior_{:02}.csv",
    "events": "crm_events_{:02}.jsonl",
    "fx_rates": "crm_fx_rates_{:02}.csv",
}
"""Name of the file of each table and delivery."""
COLUMNS = {
    "customers": ("customer_id", "email", "segment", "country", "created_at", "updated_at"),
    "orders": (
        "order_id", "customer_id", "ordered_at", "amount", "currency", "status", "refunded_amount",
        "updated_at",
    ),
    "behavior": ("behavior_id", "customer_id", "action", "page", "occurred_at"),
    "fx_rates": ("date", "currency", "usd_rate"),
}  # fmt: skip
"""Columns of the CSV files."""
KEYS = {
    "contacts": "id", "deals": "id", "customers": "customer_id", "orders": "order_id",
    "behavior": "behavior_id", "events": "event_id",
}  # fmt: skip
SEQUENCE = {
    "contacts": "lastmodifieddate",
    "deals": "hs_lastmodifieddate",
    "customers": "updated_at",
    "orders": "updated_at",
}
LOGS = frozenset({"behavior", "events", "fx_rates"})
"""Sources that keep every record, not the newest state of an object."""
_FIRST = datetime(2026, 1, 1)


class Arrival(NamedTuple):
    """A record, and when its source shows it."""

    table: str
    at: int
    record: Record


class Streams:
    """A stream of random numbers for each part, so that one does not move the others; none is for secrets."""

    def __init__(self, seed: int, until: int) -> None:
        """With the seed of all of them, and the end of the history."""
        names = ("people", "contacts", "deals", "customers", "orders", "usage", "rates")
        self._random = {name: Random(f"{seed} crm {name}") for name in names}  # noqa: S311
        self.until = until

    def __getitem__(self, name: str) -> Random:
        """The stream of a part."""
        return self._random[name]


def instant(at: int) -> str:
    """An instant as the warehouses write it, UTC."""
    return (_FIRST + timedelta(milliseconds=at)).isoformat(sep=" ", timespec="milliseconds")


def zoned(at: int) -> str:
    """An instant as HubSpot and the events write it."""
    return (_FIRST + timedelta(milliseconds=at)).isoformat(timespec="milliseconds") + "Z"


def day(number: int) -> str:
    """A date, by its number from the first one."""
    return (_FIRST + timedelta(days=number)).date().isoformat()


def money(cents: int) -> str:
    """An amount with two decimals."""
    return f"{cents // 100}.{cents % 100:02}"
