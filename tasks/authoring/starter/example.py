"""The test of the example: rows of silver and the rows of gold that they give."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tasks.authoring.starter.plan import Gold, Plan
from tasks.authoring.starter.text import scalar

Row = dict[str, Any]


def example(plan: Plan) -> str:
    """A case of three rows of silver, two of them of one grain."""
    gold = plan.gold
    rows = _given(plan, gold)
    given = "\n".join(f"      - {_flow(row)}" for row in rows)
    expect = "\n".join(f"    - {_flow(row)}" for row in _expected(gold, rows))
    return f"""\
# Cases for gold.{gold.name}: rows of the inputs, and the whole result. Columns that are left out are null.
- name: rows of one {gold.grain} are counted together
  given:
    silver.{plan.table}:
{given}
  expect:
{expect}
"""


def _given(plan: Plan, gold: Gold) -> list[Row]:
    types = {c.name: c.type for c in plan.guess.columns}
    rows: list[Row] = [{name: _sample(types[name], n) for name in plan.guess.key} for n in range(3)]
    days = (dt.date(2026, 1, 5), dt.date(2026, 1, 20), dt.date(2026, 2, 3))
    values = (True, True, False) if gold.key_type == "boolean" else ("a", "a", "b")
    for number, row in enumerate(rows):
        if gold.time:
            day = days[number]
            row[gold.time.name] = f"{day} 08:00:00" if gold.time.type == "timestamp" else day
        elif gold.group:
            row[gold.group.name] = values[number]
        if gold.measure:
            row[gold.measure.name] = _sample(gold.measure.type, number)
    return rows


def _expected(gold: Gold, rows: list[Row]) -> list[Row]:
    grouped: dict[Any, list[Row]] = {}
    for number, row in enumerate(rows):
        month = dt.date(2026, 1 if number < 2 else 2, 1)
        grain = month if gold.time else row[gold.group.name] if gold.group else "all"
        grouped.setdefault(grain, []).append(row)
    expected = []
    for grain, part in grouped.items():
        made: Row = {gold.key: grain, gold.count: len(part)}
        if gold.measure:
            made[gold.total] = sum(row[gold.measure.name] for row in part)
        expected.append(made)
    return expected


def _sample(kind: str, number: int) -> Any:
    """Values of a type that differ and add up exactly."""
    if kind.startswith("decimal"):
        return Decimal("1.50") + number
    return {
        "int": number + 1, "bigint": number + 1, "double": number + 0.5,
        "boolean": number % 2 == 0, "date": dt.date(2026, 1, 5 + number),
        "timestamp": f"2026-01-0{5 + number} 08:00:00",
    }.get(kind, f"k{number + 1}")  # fmt: skip


def _flow(row: Mapping[str, Any]) -> str:
    """A row as YAML on one line."""
    cells = []
    for name, value in row.items():
        text = json.dumps(value) if isinstance(value, (str, bool)) else str(value)
        cells.append(f"{scalar(name)}: {text}")
    return "{" + ", ".join(cells) + "}"
