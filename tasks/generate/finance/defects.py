"""Defects planted in a block of transactions: rows that a rule keeps out, and rows that come twice."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.generate.finance.blocks import Block

FUTURE = "2999-01-01 00:00:00"
HUGE = "10000000000000.00"
KINDS: tuple[tuple[str, str, str, tuple[str, str | None]], ...] = (
    ("no id", "transaction_id", "key_missing", ("", None)),
    ("no amount", "amount", "required_missing", ("", None)),
    ("nothing paid", "amount", "amount_not_positive", ("0.00", "0.00")),
    ("negative amount", "amount", "amount_not_positive", ("-12.50", "-12.50")),
    ("implausible amount", "amount", "amount_implausible", (HUGE, HUGE)),
    ("amount that is not a number", "amount", "not_parseable", ("NaN", "")),
    ("no such day", "transaction_ts", "not_parseable", ("2025-02-30 10:00:00", "")),
    ("later than its delivery", "transaction_ts", "in_the_future", (FUTURE, FUTURE)),
)
"""What it is, its column, the rule that it breaks, and the value as text and in a typed file; an empty typed
value says that a typed file cannot hold such a thing."""


class Defect(NamedTuple):
    """One planted defect: the record in its file, from 1, and the rule it breaks; none for a duplicate."""

    kind: str
    record: int
    rule: str


def defective(
    rng: np.random.Generator, made: pa.Table, block: Block, share: float, *, as_text: bool
) -> tuple[pa.Table, list[Defect]]:
    """The table with defects, as text for CSV.

    Rows that come a second time stand at the end of the file: as they were, or with another amount. The
    first one is the one that counts.

    Returns:
        The table, and its defects by record.
    """
    if as_text:
        made = pa.table({name: pc.cast(made[name], pa.string()) for name in made.column_names})
    rows = made.num_rows
    count = int(rng.binomial(rows, share))
    free = rng.permutation(np.setdiff1d(np.arange(rows), block.involved))[: 2 * count]
    wrong, twice = free[: len(free) // 2], free[len(free) // 2 :]
    kinds = [k for k in KINDS if as_text or k[3][1] != ""]
    chosen = rng.integers(0, len(kinds), len(wrong))
    found = [
        Defect(kinds[k][0], int(row) + 1, kinds[k][2]) for row, k in zip(wrong, chosen, strict=True)
    ]
    for number, (_, column, _, (text, typed)) in enumerate(kinds):
        made = _with(made, column, wrong[chosen == number], text if as_text else typed)
    again = made.take(pa.array(np.sort(twice)))
    corrected = np.arange(len(twice)) % 2 == 1
    again = _with(again, "amount", np.flatnonzero(corrected), "77.77")
    found += [
        Defect("duplicate with another amount" if other else "duplicate", rows + place + 1, "")
        for place, other in enumerate(corrected.tolist())
    ]
    return pa.concat_tables([made, again]), sorted(found, key=lambda d: d.record)


def _with(made: pa.Table, column: str, rows: Any, value: str | None) -> pa.Table:
    """The table with another value in some rows of a column."""
    mask = np.zeros(made.num_rows, dtype=bool)
    mask[rows] = True
    place = made.column_names.index(column)
    kind = made.schema.field(column).type
    other = pa.scalar(value, pa.string()).cast(kind)
    return made.set_column(place, column, pc.if_else(pa.array(mask), other, made[column]))
