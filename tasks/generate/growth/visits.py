"""Visits of the web site: channels that differ in cost, and visitors who come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tasks.generate.columns import (
    ByteArray,
    Cents,
    Coded,
    Identifiers,
    Instants,
    IntArray,
    Table,
    identifiers,
)
from tasks.generate.growth.period import END, HOUR, MINUTE, days, instants
from tasks.generate.sampling import draw, spread


class Channel(NamedTuple):
    """A channel: share of first visits, share that signs up, cents a click, quality of its users."""

    name: str
    weight: float
    signup: float
    cents: float
    quality: float
    campaigns: tuple[str, ...] = ()


CHANNELS = (
    Channel("organic_search", 0.30, 0.055, 0, 1.10),
    Channel("direct", 0.18, 0.070, 0, 1.20),
    Channel(
        "paid_search", 0.20, 0.060, 145, 1.0, ("search-brand", "search-generic", "search-rivals")
    ),
    Channel("paid_social", 0.14, 0.028, 62, 0.75, ("social-lookalike", "social-retargeting")),
    Channel("referral", 0.08, 0.090, 0, 1.25),
    Channel("email", 0.06, 0.100, 4, 1.20, ("newsletter", "product-update")),
    Channel("display", 0.04, 0.012, 28, 0.60, ("display-prospecting",)),
)
_NAMES = tuple(channel.name for channel in CHANNELS)
_CAMPAIGNS = tuple(campaign for channel in CHANNELS for campaign in channel.campaigns)
_DIRECT, _EMAIL = _NAMES.index("direct"), _NAMES.index("email")

_VISITORS = 0.58  # visitors among visits
_RETURNS = (0.50, 0.24, 0.13, 0.08, 0.05)  # weight of 1, 2, ... further visits
_SAME_CHANNEL, _BY_EMAIL = 0.55, 0.2  # further visits; the rest is direct
_UNTRACKED = 0.004  # visits whose channel is not known


@dataclass(frozen=True)
class Visits:
    """The visits with what the other tables need of them, one entry a visitor (n,).

    Attributes:
        table: The visits, by time.
        raw: Identifiers of the visitors as bytes (n, 16).
        channel: Channel of the first visit, into `CHANNELS`.
        first: Instant of the first visit in seconds since 1970; likewise `last`.
    """

    table: Table
    raw: ByteArray
    channel: IntArray
    first: IntArray
    last: IntArray


def visits(rng: np.random.Generator, rows: int) -> Visits:
    """Generate exactly `rows` visits."""
    count = round(rows * _VISITORS)
    again = spread(rng, rows - count, count, _RETURNS)
    visitor = np.concatenate([np.arange(count), np.repeat(np.arange(count), again)])
    first = instants(rng, count)
    back = first[visitor[count:]]
    gap = np.floor(rng.lognormal(np.log(6), 1.3, rows - count))  # mostly at the same time of day
    later = back + days(gap) + rng.integers(5 * MINUTE, 3 * HOUR, rows - count)
    inside = back + (rng.random(rows - count) * (END - back)).astype(np.int64)
    at = np.concatenate([first, np.where(later < END, later, inside)])
    channel = _channels(rng, visitor, count)
    untracked = rng.random(rows) < _UNTRACKED
    last = first.copy()
    np.maximum.at(last, visitor, at)
    order = np.argsort(at, kind="stable")
    raw = identifiers(rng, count)
    table = Table(
        name="visits",
        file="growth_visits.csv",
        key=("visit_id",),
        rows=rows,
        columns={
            "visit_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "visitor_id": Identifiers(raw, visitor[order]),
            "channel": Coded(np.where(untracked, -1, channel)[order], _NAMES),
            "campaign": Coded(_campaigns(rng, np.where(untracked, -1, channel))[order], _CAMPAIGNS),
            "cost": Cents(_costs(rng, channel)[order]),
            "visited_at": Instants(at[order]),
        },
    )
    return Visits(table, raw, channel[:count], first, last)


def _channels(rng: np.random.Generator, visitor: IntArray, count: int) -> IntArray:
    """The channel of each visit; first visits stand before all others."""
    first = draw(rng, [channel.weight for channel in CHANNELS], count)
    further = first[visitor[count:]]
    luck = rng.random(len(further))
    other = np.where(luck < _SAME_CHANNEL + _BY_EMAIL, _EMAIL, _DIRECT)
    return np.concatenate([first, np.where(luck < _SAME_CHANNEL, further, other)])


def _campaigns(rng: np.random.Generator, channel: IntArray) -> IntArray:
    """A campaign of the channel, into `_CAMPAIGNS`; -1 where the channel has none."""
    counts = np.array([len(c.campaigns) for c in CHANNELS] + [0])  # the last is the untracked one
    starts = np.cumsum(counts) - counts
    pick = (rng.random(len(channel)) * counts[channel]).astype(np.int64)
    return np.where(counts[channel] > 0, starts[channel] + pick, -1)


def _costs(rng: np.random.Generator, channel: IntArray) -> IntArray:
    """Cents a click, around the channel's price."""
    price = np.array([c.cents for c in CHANNELS])[channel]
    return np.rint(price * rng.lognormal(0.0, 0.35, len(channel))).astype(np.int64)
