"""What holds for every history (SCD2), looked for in the spans themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.property.compare import plain
from tests.property.events import Record
from tests.property.model import TABLES, TRACKED, Key, Row, at_instants, histories

KEY = ("account_id",)


def deletes(records: Iterable[Record]) -> dict[Key, dict[datetime, bool]]:
    """Of each key, whether the event that counts at an instant is a delete; in order of the instants."""
    return {
        key: {instant: event.op == "d" for instant, event in at_instants(events).items()}
        for key, events in histories(records, TABLES["accounts_history"]).items()
    }


def bad_spans(
    rows: Sequence[Row], deleted: Mapping[Key, Mapping[datetime, bool]]
) -> dict[Key, str]:
    """The keys whose spans break a rule of histories, each with the first rule that it breaks.

    Args:
        rows: The history: key, tracked columns, `valid_from`, `valid_to`, `is_current`.
        deleted: Of each key that has events, whether the event at an instant is a delete.
    """
    spans: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        span = {column: plain(value) for column, value in row.items()}
        spans[tuple(span[column] for column in KEY)].append(span)
    found = {}
    for key in {*spans, *deleted}:
        ordered = sorted(spans.get(key, []), key=lambda span: span["valid_from"])
        if text := _broken(ordered, deleted.get(key, {})):
            found[key] = text
    return found


def _broken(spans: Sequence[Row], deleted: Mapping[datetime, bool]) -> str:
    for span in spans:
        if span["is_current"] is not (span["valid_to"] is None):
            return f"is_current is {span['is_current']} from {span['valid_from']}"
        if span["valid_to"] is not None and span["valid_to"] <= span["valid_from"]:
            return f"inverted: {span['valid_from']} to {span['valid_to']}"
        if deleted.get(span["valid_from"]) is not False:
            return f"starts at {span['valid_from']}, where there is no insert or update"
    exists = bool(deleted) and not list(deleted.values())[-1]
    current = sum(1 for span in spans if span["is_current"])
    if current != exists:
        return f"{current} current spans of a key that {'exists' if exists else 'does not exist'}"
    pairs = zip(spans, [*spans[1:], None], strict=False)
    return next(filter(None, (_broken_neighbours(*pair, deleted) for pair in pairs)), "")


def _broken_neighbours(span: Row, following: Row | None, deleted: Mapping[datetime, bool]) -> str:
    end: Any = span["valid_to"]
    if following is not None and (end is None or end > following["valid_from"]):
        return f"overlap: {span['valid_from']} to {end}, then from {following['valid_from']}"
    if following is not None and end == following["valid_from"]:
        same = all(span[column] == following[column] for column in TRACKED)
        return f"neighbours at {end} have equal values" if same else ""
    if end is not None and not deleted.get(end):
        return f"gap from {end} without a delete"
    return ""
