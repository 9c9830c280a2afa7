from __future__ import annotations

import pytest

from checks.gate import judge, score
from checks.model import CheckResult, Outcome, Severity
from storage.types import TableRef
from tasks.context import Attempt
from tasks.gate import evaluate as gate
from tasks.notes import Batch, Notes
from tasks.table.checks import NEVER_WAIVED


def result(
    outcome: Outcome, name: str = "a check", severity: Severity = Severity.MEDIUM
) -> CheckResult:
    return CheckResult(
        name=name,
        dataset="staged",
        definition="row_count > 0",
        outcome=outcome,
        value=1.0,
        threshold="> 0",
        severity=severity,
        message=f"what {name} found",
    )


def test_passed_checks_open_the_gate() -> None:
    verdict = judge([result(Outcome.PASS), result(Outcome.PASS, "b")], threshold=1.0)
    assert not verdict.blocked
    assert verdict.score == 1.0
    assert verdict.reasons == ()


def test_a_warning_is_reported_by_the_score_and_does_not_block() -> None:
    verdict = judge([result(Outcome.PASS), result(Outcome.WARN, "b")], threshold=None)
    assert not verdict.blocked
    assert verdict.score == 0.75


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.NOT_EVALUATED])
def test_one_bad_check_blocks_whatever_the_score(outcome: Outcome) -> None:
    good = [result(Outcome.PASS, f"c{number}", Severity.HIGH) for number in range(99)]
    verdict = judge([*good, result(outcome, "odd one", Severity.LOW)], threshold=None)
    assert verdict.blocked
    assert verdict.score > 0.99
    assert len(verdict.reasons) == 1
    assert "odd one" in verdict.reasons[0]
    assert "what odd one found" in verdict.reasons[0]


def test_no_result_blocks() -> None:
    verdict = judge([], threshold=None)
    assert verdict.blocked
    assert verdict.score == 0.0
    assert "no check" in verdict.reasons[0]


def test_severity_weighs_the_score() -> None:
    results = [
        result(Outcome.PASS, "low", Severity.LOW),
        result(Outcome.WARN, "medium", Severity.MEDIUM),
        result(Outcome.FAIL, "high", Severity.HIGH),
    ]
    assert score(results) == pytest.approx((1 + 2 / 2 + 0) / 6)


def test_a_score_below_the_threshold_blocks_and_one_on_it_does_not() -> None:
    results = [result(Outcome.PASS), result(Outcome.WARN, "b")]
    assert not judge(results, threshold=0.75).blocked
    verdict = judge(results, threshold=0.76)
    assert verdict.blocked
    assert "0.750" in verdict.reasons[0]
    assert "0.76" in verdict.reasons[0]


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        judge([result(Outcome.PASS)], threshold=threshold)


@pytest.mark.parametrize("name", NEVER_WAIVED)
def test_no_decision_lets_a_table_through_that_could_not_go_on(name: str) -> None:
    ref = TableRef("shop", "gold", "daily")
    accepted = Attempt(ref, "token", "folder", notes=Notes(itself=Batch("daily-1", accepted=True)))
    assert gate._is_waived(result(Outcome.FAIL), accepted)
    assert not gate._is_waived(result(Outcome.FAIL, name), accepted)
