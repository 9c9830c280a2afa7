"""The life of one subscription: its changes from the trial to the last cancellation, and its invoices.

A subscription is in a state and waits in it, an exponential time or a term, for what comes next. The
rates are per month of 30 days and of the size that software services for small companies report: about
3 % of the active ones cancel in a month, and half as many of the canceled ones come back in the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

SECOND = 1_000_000
DAY = 86_400 * SECOND
MONTH = 30 * DAY
"""Spans of time in microseconds."""

PLANS = ("starter", "team", "business", "enterprise")
_LIST_CENTS = (1_900, 4_900, 14_900, 49_900)
_PLAN_WEIGHTS = (50, 32, 14, 4)
_RAISE_PERCENT_A_YEAR = (
    6  # of the list prices; a subscription keeps its price until it changes plan
)
_DISCOUNTS = (0, 0, 0, 10, 20)

TRIALING, ACTIVE, PAST_DUE, CANCELED = "trialing", "active", "past_due", "canceled"
BILLED = (ACTIVE, PAST_DUE)

_TRIALS = 0.6
_TRIAL = 14 * DAY
_CONVERSION = 0.62
_ACTIVE_RATES = {
    "upgrade": 0.030,
    "downgrade": 0.012,
    "unpaid": 0.030,
    "cancel": 0.018,
    "cancel_later": 0.014,
    "touch": 0.025,
}
_CANCELED_RATES = {"reactivate": 0.015, "delete": 0.006, "touch": 0.010}
_RECOVERY = 0.75
_REVOKED = 0.2
_REINSERTED = 0.15
_TWICE = 0.01  # changes that are corrected in the same transaction, at the same instant


class Change(NamedTuple):
    """One change of a subscription: its instant, operation (c, u, d) and row, of a delete the last one."""

    at: int
    op: str
    plan: str
    status: str
    price_cents: int
    ended_at: int | None
    updated_at: int


class Invoice(NamedTuple):
    """One state of an invoice."""

    number: int
    amount_cents: int
    issued_at: int
    paid_at: int | None
    status: str
    updated_at: int


def list_price(plan: str, years: int) -> int:
    """Price of a plan in cents so many years after the first one."""
    cents = _LIST_CENTS[PLANS.index(plan)]
    return round(cents * (1 + _RAISE_PERCENT_A_YEAR / 100) ** years / 100) * 100


def life(rng: Random, start: int, until: int, origin: int) -> Iterator[Change]:
    """The changes of a subscription in their order.

    Args:
        rng: Source of randomness.
        start: Its start in microseconds.
        until: Nothing is known from this instant on.
        origin: Start of the first year, for list prices.
    """
    for change in _changes(rng, start, origin):
        if change.at >= until:
            return
        yield change
        if change.op == "u" and rng.random() < _TWICE:
            # The last change of an instant is the one that counts.
            yield change._replace(price_cents=round(change.price_cents * 0.9))
            yield change


def _changes(rng: Random, start: int, origin: int) -> Iterator[Change]:
    plan = rng.choices(PLANS, _PLAN_WEIGHTS)[0]
    status = TRIALING if rng.random() < _TRIALS else ACTIVE
    price = _price(rng, plan, start, origin)
    now = Change(start, "c", plan, status, price, None, start)
    yield now
    while True:
        following = _step(now)(rng, now, origin)
        if following is None:
            return
        now = following
        yield now


def _step(now: Change) -> Callable[[Random, Change, int], Change | None]:
    if now.op == "d":
        return _after_deletion
    if now.status == ACTIVE and now.ended_at is not None:
        return _to_the_end
    return {TRIALING: _trial, ACTIVE: _active, PAST_DUE: _past_due, CANCELED: _after_cancel}[
        now.status
    ]


def _trial(rng: Random, now: Change, _origin: int) -> Change:
    at = now.at + _TRIAL + rng.randrange(SECOND, 3600 * SECOND)
    return _updated(now, at, ACTIVE) if rng.random() < _CONVERSION else _canceled(now, at)


def _active(rng: Random, now: Change, origin: int) -> Change:
    kind, at = _next(rng, now.at, _ACTIVE_RATES)
    if kind == "unpaid":
        return _updated(now, at, PAST_DUE)
    if kind == "cancel":
        return _canceled(now, at)
    if kind == "cancel_later":
        return now._replace(at=at, op="u", ended_at=_next_midnight(at), updated_at=at)
    place = PLANS.index(now.plan) + {"upgrade": 1, "downgrade": -1, "touch": 0}[kind]
    if kind == "touch" or not 0 <= place < len(PLANS):
        return now._replace(at=at, op="u", updated_at=at)
    price = _price(rng, PLANS[place], at, origin)
    return now._replace(at=at, op="u", plan=PLANS[place], price_cents=price, updated_at=at)


def _to_the_end(rng: Random, now: Change, _origin: int) -> Change:
    """A cancellation to the end of the paid term, revoked now and then before it."""
    assert now.ended_at is not None  # noqa: S101 - the caller has looked
    if rng.random() < _REVOKED:
        at = rng.randrange(now.at + SECOND, max(now.at + 2 * SECOND, now.ended_at))
        return _updated(now, at, ACTIVE)
    return _canceled(now, now.ended_at)


def _past_due(rng: Random, now: Change, _origin: int) -> Change:
    at = now.at + rng.randrange(2 * DAY, 35 * DAY)
    return _updated(now, at, ACTIVE) if rng.random() < _RECOVERY else _canceled(now, at)


def _after_cancel(rng: Random, now: Change, origin: int) -> Change:
    kind, at = _next(rng, now.at, _CANCELED_RATES)
    if kind == "reactivate":
        price = _price(rng, now.plan, at, origin)
        return _updated(now._replace(price_cents=price), at, ACTIVE)
    if kind == "delete":
        return now._replace(at=at, op="d")  # the row before, its own `updated_at` included
    return now._replace(at=at, op="u", updated_at=at)


def _after_deletion(rng: Random, now: Change, _origin: int) -> Change | None:
    if rng.random() >= _REINSERTED:
        return None
    at = now.at + rng.randrange(DAY, 20 * DAY)
    return now._replace(at=at, op="c", status=ACTIVE, ended_at=None, updated_at=at)


def _updated(now: Change, at: int, status: str) -> Change:
    return now._replace(at=at, op="u", status=status, ended_at=None, updated_at=at)


def _canceled(now: Change, at: int) -> Change:
    return now._replace(at=at, op="u", status=CANCELED, ended_at=at, updated_at=at)


def _next(rng: Random, at: int, rates: dict[str, float]) -> tuple[str, int]:
    """What comes first of competing changes, and when."""
    kind = rng.choices(list(rates), list(rates.values()))[0]
    wait = rng.expovariate(sum(rates.values())) * MONTH
    return kind, at + SECOND + int(wait)


def _next_midnight(at: int) -> int:
    """The end of a paid term: a midnight 1 to 30 days ahead."""
    return (at // DAY + 1 + at % 30) * DAY


def _price(rng: Random, plan: str, at: int, origin: int) -> int:
    cents = list_price(plan, (at - origin) // (365 * DAY))
    return cents * (100 - rng.choice(_DISCOUNTS)) // 100


def invoices(rng: Random, changes: list[Change], until: int) -> Iterator[Invoice]:
    """The states of a subscription's invoices: one every 30 days while it is billed, open first.

    Args:
        rng: Source of randomness.
        changes: Its changes in their order.
        until: Nothing is known from this instant on.
    """
    number, due = 0, changes[0].at
    for change, following in zip(changes, [*changes[1:], None], strict=True):
        end = until if following is None else following.at
        if change.status not in BILLED or change.op == "d":
            due = end
            continue
        due = max(due, change.at)
        while due < end:
            number += 1
            for invoice in _states(rng, number, change.price_cents, due):
                if invoice.updated_at < until:
                    yield invoice
            due += MONTH


def _states(rng: Random, number: int, cents: int, at: int) -> Iterator[Invoice]:
    yield Invoice(number, cents, at, None, "open", at)
    fate = rng.random()
    later = at + int(rng.lognormvariate(0.5, 1.2) * DAY) + SECOND
    if fate < 0.92:
        yield Invoice(number, cents, at, later, "paid", later)
    elif fate < 0.95:
        yield Invoice(number, cents, at, None, "void", later)
