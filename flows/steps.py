"""The steps of a table in a run: the plain functions of `tasks`, with what the run is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from flows.runs import Run, registered
from flows.runtime import Runtime
from flows.typed import overrides_of
from storage.errors import CommitConflictError, LakehouseError
from storage.failures import NATIVE, translate, without_secrets
from storage.types import Commit, TableRef
from tasks import backfill, bronze, derived, drift, silver, tables
from tasks.accounting import ACCOUNTS
from tasks.bench import Bench, Staged
from tasks.destinations.push import Pushed, push
from tasks.gate import GateReport, check, is_derived
from tasks.ops import TableOutcome, passed
from tasks.partitions import Partition
from tasks.planning import is_behind
from tasks.publish import publish
from tasks.spec import Push

R = TypeVar("R")


@dataclass(frozen=True)
class Ended(Generic[R]):
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


def stage_step(run_id: str, table: str, partition: Partition | None = None) -> Ended[Staged]:
    """Write the rows to publish to the staging folder."""
    run, ref = _of(run_id, table)
    run.progress.step(ref, "stage")
    staged = guarded(run, ref, lambda: _staged(run, ref, partition), partition)
    if staged is None:
        run.settle(TableOutcome(ref, "unchanged", message=_waits_for(run, ref)))
        return Ended("nothing new", name="Unchanged")
    run.progress.rows(ref, staged.rows)
    return Ended(_counts(staged), staged)


def check_step(
    run_id: str, table: str, staged: Staged | None, partition: Partition | None = None
) -> Ended[GateReport]:
    """Evaluate the gate on what was staged."""
    run, ref = _of(run_id, table)
    if staged is None:
        return Ended("nothing to check", name="Unchanged")
    run.progress.step(ref, "check")
    report = guarded(run, ref, lambda: check(run.runtime.bench(), staged), partition)
    if report.verdict.blocked:
        return _blocked(run, staged, report, partition)
    good, total = passed(report)
    text = f"{good} of {total} checks passed, score {report.verdict.score:.3f}"
    return Ended(text, report)


def publish_step(
    run_id: str,
    table: str,
    staged: Staged | None,
    report: GateReport | None,
    partition: Partition | None = None,
) -> Ended[Commit]:
    """Commit what was checked; where the table has moved on since, what is staged and checked once more."""
    run, ref = _of(run_id, table)
    if staged is None or report is None:
        return Ended("nothing to publish", name="Unchanged")
    run.progress.step(ref, "publish")
    started = time.monotonic()
    try:
        return _publish(run, staged, report, partition, started)
    except CommitConflictError:
        again = guarded(run, ref, lambda: _staged(run, ref, partition), partition)
    if again is None:
        run.settle(TableOutcome(ref, "unchanged"), partition)
        return Ended("nothing new", name="Unchanged")
    report = guarded(run, ref, lambda: check(run.runtime.bench(), again), partition)
    if report.verdict.blocked:
        return _blocked(run, again, report, partition)
    return _publish(run, again, report, partition, started)


def _publish(
    run: Run, staged: Staged, report: GateReport, partition: Partition | None, started: float
) -> Ended[Commit]:
    ref = staged.table
    commit = guarded(run, ref, lambda: publish(run.runtime.bench(), staged, report), partition)
    seconds = staged.seconds + time.monotonic() - started
    status = "unchanged" if commit.operation == "mark" else "published"
    outcome = TableOutcome(
        ref, status, dict(staged.rows), round(seconds, 3), str(commit.version), report,
        accounts=staged.notes.get(ACCOUNTS, {}),
    )  # fmt: skip
    run.settle(outcome, partition)
    return Ended(
        f"{staged.rows.get('published', 0):,} rows published as version {commit.version}", commit
    )


def _blocked(run: Run, staged: Staged, report: GateReport, partition: Partition | None) -> Ended[R]:
    ref = staged.table
    drift.record(run.runtime.bench(spark=False), staged, outcome="blocked")
    advice = settle_commands(run.runtime, report)
    outcome = TableOutcome(
        ref, "blocked", dict(staged.rows), staged.seconds, gate=report,
        message="; ".join(report.verdict.reasons), advice=advice,
        accounts=staged.notes.get(ACCOUNTS, {}),
    )  # fmt: skip
    run.settle(outcome, partition)
    return Ended(f"{ref.label}: {outcome.message}\n{advice}", name="Blocked", failed=True)


def push_step(run_id: str, wanted: Push) -> Ended[Pushed]:
    """Merge a gold table into a destination."""
    run, ref = registered(run_id), wanted.ref
    runtime, started = run.runtime, time.monotonic()
    run.progress.step(ref, "push")

    def work() -> Pushed | None:
        bench = runtime.bench(spark=False)
        if not is_behind(bench, wanted, runtime.config.layers):
            return None
        return push(bench, wanted, runtime.bench)

    done = guarded(run, ref, work)
    if done is None or not done.changed:
        run.settle(TableOutcome(ref, "unchanged", version=done.version if done else ""))
        return Ended("nothing new", name="Unchanged")
    rows = {"computed": done.staged, "published": done.written, "removed": done.removed}
    seconds = round(time.monotonic() - started, 3)
    run.settle(TableOutcome(ref, "pushed", rows, seconds, done.version))
    sent = f"{done.staged:,} rows sent, {done.written:,} written, {done.removed:,} removed"
    return Ended(f"{sent}, as of version {done.version}", done)


def _waits_for(run: Run, ref: TableRef) -> str:
    bench = run.runtime.bench(spark=False)
    if ref.layer == "bronze" and bronze.never_delivered(bench, ref):
        return bronze.missing(bench, ref)
    return ""


def settle_commands(runtime: Runtime, report: GateReport) -> str:
    """The commands that settle a blocked batch, as they can be typed."""
    config = runtime.config
    where = overrides_of(config, landing=report.table.layer == "bronze")
    lines = []
    for batch in report.batches:
        lines.append(f"lakehouse batch reject {batch} {where}")
        lines.append(f'lakehouse batch accept {batch} --reason "..." {where}')
    return "settle it with one of:\n  " + "\n  ".join(lines) if lines else ""


def _of(run_id: str, table: str) -> tuple[Run, TableRef]:
    run = registered(run_id)
    return run, run.runtime.config.domain.ref(table)


def _staged(run: Run, ref: TableRef, partition: Partition | None) -> Staged | None:
    bench = run.runtime.bench()
    tables.create(bench, ref)
    started = time.monotonic()
    staged = _stage(bench, ref) if partition is None else _restage(run, bench, ref, partition)
    return staged.timed(time.monotonic() - started) if staged else None


def _stage(bench: Bench, ref: TableRef) -> Staged | None:
    if ref.layer == "bronze":
        return bronze.stage(bench, ref)
    return derived.stage(bench, ref) if is_derived(bench, ref) else silver.stage(bench, ref)


def _restage(run: Run, bench: Bench, ref: TableRef, partition: Partition) -> Staged:
    assert run.backfill is not None  # noqa: S101 - only a backfill has partitions
    return backfill.stage(bench, ref, partition, run.backfill.note(partition))


def _counts(staged: Staged) -> str:
    rows = dict(staged.rows)
    scanned, available = rows.pop("scanned", 0), rows.pop("available", 0)
    counts = ", ".join(f"{n:,} {name}" for name, n in rows.items() if n)
    read = f", {scanned:,} of {available:,} input rows read" if available else ""
    return f"{counts or 'no rows'}{read} in {staged.seconds:.1f} s"


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
    run.settle(TableOutcome(ref, "failed", message=message, advice=advice), partition)
