"""What Soda made of a check, as a result: read off its objects, with nothing of it imported.

Soda's messages hold row values, and so do Spark's errors at run time. Text is taken over only from
where it is made of the check and of names of views and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.errors import AnalysisException, PySparkException

from checks.model import CheckResult, DeclaredCheck, Outcome
from checks.names import named

_OUTCOMES = {"pass": Outcome.PASS, "warn": Outcome.WARN, "fail": Outcome.FAIL}
# Messages of Soda's evaluation that are made of the check's own text.
_SAFE_MESSAGES = ("Counting invalid", "Could not evaluate freshness", "Unsupported metric")


@dataclass(frozen=True)
class Evaluated:
    """A result, and whether another check may have cost it its evaluation."""

    result: CheckResult
    lost: bool = False


class MetricQueryError(ValueError):
    """A user-defined metric gives more than one row."""


def not_evaluated(check: DeclaredCheck, reason: str, *, lost: bool = False) -> Evaluated:
    """The result of a check that could not be evaluated."""
    return Evaluated(_make(check, Outcome.NOT_EVALUATED, reason), lost=lost)


def parse_problem(entry: Any) -> str:
    """What Soda's parser says, which has seen nothing but the check."""
    cause = f": {entry.exception}" if entry.exception is not None else ""
    return " ".join(f"{entry.message}{cause}".split())


@dataclass(frozen=True)
class Trouble:
    """What went wrong while Soda evaluated.

    Attributes:
        problems: Errors and warnings it logged.
        failure: What ended the scan as a whole, if anything did.
        alone: Whether the scan had one check only, so that all of it belongs to that one.
    """

    problems: Sequence[Any]
    failure: BaseException | None
    alone: bool

    def of(self, document: str) -> list[Any]:
        """The problems that belong to the check of this document."""
        return [
            entry
            for entry in self.problems
            if self.alone
            or document in entry.message
            or document == getattr(entry.location, "file_path", None)
        ]


def evaluated(check: DeclaredCheck, found: Sequence[Any], trouble: Trouble) -> Evaluated:
    """The result of one declared check out of what Soda made of its document.

    Args:
        check: The check as declared.
        found: Soda's checks of that document; one unless something went wrong.
        trouble: What went wrong in the scan.
    """
    if len(found) != 1:
        reason = f"Soda made {len(found)} checks of it" if found else "Soda dropped the check"
        return not_evaluated(check, reason, lost=not found)
    soda_check = found[0]
    if soda_check.check_cfg.name != check.name:
        return not_evaluated(check, "Soda gave back another check in its place")
    own = trouble.of(soda_check.check_cfg.location.file_path)
    metrics = list(soda_check.metrics.values())
    queries = [query for metric in metrics for query in metric.queries]
    raised = [query.exception for query in queries if query.exception is not None]
    outcome = _OUTCOMES.get(soda_check.outcome.value) if soda_check.outcome else None
    if outcome is None or own or raised:
        errors = [*raised, *(entry.exception for entry in own), trouble.failure]
        reason = _why_not([metric.value for metric in metrics], own, errors)
        return not_evaluated(check, reason, lost=outcome is None)
    value, message = _measured(check, soda_check)
    if outcome is Outcome.FAIL and not check.can_fail:
        outcome = Outcome.WARN  # Soda fails the freshness of no rows, whatever was declared
    seconds = sum(query.duration.total_seconds() for query in queries if query.duration)
    return Evaluated(_make(check, outcome, message, value=value, seconds=seconds))


def _why_not(
    values: Sequence[object], own: Sequence[Any], errors: Sequence[BaseException | None]
) -> str:
    """Why a check has no result, without row values."""
    safe = [entry.message for entry in own if entry.message.startswith(_SAFE_MESSAGES)]
    # Soda closes the query it was reading from, which is not a cause.
    causes = [error for error in errors if error is not None and type(error) is not GeneratorExit]
    if safe:
        reason = " ".join(safe[0].partition(' ("')[0].split())
    elif causes:
        reason = _describe(causes[0])
    elif any(value is None for value in values):
        reason = (
            "the metric has no value (no rows, or only nulls); use a count, which is 0 of no rows, "
            "or COALESCE in a query"
        )
    elif any(isinstance(value, str | bytes | date) for value in values):
        reason = f"the metric is a {type(values[0]).__name__}, not a number"
    else:
        reason = "the metric was not computed: its query failed, or gave no row or a null"
    return reason


def _describe(error: BaseException) -> str:
    """An exception as text. Only analysis errors are made of names alone."""
    if isinstance(error, AnalysisException):
        return str(error).strip().splitlines()[0].rstrip("; ")
    if isinstance(error, MetricQueryError):
        return str(error)
    condition = error.getCondition() if isinstance(error, PySparkException) else None
    return f"{condition or type(error).__name__} (text withheld, it may hold row values)"


def _measured(check: DeclaredCheck, soda_check: Any) -> tuple[float | None, str]:
    """The measured value and a sentence on it."""
    limit = f"; {check.threshold}" if check.threshold else ""
    if hasattr(soda_check, "freshness_values"):
        age = soda_check.freshness_values.get("freshness")
        if age is None:
            return None, f"no row to measure the age of{limit}"
        return age.total_seconds(), f"the newest row is {age} old{limit}"
    if hasattr(soda_check, "measured_schema"):
        deviations = _schema_deviations(soda_check)
        return float(len(deviations)), "; ".join(deviations) or "schema as declared"
    value = float(soda_check.check_value)
    subject = "failing rows" if check.line == "failed rows" else check.line.partition(" ")[0]
    if " same as " in check.line:
        subject = "difference of row counts"
    elif " must " in check.line:
        subject = "rows without their reference"
    elif "(" in check.line:
        subject = named(check.line).subject
    return value, f"{subject}: {value:g}{limit}"


def _schema_deviations(soda_check: Any) -> list[str]:
    deviations: list[str] = []
    for result in (soda_check.fail_result, soda_check.warn_result):
        if result is None:
            continue
        deviations += [f"column {name} is missing" for name in sorted(result.missing_column_names)]
        deviations += [f"column {name} is not allowed" for name in result.present_column_names]
        deviations += [
            f"column {name} is {types['actual_type']} instead of {types['expected_type']}"
            for name, types in result.column_type_mismatches.items()
        ]
        deviations += [f"column {name} is misplaced" for name in result.column_index_mismatches]
    return deviations


def _make(
    check: DeclaredCheck,
    outcome: Outcome,
    message: str,
    *,
    value: float | None = None,
    seconds: float | None = None,
) -> CheckResult:
    return CheckResult(
        name=check.name,
        dataset=check.dataset,
        definition=check.definition,
        outcome=outcome,
        value=value,
        threshold=check.threshold,
        severity=check.severity,
        message=message,
        seconds=seconds,
    )
