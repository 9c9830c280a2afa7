"""The verdict on check results: may these rows be published?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checks.model import CheckResult, Outcome

_SHARE = {Outcome.PASS: 1.0, Outcome.WARN: 0.5, Outcome.FAIL: 0.0, Outcome.NOT_EVALUATED: 0.0}


@dataclass(frozen=True)
class Verdict:
    """What a gate decided.

    Attributes:
        blocked: True when nothing may be published.
        score: Data-quality score, 0 to 1.
        reasons: One sentence for each reason to block; empty when the gate is open.
    """

    blocked: bool
    score: float
    reasons: tuple[str, ...]


def score(results: Sequence[CheckResult]) -> float:
    """Share of checks passed, weighted by severity (low 1, medium 2, high 3), 0 to 1.

    A warning counts as half passed, so that a table which only warns scores lower than a clean one
    without blocking by itself. No results score 0. The results may be of one table or of a run.
    """
    total = sum(result.severity.weight for result in results)
    passed = sum(result.severity.weight * _SHARE[result.outcome] for result in results)
    return passed / total if total else 0.0


def judge(results: Sequence[CheckResult], *, threshold: float | None) -> Verdict:
    """Decide on one table.

    A failed check blocks, one that was not evaluated blocks, an empty set blocks, and a score
    below the threshold blocks. A warning alone does not.

    Args:
        results: The results of all checks of the table.
        threshold: Lowest score that may be published, 0 to 1; None for no such limit.

    Raises:
        ValueError: The threshold is outside 0 to 1.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        message = f"score threshold {threshold} is outside 0 to 1"
        raise ValueError(message)
    reasons = [
        f"{result.name}: {result.message}" for result in results if result.outcome is Outcome.FAIL
    ]
    reasons += [
        f"{result.name}: not evaluated: {result.message}"
        for result in results
        if result.outcome is Outcome.NOT_EVALUATED
    ]
    if not results:
        reasons.append("no check was evaluated")
    reached = score(results)
    if threshold is not None and reached < threshold:
        reasons.append(f"score {reached:.3f} is below the threshold {threshold:g}")
    return Verdict(bool(reasons), reached, tuple(reasons))
