"""Who pays, and the invoices: paid, refunded, overdue, or still open."""

from __future__ import annotations

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    BoolArray,
    Cents,
    Coded,
    FloatArray,
    Identifiers,
    Instants,
    IntArray,
    Table,
    identifiers,
)
from tasks.generate.growth.period import DAY, END, days
from tasks.generate.growth.users import Users, at_least
from tasks.generate.sampling import draw, ranks

STATUSES = ("open", "paid", "refunded", "overdue")
OPEN, PAID, REFUNDED, OVERDUE = range(4)

_PAYS = {True: 0.22, False: 0.015}  # share of activated users and of others, at average quality
_FEWEST_PAYERS = 5
_PLANS = ((1_900, 0.55), (4_900, 0.33), (9_900, 0.12))  # cents a seat and month
_SEATS = (0.52, 0.2, 0.12, 0.07, 0.05, 0.04)  # weight of 1, 2, ... seats
_LEAVES = 0.12  # share of payers that leave each month
_TERM_DAYS = 14  # an invoice not paid by then is overdue
_UNSETTLED, _PAID_LATE = 0.06, 0.5  # invoices not paid within the term; those paid after it
_REFUNDED = 0.03


def payers(rng: np.random.Generator, people: Users, factor: FloatArray) -> BoolArray:
    """Choose who pays: activated users mostly, and more of them under a good variant."""
    base = np.where(people.activated, _PAYS[True], _PAYS[False])
    return at_least(rng, np.minimum(base * people.quality * factor, 0.95), _FEWEST_PAYERS)


def invoices(rng: np.random.Generator, people: Users, pays: BoolArray) -> Table:
    """Generate an invoice a month for each payer, as each stands at the end of the period."""
    payer = np.flatnonzero(pays)
    # All who sign up early enough have their first invoice, paid in time, within 30 days.
    trial = np.clip(rng.lognormal(np.log(6), 0.7, len(payer)), 0.02, 24)
    first = np.minimum(people.signed_up[payer] + days(trial), END - 1)
    months = np.minimum(rng.geometric(_LEAVES, len(payer)), 1 + (END - 1 - first) // (30 * DAY))
    owner = np.repeat(np.arange(len(payer)), months)
    issued = first[owner] + (ranks(months) - 1) * 30 * DAY
    price = np.array([cents for cents, _ in _PLANS])[draw(rng, [w for _, w in _PLANS], len(payer))]
    amount = (price * (1 + draw(rng, _SEATS, len(payer))))[owner]
    status, paid, updated = _settled(rng, issued)
    order = np.argsort(issued, kind="stable")
    rows = len(issued)
    return Table(
        name="billing",
        file="growth_billing.csv",
        key=("invoice_id",),
        rows=rows,
        columns={
            "invoice_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "user_id": Identifiers(people.raw, payer[owner][order]),
            "amount": Cents(amount[order]),
            "status": Coded(status[order], STATUSES),
            "issued_at": Instants(issued[order]),
            "paid_at": Instants(paid[order]),
            "updated_at": Instants(updated[order]),
        },
    )


def _settled(rng: np.random.Generator, issued: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Status, instant of payment and of the last change of each invoice, at the end of the period."""
    rows = len(issued)
    luck = rng.random(rows)
    in_time = np.minimum(rng.exponential(1.0, rows), 5)
    late = rng.uniform(_TERM_DAYS, 60, rows)
    paid = issued + days(np.where(luck < _UNSETTLED, late, in_time))
    never = (luck < _UNSETTLED * _PAID_LATE) | (paid >= END)
    due = issued + _TERM_DAYS * DAY
    refund = paid + days(rng.uniform(1, 25, rows))
    refunded = ~never & (rng.random(rows) < _REFUNDED) & (refund < END)
    status = np.where(never, np.where(due < END, OVERDUE, OPEN), np.where(refunded, REFUNDED, PAID))
    unpaid = np.where(due < END, due, issued)
    updated = np.where(never, unpaid, np.where(refunded, refund, paid))
    return status.astype(np.int64), np.where(never, ABSENT, paid), updated
