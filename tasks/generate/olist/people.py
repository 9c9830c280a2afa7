"""Zip code prefixes and what hangs on them: customers, sellers and the geolocation samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generate.columns import (
    Coded,
    FloatArray,
    Identifiers,
    IntArray,
    Reals,
    Table,
    identifiers,
)
from tasks.generate.olist.places import CITIES, OTHER_SELLER_FACTOR, SELLER_FACTOR, plain
from tasks.generate.sampling import apportion, draw, spread

_UNIQUE_SHARE = 0.9664  # people among customer rows: about 3 % order again
_ORDERS_AGAIN = (0.915, 0.065, 0.012, 0.005, 0.002, 0.001)  # weight of 1, 2, ... further orders
_MOVES = 0.25  # further orders that go to another address
_MAPPED = 0.99  # prefixes that have geolocation samples
_PREFIX_USE = 0.6  # largest share of the postal ranges that is in use
_ACCENTED = 0.16  # geolocation samples whose city is typed with accents
_SAMPLED_AGAIN = 0.2  # geolocation samples that repeat the sample before them

_CITY_NAMES = tuple(plain(city.name) for city in CITIES)
_STATES = tuple(sorted({city.state for city in CITIES}))
_STATE_OF_CITY = np.array([_STATES.index(city.state) for city in CITIES], dtype=np.int64)


@dataclass(frozen=True)
class Places:
    """The zip code prefixes in use, ascending.

    Attributes:
        words: Each prefix as text of five digits (p,).
        city: City of each prefix, into `CITIES` (p,).
        weight: Share of customers of each prefix (p,).
        lat: Latitude of each prefix's centre in degrees (p,).
        lng: Longitude of each prefix's centre in degrees (p,).
    """

    words: tuple[str, ...]
    city: IntArray
    weight: FloatArray
    lat: FloatArray
    lng: FloatArray


def places(rng: np.random.Generator, count: int) -> Places:
    """Draw about `count` prefixes, at least one a city, from the cities' postal ranges."""
    lengths = np.array([c.last_prefix - c.first_prefix + 1 for c in CITIES], dtype=np.int64)
    usable = min(count, int(lengths.sum() * _PREFIX_USE))
    per_city = 1 + apportion(max(usable - len(CITIES), 0), lengths.astype(np.float64))
    per_city = np.minimum(per_city, lengths)
    numbers = np.concatenate(
        [
            city.first_prefix + np.sort(rng.permutation(length)[:used])
            for city, length, used in zip(CITIES, lengths.tolist(), per_city.tolist(), strict=True)
        ]
    )
    city = np.repeat(np.arange(len(CITIES), dtype=np.int64), per_city)
    share = np.array([c.weight for c in CITIES])[city] / per_city[city]
    order = np.argsort(numbers, kind="stable")
    city = city[order]
    reach = rng.normal(0.0, 0.05, (2, len(numbers)))
    return Places(
        words=tuple(f"{number:05d}" for number in numbers[order].tolist()),
        city=city,
        weight=share[order] * rng.standard_gamma(1.2, len(numbers)),
        lat=np.array([c.lat for c in CITIES])[city] + reach[0],
        lng=np.array([c.lng for c in CITIES])[city] + reach[1],
    )


def customers(rng: np.random.Generator, where: Places, rows: int) -> Table:
    """Generate one customer row an order; some people order again, some of them elsewhere."""
    people = round(rows * _UNIQUE_SHARE)
    again = spread(rng, rows - people, people, _ORDERS_AGAIN)
    person = np.concatenate([np.arange(people), np.repeat(np.arange(people), again)])
    home = draw(rng, where.weight, people)
    prefix = home[person]
    moved = people + np.flatnonzero(rng.random(rows - people) < _MOVES)
    prefix[moved] = draw(rng, where.weight, len(moved))
    shuffled = rng.permutation(rows)
    person, prefix = person[shuffled], prefix[shuffled]
    return Table(
        name="customers",
        file="olist_customers_dataset.csv",
        key=("customer_id",),
        rows=rows,
        columns={
            "customer_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "customer_unique_id": Identifiers(identifiers(rng, people), person),
            "customer_zip_code_prefix": Coded(prefix, where.words),
            "customer_city": Coded(where.city[prefix], _CITY_NAMES),
            "customer_state": Coded(_STATE_OF_CITY[where.city[prefix]], _STATES),
        },
    )


def sellers(rng: np.random.Generator, where: Places, rows: int) -> Table:
    """Generate the sellers, most of them in the south-east."""
    factor = np.array([SELLER_FACTOR.get(c.state, OTHER_SELLER_FACTOR) for c in CITIES])
    prefix = draw(rng, where.weight * factor[where.city], rows)
    return Table(
        name="sellers",
        file="olist_sellers_dataset.csv",
        key=("seller_id",),
        rows=rows,
        columns={
            "seller_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "seller_zip_code_prefix": Coded(prefix, where.words),
            "seller_city": Coded(where.city[prefix], _CITY_NAMES),
            "seller_state": Coded(_STATE_OF_CITY[where.city[prefix]], _STATES),
        },
    )


def geolocation(rng: np.random.Generator, where: Places, rows: int) -> Table:
    """Generate coordinates, several a prefix, prefix by prefix; a few prefixes have none."""
    mapped = np.sort(rng.permutation(len(where.words))[: round(len(where.words) * _MAPPED)])
    weight = where.weight[mapped] / where.weight[mapped].sum()
    samples = 1 + rng.multinomial(rows - len(mapped), weight)
    prefix = np.repeat(mapped, samples)
    noise = rng.normal(0.0, 0.006, (2, rows))
    accented = rng.random(rows) < _ACCENTED
    # A repeated sample takes its values from the nearest row before it that is not repeated.
    repeats = rng.random(rows) < _SAMPLED_AGAIN
    repeats[0] = False
    repeats[1:] &= prefix[1:] == prefix[:-1]
    source = np.maximum.accumulate(np.where(repeats, 0, np.arange(rows)))
    city = where.city[prefix]
    return Table(
        name="geolocation",
        file="olist_geolocation_dataset.csv",
        key=("geolocation_zip_code_prefix",),
        rows=rows,
        columns={
            "geolocation_zip_code_prefix": Coded(prefix, where.words),
            "geolocation_lat": Reals((where.lat[prefix] + noise[0])[source]),
            "geolocation_lng": Reals((where.lng[prefix] + noise[1])[source]),
            "geolocation_city": Coded(
                (city + len(CITIES) * accented)[source],
                (*_CITY_NAMES, *(c.name for c in CITIES)),
            ),
            "geolocation_state": Coded(_STATE_OF_CITY[city], _STATES),
        },
    )
