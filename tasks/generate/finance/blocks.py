"""Blocks of consecutive transactions of the finance domain, with anomalies planted among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.generate.columns import ByteArray, FloatArray, IntArray
from tasks.generate.finance.people import (
    CATEGORIES,
    CATEGORY_SCALE,
    CHANNELS,
    COUNTRIES,
    CURRENCIES,
    Accounts,
    Merchants,
    channels,
)
from tasks.generate.sampling import draw

SECONDS_A_DAY = 86_400
STATUSES = ("approved", "declined", "reversed")
VERY_HIGH_CENTS = 1_000_000
BURST = 15
"""Transactions of one account within a minute that a velocity anomaly consists of."""
ALLOWED_IN_A_MINUTE = 10

_STATUS_WEIGHTS = (955, 35, 10)
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 10, 12, 11, 9, 9, 10, 12, 13, 12, 9, 7, 5, 3)
_WEEKDAYS = np.array([0.9, 0.9, 0.95, 1.0, 1.2, 1.3, 0.85])
_TAIL_SHARE = 0.004
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_MULTIPLIER = np.uint64(0x94D049BB133111EB)


class Planted(NamedTuple):
    """A transaction that was made to satisfy a rule."""

    rule: str
    position: int
    account: int


@dataclass(frozen=True)
class Block:
    """Consecutive transactions by time: each array (rows,).

    Attributes:
        first: Number of the first of them, over all blocks.
        account: Place among the accounts.
        merchant: Place among the merchants.
        cents: Amount in hundredths.
        second: Instant in seconds since 1970-01-01 UTC, ascending.
        channel: Place in `CHANNELS`.
        status: Place in `STATUSES`.
        planted: The anomalies among them, by position.
    """

    first: int
    account: IntArray
    merchant: IntArray
    cents: IntArray
    second: IntArray
    channel: IntArray
    status: IntArray
    planted: tuple[Planted, ...] = ()

    @property
    def involved(self) -> list[int]:
        """Positions of the rows that planted anomalies are made of."""
        return [
            position
            for found in self.planted
            for position in range(
                found.position - (ALLOWED_IN_A_MINUTE if found.rule == "velocity" else 0),
                found.position + 1,
            )
        ]


def day_weights(first_day: int, days: int) -> FloatArray:
    """Share of each day: weekly rhythm, and more towards the end of a year (days since 1970-01-01)."""
    number = first_day + np.arange(days)
    season = 1.0 + 0.15 * np.cos(2 * np.pi * (number % 365 - 350) / 365)
    weights: FloatArray = _WEEKDAYS[(number + 3) % 7] * season
    return weights


def make(
    rng: np.random.Generator, accounts: Accounts, merchants: Merchants, *, first: int, second: IntArray
) -> Block:  # fmt: skip
    """Transactions at the given instants, amounts with a heavy tail."""
    rows = len(second)
    account = draw(rng, accounts.weights, rows)
    merchant = draw(rng, merchants.weights, rows)
    category = merchants.category[merchant]
    usual = accounts.level[account] + CATEGORY_SCALE[category]
    amount = np.exp(rng.normal(usual, accounts.width[account]))
    tail = rng.random(rows) < _TAIL_SHARE
    amount[tail] *= 1.0 + rng.pareto(1.8, int(tail.sum()))
    return Block(
        first=first,
        account=account,
        merchant=merchant,
        cents=np.clip(np.rint(amount * 100), 1, VERY_HIGH_CENTS - 1).astype(np.int64),
        second=second,
        channel=channels(rng, category),
        status=draw(rng, _STATUS_WEIGHTS, rows),
    )


def instants(rng: np.random.Generator, days: IntArray, counts: IntArray) -> IntArray:
    """Ascending seconds since 1970-01-01: `counts` of them on each of `days` (days since 1970-01-01)."""
    day = np.repeat(days, counts)
    hour = draw(rng, _HOURS, len(day))
    found: IntArray = day * SECONDS_A_DAY + hour * 3_600 + rng.integers(0, 3_600, len(day))
    return np.sort(found)


def with_anomalies(
    rng: np.random.Generator, accounts: Accounts, block: Block, share: float
) -> Block:
    """The block with about `share` of its rows planted for each rule; rows stay as many.

    A high amount is far outside what is usual for its account, which has transactions enough only where it
    is active. A burst takes rows next to each other in time and gives them one account and one minute.
    """
    rows = len(block.second)
    count = int(rng.binomial(rows, share))
    bursts = int(rng.binomial(rows, share / (BURST - ALLOWED_IN_A_MINUTE)))
    block, starts = _bursts(rng, block, bursts)
    taken = {start + step for start in starts for step in range(BURST)}
    free = np.setdiff1d(rng.permutation(rows)[: 4 * count + len(taken)], list(taken))
    chosen = rng.permutation(free)[: 2 * count]
    high, very_high = chosen[:count], chosen[count:]
    cents = block.cents.copy()
    level = accounts.level[block.account[high]]
    cents[high] = np.clip(
        np.exp(level + rng.uniform(4.5, 5.5, len(high))) * 100, 1, VERY_HIGH_CENTS
    )
    cents[very_high] = VERY_HIGH_CENTS + 1 + rng.pareto(1.5, len(very_high)) * VERY_HIGH_CENTS
    planted = [Planted("high_amount", int(row), int(block.account[row])) for row in high]
    planted += [Planted("very_high", int(row), int(block.account[row])) for row in very_high]
    planted += [
        Planted("velocity", start + step, int(block.account[start]))
        for start in starts
        for step in range(ALLOWED_IN_A_MINUTE, BURST)
    ]
    return replace(block, cents=cents, planted=tuple(sorted(planted, key=lambda p: p.position)))


def _bursts(rng: np.random.Generator, block: Block, count: int) -> tuple[Block, list[int]]:
    rows = len(block.second)
    if rows < BURST or not count:
        return block, []
    starts = np.unique(rng.integers(0, rows // BURST, count)) * BURST
    account, second = block.account.copy(), block.second.copy()
    kept = []
    for start in starts.tolist():
        # all within the last minute of the row after them, so that time still ascends
        last = int(second[start + BURST - 1])
        low = max(int(second[start - 1]) if start else 0, last - 50)
        account[start : start + BURST] = account[start]
        second[start : start + BURST] = np.sort(rng.integers(low, last + 1, BURST))
        kept.append(start)
    return replace(block, account=account, second=second), kept


def identifiers(seed: int, first: int, count: int) -> list[str]:
    """Identifiers of transactions, different for every number and seed: 24 hexadecimal characters."""
    number = np.arange(first, first + count, dtype=np.uint64)
    raw: ByteArray = _mixed(number + np.uint64(seed << 40)).astype(">u8").view(np.uint8)
    text = raw.tobytes().hex()
    return [f"{seed & 0xFFFFFFFF:08x}{text[at : at + 16]}" for at in range(0, len(text), 16)]


def _mixed(number: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.uint64]:
    """A permutation of 64-bit numbers (the finalizer of SplitMix64)."""
    number = (number ^ (number >> np.uint64(30))) * _MULTIPLIER
    number = (number ^ (number >> np.uint64(27))) * _SECOND_MULTIPLIER
    mixed: np.typing.NDArray[np.uint64] = number ^ (number >> np.uint64(31))
    return mixed


def table(block: Block, accounts: Accounts, merchants: Merchants, *, seed: int) -> pa.Table:
    """The block with the columns of the source, typed."""
    country = pa.array(COUNTRIES).take(pa.array(merchants.country[block.merchant]))
    currency = pa.array(CURRENCIES).take(pa.array(accounts.country[block.account]))
    category = pa.array(CATEGORIES).take(pa.array(merchants.category[block.merchant]))
    return pa.table(
        {
            "transaction_id": pa.array(identifiers(seed, block.first, len(block.second))),
            "account_id": accounts.ids.take(pa.array(block.account)),
            "merchant_id": merchants.ids.take(pa.array(block.merchant)),
            "merchant_category": category,
            "amount": money(block.cents),
            "currency": currency,
            "transaction_ts": pa.array(block.second, pa.timestamp("s")),
            "channel": pa.array(CHANNELS).take(pa.array(block.channel)),
            "country": country,
            "status": pa.array(STATUSES).take(pa.array(block.status)),
        }
    )


def money(cents: IntArray) -> pa.Array:
    """Hundredths as decimals of two places."""
    wide = np.zeros((len(cents), 2), dtype=np.int64)
    wide[:, 0] = cents
    wide[:, 1] = np.where(cents < 0, -1, 0)  # the sign of a 128-bit number
    return pa.Array.from_buffers(
        pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(wide.tobytes())]
    )
