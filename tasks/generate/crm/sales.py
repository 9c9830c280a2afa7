"""Orders with late refunds, what customers did, and exchange rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from tasks.generate.crm.people import Person
from tasks.generate.crm.records import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Arrival,
    Streams,
    day,
    instant,
    money,
    zoned,
)

_RATES = {"EUR": 1.09, "GBP": 1.27, "BRL": 0.19, "JPY": 0.0067}
_CURRENCIES = ("USD", *_RATES)
_REFUNDED, _TWICE = 0.25, 0.04
_MISSING_DAY = 9
"""No currency has a rate on this day, ever."""
_ACTIONS = ("view", "search", "add_to_cart", "checkout")
_EVENTS = ("login", "feature_used", "export", "invite_sent")


def arrivals(streams: Streams, people: Sequence[Person], orders: int) -> Iterator[Arrival]:
    """Orders, what customers did on the site and in the product, and exchange rates."""
    return chain(_orders(streams, people, orders), _usage(streams, people), _rates(streams))


def _orders(streams: Streams, people: Sequence[Person], count: int) -> Iterator[Arrival]:
    rng = streams["orders"]
    for number in range(1, count + 1):
        person = rng.choice(people)
        # Now and then before the warehouse has the customer.
        earliest = max(0, person.created - (DAY if number % 20 == 0 else 0))
        at = rng.randrange(earliest, streams.until)
        cents = rng.randrange(1_00, 900_00)
        order = {
            "order_id": f"ord_{number:07}",
            "customer_id": person.customer_id,
            "ordered_at": instant(at),
            "amount": money(cents),
            "currency": rng.choice(_CURRENCIES),
            "status": "paid",
            "refunded_amount": None,
            "updated_at": instant(at),
        }
        yield Arrival("orders", at, order)
        refunded_at = at + rng.randrange(HOUR, 15 * DAY)
        late = rng.randrange(3 * DAY)
        if rng.random() < _REFUNDED and refunded_at + late < streams.until:
            whole = rng.random() < 0.5
            back = cents if whole else rng.randrange(1, cents)
            refund = {
                "status": "refunded" if whole else "partially_refunded",
                "refunded_amount": money(back),
                "updated_at": instant(refunded_at),
            }
            yield Arrival("orders", refunded_at + late, {**order, **refund})


def _usage(streams: Streams, people: Sequence[Person]) -> Iterator[Arrival]:
    """Visits of a few actions; what is done in the product comes out of order, and now and then twice."""
    rng = streams["usage"]
    for person in people:
        number = 0
        for _ in range(rng.randrange(6)):
            at = rng.randrange(person.created, streams.until)
            for _ in range(rng.randrange(1, 5)):
                if at >= streams.until:
                    break
                number += 1
                identity = f"{person.number:06}_{number:03}"
                late = at + rng.randrange(HOUR)
                if rng.random() < 0.5:
                    yield Arrival("behavior", at, {
                        "behavior_id": f"bhv_{identity}",
                        "customer_id": person.customer_id,
                        "action": rng.choice(_ACTIONS),
                        "page": rng.choice(("/", "/pricing", None)),
                        "occurred_at": instant(at),
                    })  # fmt: skip
                else:
                    event = {
                        "event_id": f"evt_{identity}",
                        "customer_id": person.customer_id,
                        "event_type": rng.choice(_EVENTS),
                        "occurred_at": zoned(at),
                    }
                    yield Arrival("events", late, event)
                    if rng.random() < _TWICE:
                        yield Arrival("events", late + rng.randrange(5 * DAY), event)
                at += rng.choice((40 * SECOND, 10 * MINUTE, 30 * MINUTE, 45 * MINUTE))


def _rates(streams: Streams) -> Iterator[Arrival]:
    """A rate comes in the evening of its day; one comes a third of the history late."""
    rng = streams["rates"]
    days = streams.until // DAY
    for currency, rate in _RATES.items():
        value = rate
        for number in range(days):
            value *= 1 + rng.uniform(-0.01, 0.01)
            if number == _MISSING_DAY:
                continue
            late = streams.until // 3 if number == days // 3 else 0
            record = {"date": day(number), "currency": currency, "usd_rate": f"{value:.8f}"}
            yield Arrival("fx_rates", number * DAY + 20 * HOUR + late, record)
