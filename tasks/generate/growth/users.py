"""Users: who signs up and becomes active, and what they do in the product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generate.columns import (
    BoolArray,
    ByteArray,
    Coded,
    FloatArray,
    Identifiers,
    Instants,
    IntArray,
    Table,
    identifiers,
)
from tasks.generate.growth.period import DAY, END, HOUR, MINUTE, days, on_workdays
from tasks.generate.growth.visits import CHANNELS, Visits
from tasks.generate.sampling import draw

_COUNTRIES = {"US": 38, "GB": 12, "DE": 11, "FR": 7, "BR": 7, "CA": 6, "NL": 5, "ES": 5, "IN": 9}
_EVENTS = {"session_start": 44, "view_report": 27, "create_project": 11, "invite_member": 8}
_EVENTS |= {"export": 6, "connect_source": 4}

_FEWEST_USERS = 12  # tables as small as this still have room for each kind of defect
_AT_FIRST_VISIT = 0.65
_UNTRACKED = 0.03  # users whose visits were never seen
_ACTIVATED = 0.58  # of users of average quality
_LATE_STARTERS = 0.12  # of those not activated: they begin after the first week
_WEEK_HOURS = 168
_STAY_DAYS = {True: 210.0, False: 22.0}  # mean stay of payers and of others
_MOST_EVENTS = 600  # of one user
_WEEKEND_OFF = 0.6


@dataclass(frozen=True)
class Users:
    """The signups with what the other tables need of them, one entry a user (n,).

    Attributes:
        table: The signups, by time.
        raw: Identifiers as bytes (n, 16).
        signed_up: Seconds since 1970.
        quality: How likely the user's channel makes good users; 1 on average.
        activated: Whether the user does something within the first week.
    """

    table: Table
    raw: ByteArray
    signed_up: IntArray
    quality: FloatArray
    activated: BoolArray


def users(rng: np.random.Generator, visits: Visits) -> Users:
    """Generate the users: each is one visitor, of whom a few were never seen as such."""
    chance = np.array([channel.signup for channel in CHANNELS])[visits.channel]
    visitor = np.flatnonzero(at_least(rng, chance, _FEWEST_USERS))
    count = len(visitor)
    at_first = rng.random(count) < _AT_FIRST_VISIT
    after = rng.integers(MINUTE, 40 * MINUTE, count)
    at = np.where(at_first, visits.first[visitor], visits.last[visitor]) + after
    at = np.minimum(at, END - 1)
    order = np.argsort(at, kind="stable")
    at, visitor = at[order], visitor[order]
    quality = np.array([channel.quality for channel in CHANNELS])[visits.channel[visitor]]
    unseen = np.flatnonzero(rng.random(count) < _UNTRACKED)
    known = visitor.copy()
    known[unseen] = len(visits.raw) + np.arange(len(unseen))
    raw = identifiers(rng, count)
    table = Table(
        name="signups",
        file="growth_signups.csv",
        key=("user_id",),
        rows=count,
        columns={
            "user_id": Identifiers(raw, np.arange(count)),
            "visitor_id": Identifiers(
                np.concatenate([visits.raw, identifiers(rng, len(unseen))]), known
            ),
            "signed_up_at": Instants(at),
            "country": Coded(draw(rng, list(_COUNTRIES.values()), count), tuple(_COUNTRIES)),
        },
    )
    return Users(
        table, raw, at, quality, rng.random(count) < np.minimum(_ACTIVATED * quality, 0.95)
    )


def at_least(rng: np.random.Generator, chance: FloatArray, fewest: int) -> BoolArray:
    """Choose each entry with its own chance, but no fewer than `fewest` in all."""
    luck = rng.random(len(chance))
    chosen: BoolArray = luck < chance
    if np.count_nonzero(chosen) < fewest:
        chosen[np.argsort(luck / np.maximum(chance, 1e-9), kind="stable")[:fewest]] = True
    return chosen


def product_events(rng: np.random.Generator, people: Users, pays: BoolArray) -> Table:
    """Generate what users do: a first event, then more for as long as they stay."""
    count = len(people.signed_up)
    late = ~people.activated & (rng.random(count) < _LATE_STARTERS)
    late[: not (people.activated | late).any()] = True  # a table without a row has no defects
    user = np.flatnonzero(people.activated | late)
    hours = np.where(
        late[user],
        rng.uniform(_WEEK_HOURS + 1, 40 * 24, len(user)),
        _WEEK_HOURS * rng.beta(0.6, 4.0, len(user)),
    )
    first = np.minimum(people.signed_up[user] + (hours * HOUR).astype(np.int64), END - 1)
    stay = rng.exponential(np.where(pays[user], _STAY_DAYS[True], _STAY_DAYS[False]))
    stay = np.minimum(stay, (END - first) / DAY)
    rate = rng.lognormal(np.log(0.45), 0.6, len(user))
    further = np.minimum(rng.poisson(stay * rate), _MOST_EVENTS)
    owner = np.repeat(np.arange(len(user)), further)
    later = first[owner] + days(rng.random(len(owner)) * stay[owner])
    later = on_workdays(rng, later, _WEEKEND_OFF)
    at = np.concatenate([first, later])
    who = np.concatenate([user, user[owner]])
    known = at < END
    at, who = at[known], who[known]
    order = np.argsort(at, kind="stable")
    rows = len(at)
    return Table(
        name="product_events",
        file="growth_product_events.csv",
        key=("event_id",),
        rows=rows,
        columns={
            "event_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "user_id": Identifiers(people.raw, who[order]),
            "event_type": Coded(draw(rng, list(_EVENTS.values()), rows), tuple(_EVENTS)),
            "event_ts": Instants(at[order]),
        },
    )
