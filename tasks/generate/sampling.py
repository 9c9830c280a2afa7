"""Small sampling helpers: every function is a pure function of its generator's state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.generate.columns import FloatArray, IntArray

Weights = Sequence[float] | FloatArray


def draw(rng: np.random.Generator, weights: Weights, size: int) -> IntArray:
    """Draw `size` indices with probability proportional to `weights`, with replacement."""
    edges: FloatArray = np.cumsum(np.asarray(weights, dtype=np.float64))
    found = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    drawn: IntArray = np.minimum(found, len(edges) - 1).astype(np.int64)
    return drawn


def apportion(total: int, weights: Weights) -> IntArray:
    """Split `total` into whole parts proportional to `weights` (largest remainders first)."""
    exact = np.asarray(weights, dtype=np.float64)
    exact = exact / exact.sum() * total
    parts: IntArray = np.floor(exact).astype(np.int64)
    largest = np.argsort(-(exact - parts), kind="stable")[: total - int(parts.sum())]
    parts[largest] += 1
    return parts


def spread(rng: np.random.Generator, total: int, holders: int, sizes: Weights) -> IntArray:
    """Hand out exactly `total` extras to some of `holders`, in lots of random size.

    Args:
        rng: Source of randomness.
        total: How many extras there are.
        holders: How many may hold extras; each holds at most one lot.
        sizes: Weight of a lot of 1, 2, 3, ... extras.

    Returns:
        Extras for each holder (holders,), summing to `total`.
    """
    extras = np.zeros(holders, dtype=np.int64)
    lots = draw(rng, sizes, total) + 1
    ends = np.cumsum(lots)
    lots = lots[: int(np.searchsorted(ends, total, side="left")) + 1]
    if len(lots):
        lots[-1] -= int(lots.sum()) - total
        extras[rng.permutation(holders)[: len(lots)]] = lots
    return extras


def ranks(counts: IntArray) -> IntArray:
    """Number the members of consecutive groups from 1: counts (2, 1) give (1, 2, 1)."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return np.arange(len(starts), dtype=np.int64) - starts + 1
