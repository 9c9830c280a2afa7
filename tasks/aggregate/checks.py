"""A check of the platform's own: the key of a derived table is unique, whatever its domain declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from checks.model import CheckResult, Outcome
from storage.sql import quote
from storage.types import TableRef
from tasks.context import Attempt, Context
from tasks.domain.schemas import key_of, spec_of
from tasks.table.checks import UNIQUE, own_check


def unique(context: Context, attempt: Attempt, result: DataFrame) -> CheckResult:
    """Each key is in one row of the table as it will be; a null in a key is a value.

    Args:
        context: The context.
        attempt: The attempt of a derived table.
        result: The table as it will be.
    """
    ref, key = attempt.table, key_of(context.domain, attempt.table)
    count, example = _doubled(result, key)
    text = f"{', '.join(key)}: no key is there twice"
    if count:
        text = (
            f"{count:,} keys are in more than one row, for example {_said(context, ref, example)}; "
        )
        text += _way_out(context, attempt, key)
    outcome = Outcome.FAIL if count else Outcome.PASS
    return own_check(UNIQUE, outcome, text, dataset="result", value=float(count), threshold="= 0")


def _doubled(rows: DataFrame, key: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """How many keys are in several rows, and one of them with its number of rows (`_rows`)."""
    keys = rows.groupBy(*map(quote, key)).agg(F.count(F.lit(1)).alias("_rows"))
    named = F.struct(*[F.col(quote(k)).cast("string").alias(k) for k in key], "_rows")
    found = keys.where("_rows > 1").agg(F.count(F.lit(1)), F.min(named)).collect()[0]
    return int(found[0]), found[1].asDict() if found[0] else {}


def _said(context: Context, ref: TableRef, example: dict[str, Any]) -> str:
    columns, rows = spec_of(context.domain, ref).columns, example.pop("_rows")
    personal = {name for name, column in columns.items() if column.personal}
    parts = [
        f"{name}={'null' if value is None else '(personal)' if name in personal else repr(value)}"
        for name, value in example.items()
    ]
    return f"{', '.join(parts)} ({rows} rows)"


def _way_out(context: Context, attempt: Attempt, key: Sequence[str]) -> str:
    ref = attempt.table
    stored = not attempt.replace and context.store.head(ref).record is not None
    if stored and _doubled(context.store.read(ref), key)[0]:
        return (
            "the table already holds them, because earlier versions wrote keys with a null: "
            f"lakehouse rebuild domain={ref.domain} 'tables=[{ref.label}]'"
        )
    return "the query returns them: fix its SQL, or name further columns as the key"
