"""Rows are conserved: what became of each record that a run took in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.property.delivery import Delivered
from tests.property.events import Record
from tests.property.model import TABLES, Event, Key, broken_rule, histories

Histories: TypeAlias = dict[Key, list[Event]]


@dataclass(frozen=True)
class Counts:
    """Row accounting of one run of one table."""

    ingested: int
    published: int
    deduplicated: int
    quarantined: int
    rejected: int = 0


def quarantined(name: str, delivered: Sequence[Delivered]) -> list[tuple[str, int, str]]:
    """File, record number and rule of each record that is kept out of a table; each delivery counts."""
    broken = [(d.file, d.number, broken_rule(d.record, TABLES[name])) for d in delivered]
    return sorted((file, number, rule) for file, number, rule in broken if rule is not None)


def last_events(found: Histories) -> dict[Key, Event]:
    """What a table keeps whose rows are the last events of the keys, remembered deletes included."""
    return {key: events[-1] for key, events in found.items()}


def last_or_buried(found: Histories) -> dict[Key, Event]:
    """As `last_events`, where a delete leaves no more than its place in the sequence."""
    kept = last_events(found)
    return {
        k: e._replace(plan=None, seats=None, amount=None, note=None) if e.op == "d" else e
        for k, e in kept.items()
    }


def all_events(found: Histories) -> dict[Key, Event]:
    """What a table of events keeps: each distinct event."""
    return {event: event for events in found.values() for event in events}


def counts(
    name: str,
    runs: Sequence[Sequence[Delivered]],
    kept: Callable[[Histories], dict[Key, Event]] = last_events,
) -> list[Counts]:
    """What each run must report of a table: published is what is kept and was not kept before.

    Args:
        name: The silver table.
        runs: What each run took in.
        kept: What the table keeps of the events.
    """
    found: list[Counts] = []
    records: list[Record] = []
    before: dict[Key, Event] = {}
    for delivered in runs:
        records += [d.record for d in delivered]
        after = kept(histories(records, TABLES[name]))
        published = sum(1 for key, event in after.items() if before.get(key) != event)
        kept_out = len(quarantined(name, delivered))
        rest = len(delivered) - published - kept_out
        found.append(Counts(len(delivered), published, rest, kept_out))
        before = after
    return found
