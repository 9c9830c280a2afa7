"""Records of the four saas files: their columns, and how a record is written in its file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

Record = Mapping[str, str]
"""Column to text; the empty text is absent."""

USERS, CHANGES, EVENTS, INVOICES = "users", "subscriptions", "events", "invoices"
FILES = {
    USERS: "saas_users_{:02}.csv",
    CHANGES: "saas_subscription_changes_{:02}.jsonl",
    EVENTS: "saas_events_{:02}.jsonl",
    INVOICES: "saas_invoices_{:02}.csv",
}
"""Name of the file of each table and delivery."""
COLUMNS = {
    USERS: ("user_id", "email", "name", "country", "plan_interest", "created_at", "updated_at"),
    INVOICES: (
        "invoice_id",
        "subscription_id",
        "amount",
        "issued_at",
        "paid_at",
        "status",
        "updated_at",
    ),
}
"""Columns of the CSV files."""
LOG = ("op", "lsn", "ts_us")
"""What a change event says beside the row."""
ZONED = ("started_at", "ended_at", "updated_at")
"""Columns of PostgreSQL's type timestamptz in the table of subscriptions."""

_EPOCH = datetime(1970, 1, 1)


def instant(microseconds: int | None) -> str:
    """An instant as text, UTC; the empty text for none."""
    if microseconds is None:
        return ""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(sep=" ")


def zoned(text: str) -> str:
    """An instant as Debezium writes a timestamptz (`io.debezium.time.ZonedTimestamp`); others as they are."""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="microseconds") + "Z"
    except ValueError:
        return text


def money(cents: int) -> str:
    """An amount with two decimals."""
    return f"{cents // 100}.{cents % 100:02}"


def header(table: str) -> str:
    """The first line of a file; none for JSON lines."""
    return ",".join(COLUMNS[table]) + "\n" if table in COLUMNS else ""


def line(table: str, record: Record) -> str:
    """A record as a line of its file."""
    if table in COLUMNS:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(record.values())
        return text.getvalue()
    value = _envelope(record) if table == CHANGES else _nulls(record)
    return json.dumps(value, ensure_ascii=False) + "\n"


def _envelope(record: Record) -> dict[str, object]:
    """A change event as Debezium's connector for PostgreSQL writes it, less what nobody reads.

    Decimals are those of `decimal.handling.mode=string`.
    """
    row = _nulls(
        {
            name: zoned(text) if name in ZONED else text
            for name, text in record.items()
            if name not in LOG
        }
    )
    source = {name: int(record[name]) if record[name] else None for name in ("lsn", "ts_us")}
    deleted = record["op"] == "d"
    return {
        "before": row if deleted else None,
        "after": None if deleted else row,
        "source": {"connector": "postgresql", "table": CHANGES, **source},
        "op": record["op"],
    }


def _nulls(record: Record) -> dict[str, str | None]:
    return {name: text or None for name, text in record.items()}
