"""Generator of the saas domain: users, change events of subscriptions, usage events and invoices.

The same parameters give the same bytes. Starts grow by some percent a month and follow the seasons;
`saas_lives` says what becomes of a subscription. Change events are numbered in the order of the source's log
and delivered in the order of their arrival: hours late as a rule, weeks late now and then.
"""

from __future__ import annotations

import json
from array import array
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np

from tasks.generate.columns import IntArray
from tasks.generate.generated import (
    MAX_DELIVERIES,
    Generated,
    GeneratedFile,
    require,
    require_count,
)
from tasks.generate.saas import lives
from tasks.generate.saas.defects import Files
from tasks.generate.saas.lives import DAY, SECOND, Change
from tasks.generate.saas.records import CHANGES, EVENTS, INVOICES, USERS, instant, money

MIN_ROWS = 50
MAX_MONTHS = 120
TRUTH = "saas_truth.json"

_FIRST_YEAR = 2022
_GROWTH_A_MONTH = 1.03
_SEASON = (1.25, 1.10, 1.10, 1.00, 0.95, 0.90, 0.75, 0.70, 1.20, 1.15, 1.05, 0.65)
_SECOND_SUBSCRIPTION = 0.08
_CHANGED_USERS = 0.12
_LATE = 0.02
_FIRST_LSN, _LSN_STEP = 24_000_000, 56

_OPS = ("c", "u", "d")
_STATUSES = (lives.TRIALING, lives.ACTIVE, lives.PAST_DUE, lives.CANCELED)
_EVENT_TYPES = ("login", "feature_used", "export", "invite_sent", "support_ticket")
_EVENT_WEIGHTS = (50, 30, 10, 6, 4)
_FIRST = ("Ana", "Ben", "Chloé", "Dmitri", "Emre", "Fatima", "Günther", "Hana", "Ivo", "Jun")
_LAST = ("Almeida", "Brown", "Costa", "Dvořák", "Eriksen", "Fischer", "García", "Haddad", "Ito")
_COUNTRIES = ("US", "DE", "GB", "BR", "FR", "IN", "PT", "JP")
_COUNTRY_WEIGHTS = (30, 18, 14, 10, 9, 9, 6, 4)
_NEVER = -1


def generate(
    to: Path,
    *,
    rows: int = 20_000,
    seed: int = 7,
    defects: float = 0.0,
    months: int = 36,
    deliveries: int = 1,
) -> Generated:
    """Write the files of all deliveries and the truth file into the folder `to`.

    Files of these names are replaced, each whole or not at all; files of deliveries that there are no more
    are removed. Memory grows by some 100 bytes a change event, and by the planted defects.

    Args:
        to: Folder, made if it is missing.
        rows: Change events of subscriptions without those planted; the other files grow with them.
        seed: Seed of every random choice, 0 or more.
        defects: Share of each file's records that break a row rule, and share for each other kind of
            defect, planted as further records; 0 to 0.5.
        months: Length of the history in months from January 2022; 1 to 120.
        deliveries: Files a source: the history is cut into spans of equal length, and a record is delivered
            in the span in which it arrives; 1 to 99.

    Raises:
        ValueError: A parameter is out of its range.
    """
    require(rows, seed, defects, fewest=MIN_ROWS)
    require_count("months", months, MAX_MONTHS)
    require_count("deliveries", deliveries, MAX_DELIVERIES)
    to.mkdir(parents=True, exist_ok=True)
    path = to / TRUTH
    path.unlink(missing_ok=True)
    for old in to.glob("saas_*_[0-9][0-9].*"):
        old.unlink()
    parameters = {
        "rows": rows, "seed": seed, "defects": defects, "months": months, "deliveries": deliveries
    }  # fmt: skip
    says = json.dumps({"domain": "saas", "seed": seed, "parameters": parameters})
    with Files(to, path, deliveries, defects, says) as files:
        _Writer(files, seed, months, deliveries).write(rows)
    made = [GeneratedFile(name, n, (to / name).stat().st_size) for name, n in files.rows.items()]
    return Generated(tuple(made), path)


def _month_start(month: int) -> int:
    """First microsecond of a month counted from the first one."""
    year, place = divmod(month, 12)
    return int(datetime(_FIRST_YEAR + year, place + 1, 1, tzinfo=UTC).timestamp()) * SECOND


class _Writer:
    """Lives one subscription after the other; only the change events wait, to be put in order."""

    def __init__(self, files: Files, seed: int, months: int, deliveries: int) -> None:
        self._files, self._deliveries = files, deliveries
        # A stream of its own for each part, so that one does not move the others; none is for secrets.
        names = ("starts", "lives", "people", "usage", "arrivals")
        self._random = {name: Random(f"{seed} {name}") for name in names}  # noqa: S311
        self._edges = [_month_start(month) for month in range(months + 1)]
        self._start, self._until = self._edges[0], self._edges[-1]
        self._weights = [_GROWTH_A_MONTH**m * _SEASON[m % 12] for m in range(months)]
        self._created = array("q")  # of each user
        self._log = array("q")

    def write(self, rows: int) -> None:
        left, number = rows, 0
        while left:
            number += 1
            user, start = self._begin(first=number == 1)
            life = lives.life(self._random["lives"], start, self._until, self._start)
            changes = [change for _, change in zip(range(left), life, strict=False)]
            left -= len(changes)
            for change in changes:
                self._log.extend(self._encoded(number, user, start, change))
            self._write_invoices(number, changes)
            self._write_usage(number, user, changes)
        self._write_changes()

    def _begin(self, *, first: bool) -> tuple[int, int]:
        """The user of a subscription and its start; the first one starts in the first month."""
        rng = self._random["starts"]
        if self._created and rng.random() < _SECOND_SUBSCRIPTION:
            user = rng.randrange(len(self._created))
            return user, rng.randrange(self._created[user] + SECOND, self._until)
        month = 0 if first else rng.choices(range(len(self._weights)), self._weights)[0]
        start = rng.randrange(self._edges[month] + 600 * SECOND, self._edges[month + 1])
        self._created.append(start - rng.randrange(SECOND, 600 * SECOND))
        self._write_user(len(self._created) - 1)
        return len(self._created) - 1, start

    def _encoded(self, number: int, user: int, start: int, change: Change) -> tuple[int, ...]:
        ended = _NEVER if change.ended_at is None else change.ended_at
        return (
            change.at, self._arrival(change.at), number, user, start, change.updated_at, ended,
            change.price_cents, _OPS.index(change.op), lives.PLANS.index(change.plan),
            _STATUSES.index(change.status),
        )  # fmt: skip

    def _arrival(self, at: int) -> int:
        rng = self._random["arrivals"]
        late = rng.randrange(40) * DAY if rng.random() < _LATE else 0
        return at + late + int(rng.expovariate(1 / 2) * 3600 * SECOND)

    def _delivery(self, arrival: int) -> int:
        span = (self._until - self._start) / self._deliveries
        return min(self._deliveries, 1 + int((arrival - self._start) / span))

    def _put(self, table: str, at: int, record: dict[str, str]) -> None:
        self._files.write(table, self._delivery(self._arrival(at)), record)

    def _write_user(self, user: int) -> None:
        rng, created = self._random["people"], self._created[user]
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        record = {
            "user_id": _user_id(user),
            "email": f"{first}.{last}{user}@example.com".lower(),
            "name": f"{first} {last}",
            "country": rng.choices(_COUNTRIES, _COUNTRY_WEIGHTS)[0],
            "plan_interest": rng.choice(lives.PLANS),
            "created_at": instant(created),
            "updated_at": instant(created),
        }
        self._put(USERS, created, record)
        if rng.random() < _CHANGED_USERS:
            at = rng.randrange(created + SECOND, self._until + SECOND)
            moved = {"country": rng.choice(_COUNTRIES), "updated_at": instant(at)}
            self._put(USERS, at, record | moved)

    def _write_invoices(self, number: int, changes: list[Change]) -> None:
        for state in lives.invoices(self._random["usage"], changes, self._until):
            record = {
                "invoice_id": f"inv_{number:07}_{state.number:03}",
                "subscription_id": _subscription_id(number),
                "amount": money(state.amount_cents),
                "issued_at": instant(state.issued_at),
                "paid_at": instant(state.paid_at),
                "status": state.status,
                "updated_at": instant(state.updated_at),
            }
            self._put(INVOICES, state.updated_at, record)

    def _write_usage(self, number: int, user: int, changes: list[Change]) -> None:
        """Use from the start until the last change, in the hours of the day."""
        rng, start = self._random["usage"], changes[0].at
        days = (min(changes[-1].at + 30 * DAY, self._until) - start) // DAY
        for place in range(int(rng.expovariate(1 / 4))):
            hour = rng.triangular(0, 24, 14)
            at = start - start % DAY + rng.randrange(days + 1) * DAY + int(hour * 3600 * SECOND)
            if start < at < self._until:
                record = {
                    "event_id": f"evt_{number:07}_{place:03}",
                    "user_id": _user_id(user),
                    "event_type": rng.choices(_EVENT_TYPES, _EVENT_WEIGHTS)[0],
                    "event_ts": instant(at),
                }
                self._put(EVENTS, at, record)

    def _write_changes(self) -> None:
        """Number the changes by instant, then write them by arrival."""
        width = 11
        log: IntArray = np.frombuffer(self._log, dtype=np.int64).reshape(-1, width)
        lsn = np.empty(len(log), dtype=np.int64)
        # Stable: changes of a subscription at one instant keep their order.
        by_instant = np.argsort(log[:, 0], kind="stable")
        lsn[by_instant] = _FIRST_LSN + _LSN_STEP * np.arange(len(log))
        for place in np.argsort(log[:, 1], kind="stable").tolist():
            row = log[place].tolist()
            self._files.write(CHANGES, self._delivery(row[1]), _change(row, int(lsn[place])))


def _change(row: list[int], lsn: int) -> dict[str, str]:
    at, _, number, user, start, updated, ended, price, op, plan, status = row
    return {
        "subscription_id": _subscription_id(number),
        "user_id": _user_id(user),
        "plan": lives.PLANS[plan],
        "status": _STATUSES[status],
        "monthly_price": money(price),
        "started_at": instant(start),
        "ended_at": instant(None if ended == _NEVER else ended),
        "updated_at": instant(updated),
        "op": _OPS[op],
        "lsn": str(lsn),
        "ts_us": str(at),
    }


def _user_id(user: int) -> str:
    return f"usr_{user + 1:07}"


def _subscription_id(number: int) -> str:
    return f"sub_{number:07}"
