"""Accounts and merchants of the finance domain, and what they usually do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.generate.columns import FloatArray, IntArray
from tasks.generate.sampling import draw

COUNTRIES = ("DE", "FR", "ES", "IT", "NL", "GB", "US", "PL")
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "EUR", "GBP", "USD", "PLN")
_COUNTRY_WEIGHTS = (24, 19, 12, 12, 8, 14, 6, 5)
CATEGORIES = (
    "groceries", "restaurants", "fuel", "transport", "electronics", "travel", "fashion", "services",
    "cash",
)  # fmt: skip
_CATEGORY_WEIGHTS = (30, 18, 9, 13, 6, 4, 9, 8, 3)
CATEGORY_SCALE = np.log([1.0, 0.8, 1.6, 0.4, 5.0, 9.0, 1.9, 1.3, 3.0])
"""Usual amount of each category beside that of groceries, as a logarithm."""
CASH = CATEGORIES.index("cash")
_WEB_SHARE = np.array([0.1, 0.15, 0.0, 0.3, 0.5, 0.8, 0.6, 0.5, 0.0])
CHANNELS = ("pos", "web", "atm")


@dataclass(frozen=True)
class Accounts:
    """What is usual for each account: each array (accounts,).

    Attributes:
        ids: Their identifiers, in the order of the other arrays.
        weights: How much of all transactions each makes: a few make many.
        level: Logarithm of the usual amount.
        width: Standard deviation of that logarithm.
        country: Home country, a place in `COUNTRIES`.
    """

    ids: pa.StringArray
    weights: FloatArray
    level: FloatArray
    width: FloatArray
    country: IntArray


@dataclass(frozen=True)
class Merchants:
    """Merchants: identifiers, category and country of each (merchants,), and how often they are visited."""

    ids: pa.StringArray
    weights: FloatArray
    category: IntArray
    country: IntArray


def accounts(rng: np.random.Generator, count: int) -> Accounts:
    """Draw `count` accounts."""
    return Accounts(
        ids=pa.array([f"A{number:08d}" for number in range(1, count + 1)]),
        weights=rng.gamma(1.5, size=count) + 0.05,
        level=rng.normal(np.log(22.0), 0.5, count),
        width=rng.uniform(0.35, 0.75, count),
        country=draw(rng, _COUNTRY_WEIGHTS, count),
    )


def merchants(rng: np.random.Generator, count: int) -> Merchants:
    """Draw `count` merchants; the share of visits falls with the rank, as with shops."""
    weights = 1.0 / (np.arange(count) + 10.0)
    return Merchants(
        ids=pa.array([f"M{number:06d}" for number in range(1, count + 1)]),
        weights=rng.permutation(weights),
        category=draw(rng, _CATEGORY_WEIGHTS, count),
        country=draw(rng, _COUNTRY_WEIGHTS, count),
    )


def channels(rng: np.random.Generator, category: IntArray) -> IntArray:
    """A place in `CHANNELS` for each transaction, by its merchant's category."""
    web = rng.random(len(category)) < _WEB_SHARE[category]
    return np.where(category == CASH, 2, np.where(web, 1, 0)).astype(np.int64)
