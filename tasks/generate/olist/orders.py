"""Orders: when they are placed, in which state they are, and when each step of them happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    BoolArray,
    Coded,
    FloatArray,
    Identifiers,
    Instants,
    IntArray,
    Table,
    identifiers,
)
from tasks.generate.sampling import apportion, draw

HOUR, DAY = 3_600, 86_400  # seconds

STATUSES = (
    "delivered",
    "shipped",
    "canceled",
    "unavailable",
    "invoiced",
    "processing",
    "created",
    "approved",
)
DELIVERED, SHIPPED, CANCELED, UNAVAILABLE, _INVOICED, _PROCESSING, CREATED, _APPROVED = range(8)
_STATUS_SHARE = (96_478, 1_107, 625, 609, 314, 301, 5, 2)
_ALWAYS_PRESENT = 6  # the first so many statuses occur at any size

# Orders a month, relative; the first and last months are only partly covered.
_FIRST_DAY, _LAST_DAY = date(2016, 9, 4), date(2018, 10, 17)
_MONTHS = {
    2016: {9: 4, 10: 324, 11: 0, 12: 1},
    2017: dict(
        enumerate((800, 1780, 2680, 2400, 3700, 3250, 4030, 4330, 4290, 4630, 6250, 5670), start=1)
    ),
    2018: dict(enumerate((7270, 6730, 7210, 6940, 6870, 6170, 6290, 6510, 16, 4), start=1)),
}
_BLACK_FRIDAY = date(2017, 11, 24)
_BLACK_FRIDAY_FACTORS = (6.0, 2.5, 1.9, 2.0, 1.7, 1.4)  # that day and the days after it
_WEEKDAYS = (1.14, 1.13, 1.10, 1.05, 1.00, 0.77, 0.84)  # from Monday
_HOURS = (24, 12, 5, 3, 2, 2, 5, 12, 30, 48, 62, 66, 60, 65, 66, 65, 67, 62, 58, 60, 62, 62, 58, 41)
_CROWDED = ((date(2017, 11, 20), date(2017, 12, 10)), (date(2018, 2, 5), date(2018, 3, 25)))
_CROWDED_FACTOR = 1.35  # carriers are slower in these weeks

_LONGEST_TRANSIT_DAYS = 200  # far below the 365 days that a row rule allows


@dataclass(frozen=True)
class Orders:
    """The orders table with what the other tables need of it, one entry an order (n,).

    Attributes:
        table: The orders.
        raw: Identifiers as bytes (n, 16).
        status: Into `STATUSES`.
        purchased: Seconds since 1970; likewise `approved`, `delivered` and `estimated`, which
            are `ABSENT` where the step has not happened.
    """

    table: Table
    raw: np.ndarray
    status: IntArray
    purchased: IntArray
    approved: IntArray
    delivered: IntArray
    estimated: IntArray


def statuses(rng: np.random.Generator, rows: int) -> IntArray:
    """Draw a status for each order, in the exact proportions."""
    counts = apportion(rows, _STATUS_SHARE)
    missing = np.flatnonzero(counts[:_ALWAYS_PRESENT] == 0)
    counts[missing] = 1
    counts[DELIVERED] -= len(missing)
    return rng.permutation(np.repeat(np.arange(len(STATUSES), dtype=np.int64), counts))


def orders(
    rng: np.random.Generator,
    status: IntArray,
    *,
    customer: Identifiers,
    kilometres: FloatArray,
    slow_payment: BoolArray,
) -> Orders:
    """Generate the orders.

    Args:
        rng: Source of randomness.
        status: Status of each order (n,).
        customer: Customer of each order (n,).
        kilometres: Distance from seller to customer of each order (n,).
        slow_payment: Whether the payment takes days to be approved (n,).
    """
    rows = len(status)
    purchased = _purchases(rng, rows)
    approved = purchased + _approval_seconds(rng, slow_payment)
    carrier = np.maximum(approved + _handling_seconds(rng, rows), purchased + HOUR)
    delivered = carrier + _transit_seconds(rng, kilometres, purchased)
    delivered = np.maximum(delivered, purchased + 2 * HOUR)
    estimated = (purchased // DAY + _promised_days(rng, kilometres)) * DAY
    _forget(rng, status, approved, carrier, delivered)
    raw = identifiers(rng, rows)
    table = Table(
        name="orders",
        file="olist_orders_dataset.csv",
        key=("order_id",),
        rows=rows,
        columns={
            "order_id": Identifiers(raw, np.arange(rows)),
            "customer_id": customer,
            "order_status": Coded(status, STATUSES),
            "order_purchase_timestamp": Instants(purchased),
            "order_approved_at": Instants(approved),
            "order_delivered_carrier_date": Instants(carrier),
            "order_delivered_customer_date": Instants(delivered),
            "order_estimated_delivery_date": Instants(estimated),
        },
    )
    return Orders(table, raw, status, purchased, approved, delivered, estimated)


def _purchases(rng: np.random.Generator, rows: int) -> IntArray:
    """Draw purchase instants: growth, weekdays, Black Friday, hours of the day."""
    first, last = _FIRST_DAY.toordinal(), _LAST_DAY.toordinal()
    weights = np.zeros(last - first + 1)
    for at in range(len(weights)):
        day = date.fromordinal(first + at)
        since = day.toordinal() - _BLACK_FRIDAY.toordinal()
        event = _BLACK_FRIDAY_FACTORS[since] if 0 <= since < len(_BLACK_FRIDAY_FACTORS) else 1.0
        weights[at] = _MONTHS[day.year][day.month] * _WEEKDAYS[day.weekday()] * event
    days = first - date(1970, 1, 1).toordinal() + draw(rng, weights, rows)
    return days * DAY + draw(rng, _HOURS, rows) * HOUR + rng.integers(0, HOUR, rows)


def _approval_seconds(rng: np.random.Generator, slow_payment: BoolArray) -> IntArray:
    """Minutes for cards, mostly; a day or more for a bank slip."""
    rows = len(slow_payment)
    minutes = rng.lognormal(np.log(16), 0.55, rows)
    queued = rng.random(rows) < 0.1
    minutes = np.where(queued, rng.lognormal(np.log(700), 0.8, rows), minutes)
    minutes = np.where(slow_payment, rng.lognormal(np.log(1800), 0.5, rows), minutes)
    return (minutes * 60).astype(np.int64)


def _handling_seconds(rng: np.random.Generator, rows: int) -> IntArray:
    """From approval to the carrier; now and then the parcel leaves before the approval."""
    days = np.minimum(rng.lognormal(np.log(1.85), 0.85, rows), 60)
    early = rng.random(rows) < 0.013
    return (np.where(early, -days / 4, days) * DAY).astype(np.int64)


def _transit_seconds(
    rng: np.random.Generator, kilometres: FloatArray, purchased: IntArray
) -> IntArray:
    """From carrier to customer: longer with distance, and in crowded weeks."""
    days = (4.0 + 0.0056 * kilometres) * rng.lognormal(0.0, 0.58, len(kilometres))
    epoch = date(1970, 1, 1).toordinal()
    for begin, end in _CROWDED:
        at = purchased // DAY + epoch
        crowded = (at >= begin.toordinal()) & (at <= end.toordinal())
        days = np.where(crowded, days * _CROWDED_FACTOR, days)
    days = np.clip(days, 0.3, _LONGEST_TRANSIT_DAYS)
    backwards = rng.random(len(days)) < 2.5e-4
    return (np.where(backwards, -0.5, days) * DAY).astype(np.int64)


def _promised_days(rng: np.random.Generator, kilometres: FloatArray) -> IntArray:
    """Whole days from purchase to the promised date: generous, most deliveries beat it."""
    days = 19.0 + 0.0095 * kilometres + rng.normal(0.0, 6.0, len(kilometres))
    return np.clip(np.ceil(days), 2, 150).astype(np.int64)


def _forget(
    rng: np.random.Generator,
    status: IntArray,
    approved: IntArray,
    carrier: IntArray,
    delivered: IntArray,
) -> None:
    """Clear, in place, the steps that an order of its status has not reached, or lost."""
    chance = rng.random((3, len(status)))
    done = status == DELIVERED
    canceled = status == CANCELED
    no_approval = (
        (status == CREATED) | (canceled & (chance[0] < 0.226)) | (done & (chance[0] < 1.5e-4))
    )
    no_carrier = ~(done | (status == SHIPPED) | (canceled & (chance[1] < 0.12)))
    no_carrier |= done & (chance[1] < 2e-5)
    no_delivery = ~(done | (canceled & (chance[1] < 0.01))) | (done & (chance[2] < 8e-5))
    approved[no_approval] = ABSENT
    carrier[no_carrier] = ABSENT
    delivered[no_delivery] = ABSENT
