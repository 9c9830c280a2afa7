"""What silver must hold after an event log, computed the plain way: sort the events of a key, walk them.

Each function is a pure function of the set of events: nothing here knows of batches, files or arrival.
Values are Python's: text, int, Decimal, and datetime without a zone for UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from tests.property.events import COLUMNS, Record

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[Any, ...]

INT = range(-(2**31), 2**31)
TRACKED = ("plan", "seats")


class Event(NamedTuple):
    """A typed record that broke no rule."""

    account_id: str
    changed_at: datetime | None
    version: int | None
    op: str | None
    plan: str | None
    seats: int | None
    amount: Decimal | None
    note: str | None


@dataclass(frozen=True)
class Table:
    """What differs between the silver tables.

    Attributes:
        key: Columns that identify a row.
        required: Columns without which a row is quarantined.
        deletes: Whether `op = 'd'` is a delete event; otherwise `op` is a value as any other.
        columns: The columns that it has.
        sequence: Columns that order the events of a key before their values do.
    """

    key: tuple[str, ...] = ("account_id",)
    required: tuple[str, ...] = ("op",)
    deletes: bool = True
    columns: tuple[str, ...] = COLUMNS
    sequence: tuple[str, ...] = ("changed_at", "version")


TABLES = {
    "accounts_soft": Table(),
    "accounts_hard": Table(required=("op", "plan")),
    "accounts_history": Table(),
    "accounts_folded": Table(),
    "account_events": Table(key=("account_id", "changed_at", "version"), deletes=False),
    "account_notes": Table(required=(), deletes=False, columns=("account_id", "note"), sequence=()),
}


# Typing and row rules


def to_timestamp(text: str) -> datetime:
    return datetime.strptime(text.replace("T", " "), "%Y-%m-%d %H:%M:%S")


def to_int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text) or int(text) not in INT:
        raise ValueError(text)
    return int(text)


def to_money(text: str) -> Decimal:
    """A decimal(18,2), rounded half up (away from zero)."""
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise ValueError(text)
    value = Decimal(text).quantize(Decimal("0.01"), ROUND_HALF_UP)
    if abs(value) >= Decimal(10) ** 16:
        raise ValueError(text)
    return value


PARSERS: dict[str, Callable[[str], Any]] = {
    "changed_at": to_timestamp,
    "version": to_int,
    "seats": to_int,
    "amount": to_money,
}


@cache
def typed(record: Record, columns: tuple[str, ...] = COLUMNS) -> Row | None:
    """The record's values by column, empty text as None; None where one does not parse.

    Columns that a table does not have are None.
    """
    row: Row = dict.fromkeys(COLUMNS)
    for column in columns:
        text = getattr(record, column)
        try:
            row[column] = PARSERS.get(column, str)(text) if text else None
        except ValueError:
            return None
    return row


def broken_rule(record: Record, table: Table) -> str | None:
    """The first rule that a record breaks; None for a good one.

    A delete event is exempt from required values and from the table's own rules.
    """
    if any(not (getattr(record, column) or "").strip(" ") for column in table.key):
        return "key_missing"
    row = typed(record, table.columns)
    if row is None:
        return "not_parseable"
    if any(row[column] is None for column in table.sequence):
        return "sequence_missing"
    return None if table.deletes and row["op"] == "d" else _broken_by_update(row, table)


def _broken_by_update(row: Row, table: Table) -> str | None:
    if any(row[column] is None for column in table.required):
        return "required_missing"
    if row["seats"] is not None and row["seats"] < 0:
        return "negative_seats"
    return None


# Order


def order(event: Event, table: Table) -> tuple[Any, ...]:
    """The place of an event among those of its key; arrival does not matter.

    First the sequence, then deletes after everything else at the same place, then the content in the
    order of the columns, nulls before values.
    """
    content = (event.op, event.plan, event.seats, event.amount, event.note)
    places = (*(getattr(event, column) for column in table.sequence), *content)
    ordered = [nulls_first(value) for value in places]
    ordered.insert(len(table.sequence), (True, table.deletes and event.op == "d"))
    return tuple(ordered)


def nulls_first(value: Any) -> tuple[bool, Any]:
    """A value's place in an order in which null comes before every other."""
    return (value is not None, value)


def histories(records: Iterable[Record], table: Table) -> dict[Key, list[Event]]:
    """The distinct good events of each key, in order."""
    events: dict[Key, set[Event]] = {}
    for record in records:
        if broken_rule(record, table) is None:
            event = Event(**(typed(record, table.columns) or {}))
            key = tuple(getattr(event, column) for column in table.key)
            events.setdefault(key, set()).add(event)
    return {key: sorted(found, key=lambda e: order(e, table)) for key, found in events.items()}


# Tables


def accounts_soft(records: Iterable[Record]) -> list[Row]:
    """SCD1: the last event of a key wins; a delete stays, marked."""
    last = [events[-1] for events in histories(records, TABLES["accounts_soft"]).values()]
    return [{**event._asdict(), "_is_deleted": event.op == "d"} for event in last]


def accounts_hard(records: Iterable[Record]) -> list[Row]:
    """SCD1: the last event of a key wins; after a delete there is no row."""
    last = [events[-1] for events in histories(records, TABLES["accounts_hard"]).values()]
    return [event._asdict() for event in last if event.op != "d"]


def accounts_folded(records: Iterable[Record]) -> list[Row]:
    """SCD1 of partial updates: each column's last value that is not null, since the last delete.

    A deleted row has the values of its delete event. Those do not count for a re-insert.
    """
    rows = []
    for events in histories(records, TABLES["accounts_folded"]).values():
        row: Row = {}
        for event in events:
            deleted = event.op == "d"
            if deleted or row.get("_is_deleted"):
                row = {}
            for column, value in event._asdict().items():
                if value is not None or column not in row:
                    row[column] = value
            row["_is_deleted"] = deleted
        rows.append(row)
    return rows


def at_instants(events: Iterable[Event]) -> dict[datetime, Event]:
    """Of the events of a key at one instant only the last in order counts; given and returned in order."""
    last: dict[datetime, Event] = {}
    for event in events:
        assert event.changed_at is not None  # a good event has its sequence
        last[event.changed_at] = event
    return last


def accounts_history(records: Iterable[Record]) -> list[Row]:
    """SCD2: a span starts where a tracked value changes; a delete ends it and leaves a gap."""
    rows: list[Row] = []
    for (account_id,), events in histories(records, TABLES["accounts_history"]).items():
        current: Row | None = None
        for instant, event in at_instants(events).items():
            values = {column: getattr(event, column) for column in TRACKED}
            deleted = event.op == "d"
            if current is not None and not deleted and values == {c: current[c] for c in TRACKED}:
                continue
            if current is not None:
                current |= {"valid_to": instant, "is_current": False}
                current = None
            if not deleted:
                current = {"account_id": account_id, **values}
                current |= {"valid_from": instant, "valid_to": None, "is_current": True}
                rows.append(current)
    return rows


def account_events(records: Iterable[Record]) -> list[Row]:
    """Append: each key once; of several contents of a key the last in order."""
    found = histories(records, TABLES["account_events"]).values()
    return [events[-1]._asdict() for events in found]


def account_notes(records: Iterable[Record]) -> list[Row]:
    """Append without a sequence: of the notes of an account the greatest, none before any."""
    found = histories(records, TABLES["account_notes"]).values()
    return [{"account_id": events[-1].account_id, "note": events[-1].note} for events in found]


UNKNOWN = datetime(2024, 1, 31)
"""The instant that the events of `plan_notes` do not know."""


def plan_notes(records: Iterable[Record]) -> list[Row]:
    """SCD2 of other rows: keys, instants, ties and tracked values may all be null; null comes first."""
    given: dict[str | None, dict[tuple[bool, Any], tuple[Any, ...]]] = {}
    for row in account_events(records):
        instant = None if row["changed_at"] == UNKNOWN else row["changed_at"]
        place = (nulls_first(row["seats"]), nulls_first(row["note"]))
        at = given.setdefault(row["plan"], {})
        at[nulls_first(instant)] = max(at.get(nulls_first(instant), ()), place)
    rows: list[Row] = []
    for plan, found in given.items():
        current: Row | None = None
        for (_, instant), (_, (_, note)) in sorted(found.items()):
            if current is not None and current["note"] == note:
                continue
            if current is not None:
                current |= {"valid_to": instant, "is_current": False}
            current = {"plan": plan, "note": note}
            current |= {"valid_from": instant, "valid_to": None, "is_current": True}
            rows.append(current)
    return rows
