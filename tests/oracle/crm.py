"""Crm computed from what its sources delivered, in plain Python, by the text of the specification alone.

Nothing here knows how the engine works. Choices made where the specification leaves one:

- The sequence of contacts, deals, customers and orders is the instant of the last change; of equal ones the
  greater values count, column by column, nulls first.
- A row that breaks a rule changes nothing. A stage without a probability breaks one, as a refund of more than
  the order does, and another rate than 1 for the US dollar.
- A day without a rate has the last one before it, up to the newest day of any rate or order; USD is 1.
- An order that no span of its customer holds has the customer ``unknown`` and the segment ``unknown``.
- A refund has the rate of the order's day. Orders without a rate count, and add nothing to sums.
- Of several contacts of an e-mail in lower case the one that changed last, then the first id as text.
- Behaviour and events both are events of a session; thirty minutes without one end it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

Row = dict[str, Any]
Delivered = Mapping[str, Sequence[Mapping[str, Any]]]
"""The records of each source, in the order of their delivery."""

KEYS: dict[str, tuple[str, ...]] = {
    "contacts": ("contact_id",),
    "deals": ("deal_id",),
    "deals_history": ("deal_id", "valid_from"),
    "customers": ("customer_id", "valid_from"),
    "orders": ("order_id",),
    "behavior": ("behavior_id",),
    "events": ("event_id",),
    "fx_rates": ("date", "currency"),
    "dim_customer": ("customer_sk",),
    "dim_contact": ("contact_id",),
    "dim_date": ("date",),
    "fct_orders": ("order_id",),
    "revenue_by_segment": ("month", "segment"),
    "deal_pipeline": ("stage",),
    "customer_360": ("customer_id",),
}
"""The key of each silver table and the grain of each gold table."""
PROBABILITY = {
    "appointmentscheduled": "0.2",
    "qualifiedtobuy": "0.4",
    "presentationscheduled": "0.6",
    "decisionmakerboughtin": "0.8",
    "contractsent": "0.9",
    "closedwon": "1",
    "closedlost": "0",
}
CLOSED = ("closedwon", "closedlost")
CENT = Decimal("0.01")
_STRING, _INSTANT, _DAY = pa.string(), pa.timestamp("us"), pa.date32()
_MONEY, _RATE, _COUNT = pa.decimal128(18, 2), pa.decimal128(18, 8), pa.int64()
_FIELDS: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("updated_at", "created_at", "ordered_at", "occurred_at", "valid_from", "valid_to",
         "last_behavior_at"), _INSTANT,
    ),
    **dict.fromkeys(("date", "rate_date", "order_date", "month_start", "month"), _DAY),
    **dict.fromkeys(
        ("amount", "refunded_amount", "amount_usd", "refunded_usd", "gross_usd", "net_usd",
         "weighted_amount", "net_revenue_usd"), _MONEY,
    ),
    "usd_rate": _RATE,
    **dict.fromkeys(
        ("orders", "deals", "open_deals", "sessions_30d", "year", "quarter", "iso_year", "iso_week",
         "day_of_month", "day_of_week"), _COUNT,
    ),
    **dict.fromkeys(("probability", "avg_days_in_stage", "win_rate"), pa.float64()),
    **dict.fromkeys(("is_current", "is_closed", "is_won", "is_weekend"), pa.bool_()),
}  # fmt: skip


@dataclass(frozen=True)
class Crm:
    """What is expected of each table, and how many rows break which rule, by table and rule."""

    silver: Mapping[str, pa.Table]
    gold: Mapping[str, pa.Table]
    broken: Mapping[tuple[str, str], int]
    quarantine: Mapping[str, pa.Table] = field(default_factory=dict)


def read(paths: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    """The records of generated files, by source, in the order of the files' names."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(paths, key=lambda path: path.name):
        table = path.stem.removeprefix("crm_").rsplit("_", 1)[0]
        with path.open(encoding="utf-8", newline="") as stream:
            if path.suffix == ".csv":
                found[table] += [
                    {k: v or None for k, v in r.items()} for r in csv.DictReader(stream)
                ]
            else:
                found[table] += [json.loads(line) for line in stream]
    return found


def compute(delivered: Delivered) -> Crm:
    """Every table, of all that was delivered."""
    broken: Counter[tuple[str, str]] = Counter()

    def sound(table: str, make: Callable[[Mapping[str, Any]], Row]) -> Iterator[Row]:
        for record in delivered.get(table, ()):
            row = make(record)
            rule = row.pop("rule", None)
            if rule:
                broken[table, rule] += 1
            else:
                yield row

    contacts = _newest(sound("contacts", _contact), "contact_id")
    states = list(sound("deals", _deal))
    deals = _newest(states, "deal_id")
    history = list(_spans(states, "deal_id", ("stage",)))
    customers = list(
        _spans(sound("customers", _customer), "customer_id", ("segment", "country", "email"))
    )
    orders = _newest(sound("orders", _order), "order_id")
    behavior = list({r["behavior_id"]: r for r in sound("behavior", _behavior)}.values())
    events = list({r["event_id"]: r for r in sound("events", _event)}.values())
    rates = list(_filled(list(sound("fx_rates", _rate)), orders))
    members = [*_members(customers)]
    facts = list(_facts(orders, rates, members))
    newest_change = max((s["updated_at"] for s in states), default=None)
    silver = {
        "contacts": contacts, "deals": deals, "deals_history": history, "customers": customers,
        "orders": orders, "behavior": behavior, "events": events, "fx_rates": rates,
    }  # fmt: skip
    gold = {
        "dim_customer": members,
        "dim_contact": contacts,
        "dim_date": list(_calendar(orders)),
        "fct_orders": facts,
        "revenue_by_segment": list(_revenue(facts)),
        "deal_pipeline": list(_pipeline(deals, history, newest_change)),
        "customer_360": list(_customers(customers, contacts, deals, facts, behavior, events)),
    }
    tables = {layer: {n: _table(rows) for n, rows in found.items()} for layer, found in
              (("silver", silver), ("gold", gold))}  # fmt: skip
    return Crm(tables["silver"], tables["gold"], broken)


def _table(rows: Sequence[Row]) -> pa.Table:
    names = list(rows[0])
    schema = pa.schema([(name, _FIELDS.get(name, _STRING)) for name in names])
    return pa.Table.from_pylist(rows, schema)


def _at(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _contact(r: Mapping[str, Any]) -> Row:
    return {
        "contact_id": r["id"], "email": r["email"], "first_name": r["firstname"],
        "last_name": r["lastname"], "lifecycle_stage": r["lifecyclestage"],
        "created_at": _at(r["createdate"]), "updated_at": _at(r["lastmodifieddate"]),
    }  # fmt: skip


def _deal(r: Mapping[str, Any]) -> Row:
    stage = r["dealstage"]
    if stage not in PROBABILITY:
        return {"rule": "unknown_stage"}
    return {
        "deal_id": r["id"], "deal_name": r["dealname"], "contact_id": r["contact_id"], "stage": stage,
        "amount": None if r["amount"] is None else Decimal(r["amount"]),
        "updated_at": _at(r["hs_lastmodifieddate"]), "probability": float(PROBABILITY[stage]),
        "is_closed": stage in CLOSED, "is_won": stage == "closedwon",
    }  # fmt: skip


def _customer(r: Mapping[str, Any]) -> Row:
    return {
        "customer_id": r["customer_id"], "segment": r["segment"], "country": r["country"],
        "email": r["email"], "updated_at": _at(r["updated_at"]),
    }  # fmt: skip


def _order(r: Mapping[str, Any]) -> Row:
    amount, refunded = Decimal(r["amount"]), Decimal(r["refunded_amount"] or "0.00")
    if amount < 0:
        return {"rule": "negative_amount"}
    if not 0 <= refunded <= amount:
        return {"rule": "refund_out_of_range"}
    return {
        "order_id": r["order_id"], "customer_id": r["customer_id"], "ordered_at": _at(r["ordered_at"]),
        "amount": amount, "currency": r["currency"], "status": r["status"],
        "refunded_amount": refunded, "updated_at": _at(r["updated_at"]),
        "order_date": _at(r["ordered_at"]).date(),
    }  # fmt: skip


def _behavior(r: Mapping[str, Any]) -> Row:
    if None in (r["customer_id"], r["action"]):
        return {"rule": "required_missing"}
    return {**r, "occurred_at": _at(r["occurred_at"])}


def _event(r: Mapping[str, Any]) -> Row:
    if r["customer_id"] is None:
        return {"rule": "required_missing"}
    return {**r, "occurred_at": _at(r["occurred_at"])}


def _rate(r: Mapping[str, Any]) -> Row:
    rate = Decimal(r["usd_rate"])
    if rate <= 0:
        return {"rule": "rate_not_positive"}
    if r["currency"] == "USD" and rate != 1:
        return {"rule": "dollar_is_a_dollar"}
    return {"date": date.fromisoformat(r["date"]), "currency": r["currency"], "usd_rate": rate}


def _order_of(row: Row) -> tuple[Any, ...]:
    """Place of a state among those of its key."""
    return (row["updated_at"], *((value is not None, str(value)) for value in row.values()))


def _newest(rows: Iterable[Row], key: str) -> list[Row]:
    found: dict[Any, Row] = {}
    for row in rows:
        found[row[key]] = max(row, found.get(row[key], row), key=_order_of)
    return list(found.values())


def _spans(rows: Iterable[Row], key: str, tracked: tuple[str, ...]) -> Iterator[Row]:
    states: dict[Any, dict[datetime, Row]] = defaultdict(dict)
    for row in rows:
        at = row["updated_at"]
        states[row[key]][at] = max(row, states[row[key]].get(at, row), key=_order_of)
    for value, found in states.items():
        spans: list[Row] = []
        for at in sorted(found):
            kept = {name: found[at][name] for name in tracked}
            if spans and all(spans[-1][name] == kept[name] for name in tracked):
                continue
            if spans:
                spans[-1] |= {"valid_to": at, "is_current": False}
            spans.append(
                {key: value, **kept, "valid_from": at, "valid_to": None, "is_current": True}
            )
        yield from spans


def _filled(rates: Sequence[Row], orders: Sequence[Row]) -> Iterator[Row]:
    given = {(r["date"], r["currency"]): r["usd_rate"] for r in rates}
    last = max([r["date"] for r in rates] + [o["order_date"] for o in orders])
    for currency in {r["currency"] for r in rates}:
        day, known = min(d for d, c in given if c == currency), date.min
        while day <= last:
            known = day if (day, currency) in given else known
            yield {
                "date": day, "currency": currency, "usd_rate": given[known, currency],
                "rate_date": known,
            }  # fmt: skip
            day += timedelta(days=1)


def _members(customers: Sequence[Row]) -> Iterator[Row]:
    names = ("customer_id", "segment", "country", "email", "valid_from", "valid_to", "is_current")
    for span in customers:
        since = span["valid_from"] - datetime(1970, 1, 1)
        text = f"{span['customer_id']}|{since // timedelta(microseconds=1)}"
        sk = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        yield {"customer_sk": sk, **{name: span[name] for name in names}}
    unknown = dict.fromkeys(names) | {"segment": "unknown", "is_current": True}
    yield {"customer_sk": "unknown", **unknown}


def _facts(orders: Sequence[Row], rates: Sequence[Row], members: Sequence[Row]) -> Iterator[Row]:
    rate_of = {(r["date"], r["currency"]): r["usd_rate"] for r in rates}
    spans = defaultdict(list)
    for member in members[:-1]:
        spans[member["customer_id"]].append(member)
    for o in orders:
        held = [
            s for s in spans[o["customer_id"]]
            if s["valid_from"] <= o["ordered_at"] and (not s["valid_to"] or o["ordered_at"] < s["valid_to"])
        ]  # fmt: skip
        member = held[0] if held else members[-1]
        usd = o["currency"] == "USD"
        rate = Decimal(1) if usd else rate_of.get((o["order_date"], o["currency"]))
        yield {
            "order_id": o["order_id"], "customer_id": o["customer_id"],
            "customer_sk": member["customer_sk"], "segment": member["segment"],
            "ordered_at": o["ordered_at"], "order_date": o["order_date"], "amount": o["amount"],
            "currency": o["currency"], "status": o["status"], "usd_rate": rate,
            "amount_usd": _times(o["amount"], rate), "refunded_usd": _times(o["refunded_amount"], rate),
        }  # fmt: skip


def _times(amount: Decimal, rate: Decimal | None) -> Decimal | None:
    return None if rate is None else (amount * rate).quantize(CENT, ROUND_HALF_UP)


def _calendar(orders: Sequence[Row]) -> Iterator[Row]:
    days = [o["order_date"] for o in orders]
    day = min(days)
    while day <= max(days):
        iso = day.isocalendar()
        yield {
            "date": day, "year": day.year, "quarter": (day.month + 2) // 3,
            "month_start": day.replace(day=1), "month_name": f"{day:%B}", "iso_year": iso.year,
            "iso_week": iso.week, "day_of_month": day.day, "day_of_week": iso.weekday,
            "day_name": f"{day:%A}", "is_weekend": iso.weekday > 5,
        }  # fmt: skip
        day += timedelta(days=1)


def _revenue(facts: Sequence[Row]) -> Iterator[Row]:
    groups = defaultdict(list)
    for fact in facts:
        groups[fact["order_date"].replace(day=1), fact["segment"]].append(fact)
    for (month, segment), found in groups.items():
        gross = sum((f["amount_usd"] or Decimal(0) for f in found), Decimal(0))
        refunded = sum((f["refunded_usd"] or Decimal(0) for f in found), Decimal(0))
        yield {
            "month": month, "segment": segment, "orders": len(found), "gross_usd": gross,
            "refunded_usd": refunded, "net_usd": gross - refunded,
        }  # fmt: skip


def _pipeline(
    deals: Sequence[Row], history: Sequence[Row], newest: datetime | None
) -> Iterator[Row]:
    now = {deal["deal_id"]: deal for deal in deals}
    for stage in {span["stage"] for span in history}:
        spans = [span for span in history if span["stage"] == stage]
        here = [deal for deal in deals if deal["stage"] == stage]
        amount = sum((deal["amount"] or Decimal(0) for deal in here), Decimal(0))
        days = [((s["valid_to"] or newest) - s["valid_from"]) / timedelta(days=1) for s in spans]
        closed = [d for d in {s["deal_id"] for s in spans} if now[d]["is_closed"]]
        yield {
            "stage": stage, "deals": len(here), "amount": amount,
            "weighted_amount": _times(amount, Decimal(PROBABILITY[stage])),
            "avg_days_in_stage": sum(days) / len(days),
            "win_rate": sum(now[d]["is_won"] for d in closed) / len(closed) if closed else None,
        }  # fmt: skip


def _customers(
    customers: Sequence[Row], contacts: Sequence[Row], deals: Sequence[Row], facts: Sequence[Row],
    behavior: Sequence[Row], events: Sequence[Row],
) -> Iterator[Row]:  # fmt: skip
    by_email: dict[str, Row] = {}
    for contact in sorted(contacts, key=lambda c: c["contact_id"], reverse=True):
        if contact["email"] is not None:
            email = contact["email"].lower()
            before = by_email.get(email)
            if before is None or contact["updated_at"] >= before["updated_at"]:
                by_email[email] = contact
    open_deals = Counter(deal["contact_id"] for deal in deals if not deal["is_closed"])
    actions = sorted(behavior, key=lambda b: (b["occurred_at"], b["behavior_id"]))
    last = {b["customer_id"]: b for b in actions}
    sessions = _sessions([*behavior, *events])
    for customer in customers:
        if not customer["is_current"]:
            continue
        number, email = customer["customer_id"], (customer["email"] or "").lower() or None
        own = [fact for fact in facts if fact["customer_id"] == number]
        rated = [fact for fact in own if fact["amount_usd"] is not None]
        known = by_email.get(email or "")
        found = known["contact_id"] if known else None
        yield {
            "customer_id": number, "segment": customer["segment"], "country": customer["country"],
            "email": email, "contact_id": found, "open_deals": open_deals[found] if found else 0,
            "orders": len(own),
            "net_revenue_usd": sum((f["amount_usd"] - f["refunded_usd"] for f in rated), Decimal(0)),
            "last_behavior_at": last[number]["occurred_at"] if number in last else None,
            "last_behavior": last[number]["action"] if number in last else None,
            "sessions_30d": sessions[number],
        }  # fmt: skip


def _sessions(events: Sequence[Row]) -> Counter[str]:
    newest = max(event["occurred_at"] for event in events)
    found: Counter[str] = Counter()
    before: dict[str, datetime] = {}
    for event in sorted(events, key=lambda event: event["occurred_at"]):
        customer, at = event["customer_id"], event["occurred_at"]
        if at > newest - timedelta(days=30):
            if customer not in before or at - before[customer] >= timedelta(minutes=30):
                found[customer] += 1
            before[customer] = at
    return found
