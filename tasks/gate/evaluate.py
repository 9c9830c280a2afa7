"""The gate of a table: what was staged is checked, and only that is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from checks.gate import Verdict, judge
from checks.model import (
    CheckDefinitionError,
    CheckResult,
    CheckSuite,
    Outcome,
)
from tasks.context import Attempt, Context, GateReport, views
from tasks.domain.spec import EVENTS, dependencies
from tasks.gate import anomalies, freshness, instants
from tasks.gate.as_of import as_of
from tasks.table.checks import NEVER_WAIVED, OF_BATCHES, own_check
from tasks.table.kind import TableKind

BLOCKING = (Outcome.FAIL, Outcome.NOT_EVALUATED)


def check(context: Context, kind: TableKind, attempt: Attempt) -> GateReport:
    """Evaluate every check of the table on the staged rows and on the table as it will be."""
    results = [
        *kind.own_checks(context, attempt),
        *anomalies.checks(context, attempt),
        *freshness.checks(context, attempt),
        *instants.checks(attempt),
        *_declared_checks(context, kind, attempt),
    ]
    waivable = [r for r in results if r.outcome in BLOCKING and _is_waived(r, attempt)]
    counted = [r for r in results if r not in waivable]
    verdict = judge(counted or results, threshold=context.domain.score_threshold)
    if verdict.blocked and waivable and not counted:
        verdict = Verdict(False, verdict.score, ())
    waived = tuple(r.name for r in waivable)
    ids = _ids(attempt, [r for r in counted if r.outcome in BLOCKING])
    return GateReport(attempt.table, attempt.token, verdict, tuple(results), ids, waived)


def _is_waived(result: CheckResult, attempt: Attempt) -> bool:
    """Whether a recorded acceptance lets this failure through.

    Where every batch of the attempt is accepted, everything is. Otherwise the rows of accepted batches
    are not among those that `staged` checks see, and only checks on the whole table are let through.
    """
    if result.name in NEVER_WAIVED or any(not problem.acceptable for problem in attempt.problems):
        return False
    accepted = [batch.accepted for batch in attempt.resolvable]
    if accepted and all(accepted):
        return True
    return result.dataset == "result" and any(accepted)


def _ids(attempt: Attempt, failed: Sequence[CheckResult]) -> tuple[str, ...]:
    """The batches to resolve: those that are at fault where that is known, else all not accepted."""
    ids = [p.batch_id for p in attempt.problems]
    if not ids and failed and {r.name for r in failed} <= {*OF_BATCHES}:
        ids = [b.batch_id for r in failed for b in attempt.batches if b.batch_id in r.message]
    ids = ids or [b.batch_id for b in attempt.resolvable if not b.accepted]
    ids = ids or [b.batch_id for b in attempt.resolvable]
    return tuple(dict.fromkeys(ids))


def _declared_checks(context: Context, kind: TableKind, attempt: Attempt) -> Sequence[CheckResult]:
    ref = attempt.table
    folder = Path(context.domain.roots.checks)
    if ref.name.endswith(EVENTS) and not (folder / ref.layer / f"{ref.name}.yml").is_file():
        return []  # the history made of the events has the checks
    try:
        suite = CheckSuite.load(folder, ref.layer, ref.name)
    except CheckDefinitionError as error:
        return [own_check("checks are readable", Outcome.NOT_EVALUATED, str(error))]
    views(
        context, {label: attempt.inputs[label] for label in dependencies(context.domain)[ref.label]}
    )
    rows = kind.audited(context, attempt)
    rows.staged.createOrReplaceTempView("staged")
    rows.result.createOrReplaceTempView("result")
    try:
        own, more = kind.result_checks(context, attempt, rows.result)
        variables = {
            "as_of": as_of(context, ref, rows.result),
            "expected_rows": str(kind.expected_rows(attempt)),
        }
        suite = suite.extended(*more) if more else suite
        return [*own, *context.scanner.scan(context.store.session, suite, variables)]
    finally:
        rows.result.unpersist()
