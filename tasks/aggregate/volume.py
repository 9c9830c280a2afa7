"""Whether what the inputs of a gold table hold arrives in it (`volume`)."""

from __future__ import annotations

from pyspark.sql import DataFrame

from checks.model import CheckSource
from tasks.context import Attempt, Context, live
from tasks.domain.spec import VolumeSpec
from tasks.domain.sql_text import to_views


def volume_check(
    context: Context, attempt: Attempt, spec: VolumeSpec, result: DataFrame
) -> CheckSource:
    """The check of the volume, over a view `volume` that this registers.

    Args:
        context: The context, whose session has the inputs as views.
        attempt: The attempt.
        spec: What is compared.
        result: The table as it will be.
    """
    tolerance = spec.tolerance
    expected, actual = _volumes(context, spec, result)
    if attempt.is_part:  # other parts may be as wrong as they were
        before = live(context.domain, attempt.table, context.store.read(attempt.table))
        tolerance = max(tolerance, abs(1 - _ratio(*_volumes(context, spec, before))))
    _register_volume(context, expected, actual)
    return _volume_check(tolerance)


def _register_volume(context: Context, expected: float, actual: float) -> None:
    ratio = _ratio(expected, actual)
    context.store.query(
        f"select {expected}D input_rows, {actual}D output_rows, {ratio}D ratio"
    ).createOrReplaceTempView("volume")


def _volumes(context: Context, spec: VolumeSpec, rows: DataFrame) -> tuple[float, float]:
    """What the inputs say is to be expected, and what the rows give, in one query; nothing counts as 0."""
    expected = context.store.query(to_views(spec.input)).toDF("expected").limit(1)
    actual = rows.selectExpr(f"cast({spec.output}\n as double) actual")
    found = actual.join(expected, how="left").collect()[0]
    return float(found["expected"] or 0), float(found["actual"] or 0)


def _ratio(expected: float, actual: float) -> float:
    return actual / expected if expected else (1.0 if not actual else 2.0)


def _volume_check(tolerance: float) -> CheckSource:
    text = f"""
checks for volume:
  - avg(ratio) between {1 - tolerance} and {1 + tolerance}:
      name: rows of the inputs arrive (tolerance {tolerance:.2%})
      attributes: {{severity: high}}
"""
    return CheckSource("volume of the domain", text)
