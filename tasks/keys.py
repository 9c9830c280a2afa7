"""A check of the platform's own: the key of a derived table is unique, whatever its domain declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from checks.model import CheckResult, Outcome, Severity
from storage.sql import quote
from storage.types import TableRef
from tasks.bench import Bench, Staged
from tasks.derived import key_of, spec_of

UNIQUE = "keys are unique"


def unique(bench: Bench, staged: Staged, result: DataFrame) -> CheckResult:
    """Each key is in one row of the table as it will be; a null in a key is a value.

    Args:
        bench: The bench.
        staged: The attempt of a derived table.
        result: The table as it will be.
    """
    ref, key = staged.table, key_of(bench.domain, staged.table)
    count, example = _doubled(result, key)
    text = f"{', '.join(key)}: no key is there twice"
    if count:
        text = (
            f"{count:,} keys are in more than one row, for example {_said(bench, ref, example)}; "
        )
        text += _way_out(bench, staged, key)
    return CheckResult(
        name=UNIQUE,
        dataset="result",
        definition=UNIQUE,
        outcome=Outcome.FAIL if count else Outcome.PASS,
        value=float(count),
        threshold="= 0",
        severity=Severity.HIGH,
        message=text,
    )


def _doubled(rows: DataFrame, key: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """How many keys are in several rows, and one of them with its number of rows (`_rows`)."""
    keys = rows.groupBy(*map(quote, key)).agg(F.count(F.lit(1)).alias("_rows"))
    named = F.struct(*[F.col(quote(k)).cast("string").alias(k) for k in key], "_rows")
    found = keys.where("_rows > 1").agg(F.count(F.lit(1)), F.min(named)).collect()[0]
    return int(found[0]), found[1].asDict() if found[0] else {}


def _said(bench: Bench, ref: TableRef, example: dict[str, Any]) -> str:
    columns, rows = spec_of(bench.domain, ref).columns, example.pop("_rows")
    personal = {name for name, column in columns.items() if column.personal}
    parts = [
        f"{name}={'null' if value is None else '(personal)' if name in personal else repr(value)}"
        for name, value in example.items()
    ]
    return f"{', '.join(parts)} ({rows} rows)"


def _way_out(bench: Bench, staged: Staged, key: Sequence[str]) -> str:
    ref = staged.table
    stored = not staged.replace and bench.store.head(ref).record is not None
    if stored and _doubled(bench.store.read(ref), key)[0]:
        return (
            "they are so in the table already, as earlier versions wrote keys with a null: "
            f"lakehouse rebuild domain={ref.domain} 'tables=[{ref.label}]'"
        )
    return "the query gives them so: mend its SQL, or name further columns as the key"
