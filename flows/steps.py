"""The steps of a table in a run: the plain functions of `tasks`, with what the run is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flows.runs import Run, registered
from flows.runtime import Runtime
from flows.typed import overrides_of
from storage.errors import CommitConflictError, LakehouseError
from storage.failures import NATIVE, translate, without_secrets
from storage.types import Commit, TableRef
from tasks import run_table
from tasks.context import Attempt, Context, GateReport
from tasks.destinations.push import Pushed, push
from tasks.domain.spec import Push
from tasks.ingest import drift
from tasks.manage import backfill
from tasks.manage.planning import is_behind
from tasks.ops.report import TableOutcome, passed
from tasks.rows.partitions import Partition
from tasks.run_table import check, publish

R = TypeVar("R")


@dataclass(frozen=True)
class StepResult(Generic[R]):
    """How a step ended that did not raise.

    Attributes:
        message: What a person is told.
        value: What the next step needs; None where there is nothing to do.
        name: What the end is called where the step is not simply completed.
        failed: Whether what depends on the step cannot go on.
    """

    message: str
    value: R | None = None
    name: str | None = None
    failed: bool = False


def stage_step(run_id: str, table: str, partition: Partition | None = None) -> StepResult[Attempt]:
    """Write the rows to publish to the staging folder."""
    run, ref = _of(run_id, table)
    run.progress.step(ref, "stage")
    attempt = guarded(run, ref, lambda: _staged(run, ref, partition), partition)
    if attempt is None:
        run.note(TableOutcome(ref, "unchanged", message=_waits_for(run, ref)))
        return StepResult("nothing new", name="Unchanged")
    run.progress.rows(ref, attempt.rows)
    return StepResult(_counts(attempt), attempt)


def check_step(
    run_id: str, table: str, attempt: Attempt | None, partition: Partition | None = None
) -> StepResult[GateReport]:
    """Evaluate the gate on what was staged."""
    run, ref = _of(run_id, table)
    if attempt is None:
        return StepResult("nothing to check", name="Unchanged")
    run.progress.step(ref, "check")
    report = guarded(run, ref, lambda: check(run.runtime.context(), attempt), partition)
    if report.verdict.blocked:
        return _blocked(run, attempt, report, partition)
    good, total = passed(report)
    text = f"{good} of {total} checks passed, score {report.verdict.score:.3f}"
    return StepResult(text, report)


def publish_step(
    run_id: str,
    table: str,
    attempt: Attempt | None,
    report: GateReport | None,
    partition: Partition | None = None,
) -> StepResult[Commit]:
    """Commit what was checked; where the table has moved on since, stage and check once more first."""
    run, ref = _of(run_id, table)
    if attempt is None or report is None:
        return StepResult("nothing to publish", name="Unchanged")
    run.progress.step(ref, "publish")
    started = time.monotonic()
    try:
        return _publish(run, attempt, report, partition, started)
    except CommitConflictError:
        again = guarded(run, ref, lambda: _staged(run, ref, partition), partition)
    if again is None:
        run.note(TableOutcome(ref, "unchanged"), partition)
        return StepResult("nothing new", name="Unchanged")
    report = guarded(run, ref, lambda: check(run.runtime.context(), again), partition)
    if report.verdict.blocked:
        return _blocked(run, again, report, partition)
    return _publish(run, again, report, partition, started)


def _publish(
    run: Run, attempt: Attempt, report: GateReport, partition: Partition | None, started: float
) -> StepResult[Commit]:
    ref = attempt.table

    def published() -> tuple[Commit, Sequence[str]]:
        context = run.runtime.context()
        commit = publish(context, attempt, report)
        return commit, run_table.rejected_meanwhile(context, attempt)

    commit, late = guarded(run, ref, published, partition)
    seconds = attempt.seconds + time.monotonic() - started
    status = "unchanged" if commit.operation == "checkpoint" else "published"
    outcome = TableOutcome(
        ref, status, dict(attempt.rows), round(seconds, 3), str(commit.version), report,
        accounts=attempt.notes.accounts or {}, replaced=attempt.replace,
        advice=_take_out(run.runtime, ref, late) if late else "",
    )  # fmt: skip
    run.note(outcome, partition)
    return StepResult(
        f"{attempt.rows.get('published', 0):,} rows published as version {commit.version}", commit
    )


def _blocked(
    run: Run, attempt: Attempt, report: GateReport, partition: Partition | None
) -> StepResult[R]:
    ref = attempt.table
    drift.record(run.runtime.context(spark=False), attempt, outcome="blocked")
    advice = resolve_commands(run.runtime, report)
    outcome = TableOutcome(
        ref, "blocked", dict(attempt.rows), attempt.seconds, gate=report,
        message="; ".join(report.verdict.reasons), advice=advice,
        accounts=attempt.notes.accounts or {},
    )  # fmt: skip
    run.note(outcome, partition)
    return StepResult(f"{ref.label}: {outcome.message}\n{advice}", name="Blocked", failed=True)


def push_step(run_id: str, wanted: Push) -> StepResult[Pushed]:
    """Merge a gold table into a destination."""
    run, ref = registered(run_id), wanted.ref
    runtime, started = run.runtime, time.monotonic()
    run.progress.step(ref, "push")

    def work() -> Pushed | None:
        context = runtime.context(spark=False)
        if not is_behind(context, wanted, runtime.config.layers):
            return None
        return push(context, wanted, runtime.context)

    done = guarded(run, ref, work)
    if done is None or not done.changed:
        run.note(TableOutcome(ref, "unchanged", version=done.version if done else ""))
        return StepResult("nothing new", name="Unchanged")
    rows = {"computed": done.staged, "published": done.written, "removed": done.removed}
    seconds = round(time.monotonic() - started, 3)
    run.note(TableOutcome(ref, "pushed", rows, seconds, done.version))
    sent = f"{done.staged:,} rows sent, {done.written:,} written, {done.removed:,} removed"
    return StepResult(f"{sent}, as of version {done.version}", done)


def _waits_for(run: Run, ref: TableRef) -> str:
    context = run.runtime.context(spark=False)
    return run_table.kind_of(context.domain, ref).waits_for(context)


def resolve_commands(runtime: Runtime, report: GateReport) -> str:
    """The commands that accept or reject a blocked batch, as they can be typed."""
    config = runtime.config
    spec = config.domain.find(report.table)
    where = overrides_of(config, landing=spec is not None and spec.is_delivered)
    lines = []
    for batch in report.batches:
        lines.append(f"lakehouse batch reject {batch} {where}")
        lines.append(f'lakehouse batch accept {batch} --reason "..." {where}')
    return "resolve it with one of:\n  " + "\n  ".join(lines) if lines else ""


def _take_out(runtime: Runtime, ref: TableRef, batches: Sequence[str]) -> str:
    """What to do about batches that were rejected too late."""
    where = overrides_of(runtime.config, landing=False)
    return (
        f"{', '.join(batches)} was rejected while {ref.label} was published, and its rows are there; "
        f"they leave with:\n  lakehouse rebuild {where}"
    )


def _of(run_id: str, table: str) -> tuple[Run, TableRef]:
    run = registered(run_id)
    return run, run.runtime.config.domain.ref(table)


def _staged(run: Run, ref: TableRef, partition: Partition | None) -> Attempt | None:
    context = run.runtime.context()
    run_table.create(context, ref)
    started = time.monotonic()
    attempt = (
        run_table.stage(context, ref)
        if partition is None
        else _restage(run, context, ref, partition)
    )
    return attempt.timed(time.monotonic() - started) if attempt else None


def _restage(run: Run, context: Context, ref: TableRef, partition: Partition) -> Attempt:
    assert run.backfill is not None  # noqa: S101 - only a backfill has partitions
    return backfill.stage(context, ref, run.backfill.part(partition))


def _counts(attempt: Attempt) -> str:
    rows = dict(attempt.rows)
    scanned, available = rows.pop("scanned", 0), rows.pop("available", 0)
    counts = ", ".join(f"{n:,} {name}" for name, n in rows.items() if n)
    read = f", {scanned:,} of {available:,} input rows read" if available else ""
    return f"{counts or 'no rows'}{read} in {attempt.seconds:.1f} s"


def guarded(
    run: Run, ref: TableRef, work: Callable[[], R], partition: Partition | None = None
) -> R:
    """Run a step and note its failure for the run's report; retries overwrite the note."""
    try:
        with run.slots:
            return work()
    except LakehouseError as error:
        _note_failure(run, ref, partition, error.message, error.advice)
        raise
    except (*NATIVE, OSError) as error:
        known = translate(ref, error)
        _note_failure(run, ref, partition, known.message, known.advice)
        raise known from without_secrets(error)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        _note_failure(run, ref, partition, f"{type(error).__name__}: {first}", "")
        safe = without_secrets(error)
        if safe is error:
            raise
        raise safe from None


def _note_failure(
    run: Run, ref: TableRef, partition: Partition | None, message: str, advice: str
) -> None:
    run.note(TableOutcome(ref, "failed", message=message, advice=advice), partition)
