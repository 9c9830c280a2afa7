"""Planting defects into a table: which rows, at which record, and what must become of them.

Base rows are broken in place, or stay as they are while an extra record follows them later in the
file. Each base row carries one kind of defect, so that exactly one rule applies to a broken record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tasks.generate.columns import BoolArray, IntArray, Table
from tasks.generate.csv_writing import Layout
from tasks.generate.sampling import apportion

Row = Mapping[str, str]
Change = Callable[[Row, int], str]  # a row's text and a random number give the column's new text

REFERENCE_MISSING = "reference_missing"

_LATE_EVERY = 4  # one in so many broken records follows a good record of its key
_REPAIRS_EVERY = 4  # one in so many corrections follows a broken record of its key


@dataclass(frozen=True)
class Rule:
    """A row rule and the ways to break it.

    Attributes:
        name: Name of the rule.
        breaks: Column and new text, taken in turn.
        requires: Columns that must hold a value for the rule to apply.
        holds: Columns that must hold this very text for the rule to apply.
    """

    name: str
    breaks: Sequence[tuple[str, Change]]
    requires: tuple[str, ...] = ()
    holds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What can go wrong in one table.

    Attributes:
        rules: The row rules that the table has.
        corrections: Column and new text of a later record of the same key, taken in turn; none
            where a later record does not replace an earlier one.
        orphans: Columns of an orphan that get new identifiers; the first one is the reference.
    """

    rules: Sequence[Rule]
    corrections: Sequence[tuple[str, Change]] = ()
    orphans: tuple[str, ...] = ()


class Defect(NamedTuple):
    """One planted defect; `record` and `follows` count a file's records from 1, without header."""

    kind: str
    rule: str | None
    record: int
    key: dict[str, str]
    column: str | None
    value: str | None
    follows: int | None  # the earlier record that a duplicate, correction or late breakage repeats


class Quarantined(NamedTuple):
    """A record that must not reach the silver table, and the rule that holds it back."""

    record: int
    rule: str


@dataclass(frozen=True)
class Planted:
    """A table's file with its defects.

    Attributes:
        layout: What the file holds.
        defects: The planted defects, by record.
        quarantine: The records that must be in quarantine after one delivery, by record.
        lost: Base rows (n,) whose key has no good record in the file.
    """

    layout: Layout
    defects: list[Defect]
    quarantine: list[Quarantined]
    lost: BoolArray


@dataclass(slots=True)
class _Plan:
    """One record to be changed or added; `at` is its place in the file, in units of base rows."""

    kind: str
    base: int
    at: float
    rule: str | None = None
    column: str = ""
    value: str = ""
    changes: dict[str, str] = field(default_factory=dict)
    in_place: bool = False


def untouched(table: Table) -> Planted:
    """Return the table as it is."""
    return _settle(table, [], None)


def plant(
    rng: np.random.Generator,
    table: Table,
    recipe: Recipe,
    rate: float,
    waiting: BoolArray | None = None,
) -> Planted:
    """Plant every kind of defect at about `rate` of the table's rows, at least one of each.

    Args:
        rng: Source of randomness.
        table: The table without defects.
        recipe: What can go wrong in it.
        rate: Share of rows for each kind of defect, over 0.
        waiting: Rows (n,) whose order is not in silver: they get no defect of their own, since a
            record is held back for one reason only.
    """
    eligible = np.arange(table.rows) if waiting is None else np.flatnonzero(~waiting)
    pool = rng.permutation(eligible)
    share = round(table.rows * rate)
    broken = _broken(rng, table, recipe.rules, max(len(recipe.rules), share), pool)
    used = np.array([plan.base for plan in broken], dtype=np.int64)
    rest = pool[~np.isin(pool, used)]
    # Where the rate leaves fewer sound rows than defects, rows come more than once: duplicates
    # are then placed before corrections, so that the correction stays the last word.
    duplicates = [
        _Plan("duplicate", base, at)
        for base, at in _places(rng, table, np.resize(rest, max(1, share)), 0.0, 0.5)
    ]
    plans = [*broken, *duplicates]
    if recipe.corrections:
        plans += _corrections(
            rng,
            table,
            recipe.corrections,
            total=max(1, share),
            rest=rest[::-1],
            broken=broken,
        )
    if recipe.orphans:
        plans += _orphans(rng, table, recipe.orphans, np.resize(rest, max(1, share)))
    return _settle(table, plans, waiting)


def _places(
    rng: np.random.Generator, table: Table, bases: IntArray, low: float, high: float
) -> list[tuple[int, float]]:
    """Place a record after each base row, at [low, high) of the way to the file's end."""
    way = low + (high - low) * rng.random(len(bases))
    return list(zip(bases.tolist(), (bases + (table.rows - bases) * way).tolist(), strict=True))


def _broken(
    rng: np.random.Generator, table: Table, rules: Sequence[Rule], total: int, pool: IntArray
) -> list[_Plan]:
    """Break `total` rows, spread evenly over the rules; the pickiest rules choose first."""
    total = min(total, len(pool) * 9 // 10)
    counts = dict(zip((r.name for r in rules), apportion(total, [1.0] * len(rules)), strict=True))
    free = np.ones(len(pool), dtype=np.bool_)
    plans: list[_Plan] = []
    for rule in sorted(rules, key=lambda rule: not (rule.requires or rule.holds)):
        fit = free.copy()
        for column in rule.requires:
            fit &= np.array([bool(text) for text in table.columns[column].text(pool)])
        for column, wanted in rule.holds.items():
            fit &= np.array([text == wanted for text in table.columns[column].text(pool)])
        chosen = np.flatnonzero(fit)[: counts[rule.name]]
        free[chosen] = False
        texts = table.records(pool[chosen])
        picks = rng.integers(0, 2**31, len(chosen)).tolist()
        for turn, (base, at) in enumerate(_places(rng, table, pool[chosen], 0.0, 1.0)):
            row = {name: column[turn] for name, column in texts.items()}
            column, change = rule.breaks[turn % len(rule.breaks)]
            value = change(row, picks[turn])
            late = len(plans) % _LATE_EVERY == _LATE_EVERY - 1
            plans.append(
                _Plan("rule", base, at, rule.name, column, value, {column: value}, not late)
            )
    return plans


def _corrections(
    rng: np.random.Generator,
    table: Table,
    corrections: Sequence[tuple[str, Change]],
    *,
    total: int,
    rest: IntArray,
    broken: Sequence[_Plan],
) -> list[_Plan]:
    """Repeat keys later in the file with changed values; some of them repair a broken record."""
    repairable = [p for p in broken if p.in_place and p.column not in table.key]
    repaired = repairable[: (total + _REPAIRS_EVERY // 2) // _REPAIRS_EVERY]
    bases = np.array([p.base for p in repaired], dtype=np.int64)
    plans = []
    for plan, (base, at) in zip(repaired, _places(rng, table, bases, 0.5, 1.0), strict=True):
        good = table.columns[plan.column].text(np.array([base]))[0]
        plans.append(_Plan("correction", base, at, None, plan.column, good))
    bases = np.resize(rest, total - len(repaired))
    texts = table.records(bases)
    picks = rng.integers(0, 2**31, len(bases)).tolist()
    for turn, (base, at) in enumerate(_places(rng, table, bases, 0.5, 1.0)):
        row = {name: column[turn] for name, column in texts.items()}
        column, change = corrections[turn % len(corrections)]
        value = change(row, picks[turn])
        plans.append(_Plan("correction", base, at, None, column, value, {column: value}))
    return plans


def _orphans(
    rng: np.random.Generator, table: Table, columns: tuple[str, ...], bases: IntArray
) -> list[_Plan]:
    """Copy rows anywhere into the file, with identifiers that no other file knows."""
    plans = []
    spots = (rng.random(len(bases)) * table.rows).tolist()
    for base, at in zip(bases.tolist(), spots, strict=True):
        fresh = {column: rng.bytes(16).hex() for column in columns}
        plans.append(_Plan("orphan", base, at, None, columns[0], fresh[columns[0]], fresh))
    return plans


def _settle(table: Table, plans: Sequence[_Plan], waiting: BoolArray | None) -> Planted:
    """Put base rows and extra records into file order and number them."""
    extra = [plan for plan in plans if not plan.in_place]
    bases = np.concatenate(
        [np.arange(table.rows), np.array([p.base for p in extra], dtype=np.int64)]
    )
    at = np.concatenate([np.arange(table.rows, dtype=np.float64), [p.at for p in extra]])
    order = np.argsort(at, kind="stable")
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    spots = position[table.rows :].tolist()
    placed = [(spot, plan) for spot, plan in zip(spots, extra, strict=True)]
    placed += [(int(position[plan.base]), plan) for plan in plans if plan.in_place]
    placed.sort(key=lambda pair: pair[0])

    held = [Quarantined(spot + 1, _reason(p)) for spot, p in placed if p.kind in {"rule", "orphan"}]
    if waiting is not None:
        lacking = position[np.flatnonzero(waiting)].tolist()
        held += [Quarantined(spot + 1, REFERENCE_MISSING) for spot in lacking]
    return Planted(
        layout=Layout(bases[order], {spot: plan.changes for spot, plan in placed if plan.changes}),
        defects=_defects(table, placed, position),
        quarantine=sorted(held),
        lost=_lost(table, plans),
    )


def _reason(plan: _Plan) -> str:
    return plan.rule or REFERENCE_MISSING


def _lost(table: Table, plans: Sequence[_Plan]) -> BoolArray:
    """Rows broken in place and not repaired later."""
    lost = np.zeros(table.rows, dtype=np.bool_)
    lost[[plan.base for plan in plans if plan.in_place]] = True
    lost[[plan.base for plan in plans if plan.kind == "correction"]] = False
    return lost


def _defects(table: Table, placed: Sequence[tuple[int, _Plan]], position: IntArray) -> list[Defect]:
    """Describe the planted records by what the file holds."""
    bases = np.array([plan.base for _, plan in placed], dtype=np.int64)
    keys = {column: table.columns[column].text(bases) for column in table.key}
    firsts = (position[bases] + 1).tolist()
    return [
        Defect(
            kind=plan.kind,
            rule=_reason(plan) if plan.kind in {"rule", "orphan"} else None,
            record=spot + 1,
            key={column: plan.changes.get(column, keys[column][turn]) for column in table.key},
            column=plan.column or None,
            value=plan.value if plan.column else None,
            follows=None if plan.in_place or plan.kind == "orphan" else firsts[turn],
        )
        for turn, (spot, plan) in enumerate(placed)
    ]
