"""Rows are conserved: what became of each record that a run took in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.property.delivery import Delivered
from tests.property.events import Record
from tests.property.model import TABLES, Event, Key, broken_rule, histories


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


def last_event(events: Sequence[Event]) -> Any:
    """State of a key in a table that keeps the last event, a remembered delete included."""
    return events[-1]


def counts(
    name: str,
    runs: Sequence[Sequence[Delivered]],
    state: Callable[[Sequence[Event]], Any] = last_event,
) -> list[Counts]:
    """What each run must report of a table: a key is published where its state is another than before.

    Args:
        name: The silver table.
        runs: What each run took in.
        state: What the table keeps of the events of a key.
    """
    found, before, records = [], dict[Key, Any](), list[Record]()
    for delivered in runs:
        records += [d.record for d in delivered]
        after = {k: state(events) for k, events in histories(records, TABLES[name]).items()}
        published = sum(1 for key, value in after.items() if before.get(key) != value)
        kept_out = len(quarantined(name, delivered))
        rest = len(delivered) - published - kept_out
        found.append(Counts(len(delivered), published, rest, kept_out))
        before = after
    return found
