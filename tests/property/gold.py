"""What gold must hold, from the model's silver rows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tests.property.events import Record
from tests.property.model import Row, account_events, accounts_history, accounts_soft


def plan_totals(records: Iterable[Record]) -> list[Row]:
    """Accounts, seats and amount of each plan, over accounts that are not deleted."""
    live = [row for row in accounts_soft(records) if not row["_is_deleted"]]
    totals: dict[object, Row] = {}
    for row in live:
        plan = row["plan"]
        total = totals.setdefault(plan, {"plan": plan, "accounts": 0, **_nothing()})
        total["accounts"] += 1
        _add(total, row)
    return list(totals.values())


def monthly_events(records: Iterable[Record]) -> list[Row]:
    """Events, seats and amount of each plan and month of `changed_at`."""
    totals: dict[object, Row] = {}
    for row in account_events(records):
        key = {"month": row["changed_at"].date().replace(day=1), "plan": row["plan"]}
        total = totals.setdefault(tuple(key.values()), {**key, "events": 0, **_nothing()})
        total["events"] += 1
        _add(total, row)
    return list(totals.values())


def current_plans(records: Iterable[Record]) -> list[Row]:
    """Accounts of each plan and number of seats by their current spans."""
    totals: dict[object, Row] = {}
    for row in accounts_history(records):
        if row["is_current"]:
            key = {"plan": row["plan"], "seats": row["seats"]}
            totals.setdefault(tuple(key.values()), {**key, "accounts": 0})["accounts"] += 1
    return list(totals.values())


def _nothing() -> Row:
    return {"seats": 0, "amount": Decimal("0.00")}


def _add(total: Row, row: Row) -> None:
    total["seats"] += row["seats"] or 0
    total["amount"] += row["amount"] or 0
