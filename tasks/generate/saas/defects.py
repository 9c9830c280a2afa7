"""Files with planted defects, and the truth file that lists them.

Every defect is a further record, directly after the sound one that it was made of: the sound records, and
what they amount to, stay as they are. Only corrections and orphans, which are not errors of a record by
itself, change what is published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, TextIO

from tasks.generate.csv_writing import replacing
from tasks.generate.saas.records import (
    CHANGES,
    EVENTS,
    FILES,
    INVOICES,
    USERS,
    Record,
    header,
    line,
)

KEYS = {
    USERS: "user_id",
    CHANGES: "subscription_id",
    EVENTS: "event_id",
    INVOICES: "invoice_id",
}
SILVER = {
    USERS: ("users",),
    CHANGES: ("subscriptions", "subscriptions_history"),
    EVENTS: ("events",),
    INVOICES: ("invoices",),
}
"""The silver tables that take in the records of a file."""


class Defect(NamedTuple):
    """What a planted record has of its own: a kind, and for kind `rule` the row rule that it breaks."""

    kind: str
    rule: str | None = None
    changes: Mapping[str, str] = {}


MALFORMED = Defect("rule", "malformed_record")
DUPLICATE = Defect("duplicate")


def _rule(rule: str, column: str, value: str = "") -> Defect:
    return Defect("rule", rule, {column: value})


_RULES = {
    USERS: [
        _rule("key_missing", "user_id"),
        _rule("not_parseable", "updated_at", "31/12/2023 10:00"),
        _rule("sequence_missing", "updated_at"),
    ],
    CHANGES: [
        _rule("key_missing", "subscription_id"),
        _rule("not_parseable", "monthly_price", "19,00"),
        _rule("not_parseable", "started_at", "05/01/2024 10:00"),
        _rule("not_parseable", "ended_at", "next year"),
        _rule("not_parseable", "updated_at", "1704448800000"),
        _rule("sequence_missing", "ts_us"),
        _rule("required_missing", "user_id"),
        _rule("required_missing", "status"),
        _rule("unknown_status", "status", "paused"),
        _rule("negative_price", "monthly_price", "-19.00"),
        _rule("ends_before_start", "ended_at", "1999-12-31 23:59:59"),
        _rule("in_the_future", "ts_us", "32472144000000000"),
        MALFORMED,
    ],
    EVENTS: [
        _rule("key_missing", "event_id"),
        _rule("not_parseable", "event_ts", "yesterday"),
        _rule("in_the_future", "event_ts", "2999-01-01 00:00:00"),
        _rule("required_missing", "event_type"),
        MALFORMED,
    ],
    INVOICES: [
        _rule("key_missing", "invoice_id"),
        _rule("not_parseable", "amount", "EUR 19"),
        _rule("required_missing", "amount"),
        _rule("sequence_missing", "updated_at"),
        _rule("unknown_status", "status", "refunded"),
        _rule("negative_amount", "amount", "-19.00"),
        _rule("in_the_future", "updated_at", "2999-01-01 00:00:00"),
    ],
}
_OTHERS = {
    USERS: [DUPLICATE, Defect("correction", None, {"country": "PT"})],
    CHANGES: [DUPLICATE],
    EVENTS: [DUPLICATE],
    INVOICES: [
        DUPLICATE,
        Defect("correction", None, {"amount": "5.00"}),
        Defect("orphan", None, {"subscription_id": "sub_unknown"}),
    ],
}


def _planned(table: str) -> Iterator[Defect]:
    """The defects of a table in turn: each other kind as often as all rules together."""
    for rule in cycle(_RULES[table]):
        yield rule
        yield from _OTHERS[table]


class Files:
    """The files of all deliveries under their temporary names, and the truth file.

    Files appear when the block ends well. Only counts and the planted quarantine stay in memory.
    """

    def __init__(self, to: Path, truth: Path, deliveries: int, rate: float, says: str) -> None:
        self._to, self._rate, self._says = to, rate, says
        self._open: dict[str, TextIO] = {}
        self._held: dict[str, list[dict[str, str | int]]] = {
            name: [] for names in SILVER.values() for name in names
        }
        self._credit = dict.fromkeys(FILES, 0.0)
        self._plan = {table: _planned(table) for table in FILES}
        self._planted = 0
        self.rows: dict[str, int] = {}
        self._truth_path, self._deliveries = truth, deliveries
        self._stack = ExitStack()

    def __enter__(self) -> Files:
        with ExitStack() as stack:
            self._truth = stack.enter_context(replacing(self._truth_path))
            self._truth.write(self._says[:-1] + ',\n"defects": [')
            for table, pattern in FILES.items():
                for delivery in range(1, self._deliveries + 1):
                    name = pattern.format(delivery)
                    self._open[name] = stack.enter_context(replacing(self._to / name))
                    self._open[name].write(header(table))
                    self.rows[name] = 0
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._truth.write('\n],\n"quarantine": ' + json.dumps(self._held))
            self._truth.write(f',\n"rows": {json.dumps(self.rows)}\n}}\n')
        self._stack.__exit__(kind, *rest)  # type: ignore[arg-type]

    def write(self, table: str, delivery: int, record: Record) -> None:
        """Write a sound record to the file of a delivery (from 1), and the defects that are due."""
        self._put(table, delivery, line(table, record))
        if not self._rate or record.get("op") == "d":  # rules do not ask a delete event
            return
        self._credit[table] += self._rate * (1 + len(_OTHERS[table]))
        while self._credit[table] >= 1:
            self._credit[table] -= 1
            self._plant(table, delivery, record, next(self._plan[table]))

    def _put(self, table: str, delivery: int, text: str) -> str:
        name = FILES[table].format(delivery)
        self._open[name].write(text)
        self.rows[name] += 1
        return name

    def _plant(self, table: str, delivery: int, record: Record, defect: Defect) -> None:
        self._planted += 1
        planted = {**record, **defect.changes, **self._own(table, record, defect)}
        text = line(table, planted)
        if defect is MALFORMED:
            text = text[: len(text) // 2] + "\n"
        name = self._put(table, delivery, text)
        entry = {
            "file": name,
            "table": table,
            "kind": defect.kind,
            "rule": defect.rule,
            "record": self.rows[name],
            "key": planted[KEYS[table]],
            "columns": list(defect.changes),
        }
        self._truth.write((",\n" if self._planted > 1 else "\n") + json.dumps(entry))
        if defect.rule is not None:
            for silver in SILVER[table]:
                self._held[silver].append(
                    {"file": name, "record": self.rows[name], "rule": defect.rule}
                )

    def _own(self, table: str, record: Record, defect: Defect) -> dict[str, str]:
        """A correction is newer than what it corrects, an orphan has a key of its own."""
        if defect.kind == "correction":
            return {"updated_at": f"{record['updated_at'][:19]}.999999"}
        if defect.kind == "orphan":
            return {KEYS[table]: f"{record[KEYS[table]]}_{self._planted}"}
        return {}
