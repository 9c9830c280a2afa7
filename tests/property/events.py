"""Generated event logs of accounts, as text records like those of a delivered file.

Values come from small sets, so that ties, repeats and neighbours with equal values are frequent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

EPOCH, HOURS = datetime(2024, 1, 30, 22), 96
FAR = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))
"""The first and the last second that text, tables and Python agree on."""
PLANS = ("free", "pro", "team", "größer", "\uff5e", "\U0001f600")
"""The last two compare one way by code point and the other way by UTF-16 unit."""
AMOUNTS = ("0", "10", "10.0", "10.00", "-3.5", "7.005", "1e2", "99999.99")
NOTES = ("a", "b", 'said "no", left', "two\nlines", " ")
DEFECTS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "key_missing": (("account_id", None), ("account_id", " ")),
    "sequence_missing": (("changed_at", None), ("version", None)),
    "not_parseable": (
        *(("changed_at", text) for text in ("2024-02-30 10:00:00", "yesterday", "2024-02-01")),
        *(("version", text) for text in ("1.5", "99999999999")),
        *(("seats", text) for text in ("three", " 3", "3000000000")),
        *(("amount", text) for text in ("1,5", "1e20", "--1")),
    ),
    "required_missing": (("op", None),),
    "negative_seats": (("seats", "-1"),),
}
"""Column and value by the rule that an update breaks with it."""


class Record(NamedTuple):
    """A delivered row: text, or None where the field is empty."""

    account_id: str | None
    changed_at: str | None
    version: str | None
    op: str | None
    plan: str | None
    seats: str | None
    amount: str | None
    note: str | None


COLUMNS = Record._fields


def make_log(random: Random, events: int, keys: int) -> list[Record]:
    """An event log: new events, and events made from earlier ones in the ways that are hard.

    Args:
        random: Source of all choices.
        events: Number of records, exact duplicates and bad rows included.
        keys: Number of accounts; each has an event where there are enough.
    """
    log = [_new(random, f"a{number:02}") for number in range(min(events, keys))]
    good = list(log)
    while len(log) < events:
        make = random.choice(KINDS)
        log.append(make(random, random.choice(good)))
        if make is not _bad:
            good.append(log[-1])
    return log


def _new(random: Random, account: str | None) -> Record:
    """An update of the account at any instant; some columns may be empty."""
    hours = random.randrange(HOURS + 6)
    at = EPOCH + timedelta(hours=hours) if hours < HOURS else FAR[hours % len(FAR)]
    return Record(
        account_id=account,
        changed_at=at.isoformat(sep=" "),
        version=str(random.randrange(3)),
        op=random.choice("ui"),
        plan=_sometimes(random, random.choice(PLANS)),
        seats=_sometimes(random, str(random.randrange(4))),
        amount=_sometimes(random, random.choice(AMOUNTS)),
        note=_sometimes(random, random.choice(NOTES)),
    )


def _sometimes(random: Random, value: str) -> str | None:
    return value if random.randrange(4) else None


def _repeat(random: Random, earlier: Record) -> Record:
    """The same event once more."""
    del random
    return earlier


def _tie(random: Random, earlier: Record) -> Record:
    """Other content at the same place in the sequence."""
    other = _new(random, earlier.account_id)
    return earlier._replace(
        op=earlier.op if earlier.op == "d" else other.op,
        plan=other.plan,
        seats=other.seats,
        amount=other.amount,
    )


def _delete(random: Random, earlier: Record) -> Record:
    """A delete of the same account at another instant, with or without values of its own."""
    deleted = _moved(random, earlier)._replace(op="d")
    if random.randrange(2):
        return deleted
    return deleted._replace(plan=None, seats=random.choice((None, "-1")), amount=None, note=None)


def _deleting_tie(random: Random, earlier: Record) -> Record:
    """A delete at the very place of another event; of a delete, an update."""
    del random
    return earlier._replace(op="u" if earlier.op == "d" else "d")


def _moved(random: Random, earlier: Record) -> Record:
    """The same values at another instant: neighbours that are one span until another comes between."""
    other = _new(random, earlier.account_id)
    return earlier._replace(changed_at=other.changed_at, version=other.version)


def _update(random: Random, earlier: Record) -> Record:
    """Other values of the same account: a change, or a re-insert after a delete."""
    return _new(random, earlier.account_id)


def _same_instant(random: Random, earlier: Record) -> Record:
    """Another version at the same instant."""
    return _update(random, earlier)._replace(changed_at=earlier.changed_at)


def _bad(random: Random, earlier: Record) -> Record:
    """A row with exactly one defect, so that the order in which rules are tried does not matter."""
    good = Record(earlier.account_id, "2024-02-01 00:00:00", "1", "u", "pro", "1", "1", "bad")
    column, value = random.choice(DEFECTS[random.choice(tuple(DEFECTS))])
    updated = good._replace(**{column: value})
    return updated._replace(op=random.choice("ud")) if value else updated


KINDS: tuple[Callable[[Random, Record], Record], ...] = (
    *[_update] * 6,
    *[_moved] * 2,
    *[_delete] * 6,
    *[_tie] * 2,
    _deleting_tie,
    _same_instant,
    _repeat,
    *[_bad] * 2,
)


def event_logs(max_events: int = 60, max_keys: int = 6) -> st.SearchStrategy[list[Record]]:
    """Logs that Hypothesis can shrink; few keys, so that each has many events."""
    return st.builds(
        make_log,
        st.randoms(use_true_random=False),
        events=st.integers(0, max_events),
        keys=st.integers(1, max_keys),
    )
