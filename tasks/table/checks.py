"""Results of the checks that the platform makes itself."""

from __future__ import annotations

from checks.model import CheckResult, Outcome, Severity

UNIQUE = "keys are unique"
WITHIN_CALENDAR = "dates are within the years 1 to 9999"
NEVER_WAIVED = (UNIQUE, WITHIN_CALENDAR)
"""Checks that no acceptance lets through: what they find could not be read or merged again."""
QUARANTINE_LIMIT = "quarantined rows within limit"
WAITING_LIMIT = "rows waiting for a reference"
OF_BATCHES = (QUARANTINE_LIMIT, WAITING_LIMIT)
"""Checks whose message names the batches at fault."""


def own_check(
    name: str,
    outcome: Outcome,
    message: str,
    *,
    dataset: str = "staged",
    value: float | None = None,
    threshold: str | None = None,
    severity: Severity = Severity.HIGH,
) -> CheckResult:
    """The result of a check that no domain declares."""
    return CheckResult(
        name=name,
        dataset=dataset,
        definition=name,
        outcome=outcome,
        value=value,
        threshold=threshold,
        severity=severity,
        message=message,
    )
