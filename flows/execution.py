"""A run from its plan to its summary, whoever carries out its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from conf.schema import Config
from flows.progress import Silent
from flows.report.quality_report import write_report
from flows.report.summary import Summary, summarise
from flows.runs import Run
from flows.runtime import Runtime
from storage.errors import LakehouseError
from storage.types import TableRef
from tasks.context import Context
from tasks.domain.spec import Push
from tasks.gate import freshness
from tasks.manage.planning import is_behind, selected, selected_pushes
from tasks.ops import report as ops
from tasks.ops.report import TableOutcome
from tasks.records import changes, contracts
from tasks.records.contracts import refuse_outdated
from tasks.run_table import has_news

MOST_WORKERS = 16
"""Threads of a run; how many work at once is the configuration's `workers`."""


class Runner(Protocol):
    """Carries out the steps of a run: as Prefect tasks, or on threads of this process."""

    def plan(self, run: Run, tables: Sequence[TableRef]) -> Sequence[str]:
        """Labels of the tables that have news."""

    def start_spark(self, run: Run) -> None:
        """Start the process's Spark session."""

    def work(self, run: Run, wanted: Sequence[TableRef], pushes: Sequence[Push]) -> None:
        """Take every table through its steps, each after those it reads, and then the pushes."""


def execute(run: Run, runner: Runner) -> Summary:
    """Bring the tables that the configuration selects up to date, and report it."""
    config, context = run.runtime.config, run.runtime.context(spark=False)
    wanted, pushes = _chosen(config, context)
    run.progress.started([*wanted, *(push.ref for push in pushes)])
    if runner.plan(run, wanted):
        runner.start_spark(run)
        runner.work(run, wanted, pushes)
        changes.prune(context)
    else:
        run.outcomes.update({ref: TableOutcome(ref, "unchanged") for ref in wanted})
        behind = [push for push in pushes if is_behind(context, push, config.layers)]
        run.outcomes.update({p.ref: TableOutcome(p.ref, "unchanged") for p in pushes})
        runner.work(run, [], behind)
    return conclude(run, wanted, pushes)


def _chosen(config: Config, context: Context) -> tuple[list[TableRef], list[Push]]:
    """The tables and the pushes that the configuration selects; none of them may be outdated."""
    wanted = selected(config.domain, config.layers, config.tables)
    pushes = selected_pushes(config.domain, config.layers, config.tables)
    refuse_outdated(context, list(dict.fromkeys([*wanted, *(push.table for push in pushes)])))
    return wanted, pushes


def news(run: Run, tables: Sequence[TableRef]) -> list[str]:
    """Labels of the tables that have anything to take in, from metadata alone."""
    context = run.runtime.context(spark=False)
    return [ref.label for ref in tables if has_news(context, ref)]


def conclude(run: Run, wanted: list[TableRef], pushes: Sequence[Push] = ()) -> Summary:
    """Judge the run and append it to the operational tables."""
    for push in pushes:
        run.outcomes.setdefault(
            push.ref, TableOutcome(push.ref, "skipped", message="its gold table was not published")
        )
    for ref in wanted:
        run.outcomes.setdefault(
            ref, TableOutcome(ref, "skipped", message="a table that it reads was not published")
        )
    context = run.runtime.context(spark=False)
    overdue = freshness.overdue(context, wanted)
    done = [run.outcomes[ref] for ref in (*wanted, *(push.ref for push in pushes))]
    summary = summarise(run, done, overdue)
    ops.report(
        context.store,
        summary.domain,
        run.runtime.run,
        summary.outcomes,
        status=summary.status,
        score=summary.score,
        message=summary.message,
    )
    written = [o.table for o in summary.outcomes if o.status in ("published", "unchanged")]
    contracts.remember(
        context, [ref for ref in written if ref in wanted and context.store.exists(ref)]
    )
    return _with_files(run.runtime.config, summary)


def _with_files(config: Config, summary: Summary) -> Summary:
    """Write the report and the export; where one cannot be written, the summary says so and has failed."""
    failed: list[str] = []
    writes: tuple[Callable[[], object], ...] = (
        lambda: write_report(config, summary),
        lambda: _export(config),
    )
    for write in writes:
        try:
            write()
        except LakehouseError as error:
            failed.append(error.message)
    if not failed:
        return summary
    return replace(summary, status="failed", message="; ".join([summary.message, *failed]))


def _export(config: Config) -> None:
    """Write the gold tables as files where the configuration names a folder."""
    if not config.export.folder:
        return
    from flows.export import export_domain  # noqa: PLC0415 - DuckDB is not needed otherwise
    from flows.reading import Reader  # noqa: PLC0415

    for _ in export_domain(Reader(config, lambda _: None), Path(config.export.folder)):
        pass


def report_unchanged(runtime: Runtime) -> Summary | None:
    """Conclude a run for which nothing is new, from metadata alone; None when something is."""
    config, context = runtime.config, runtime.context(spark=False)
    wanted, pushes = _chosen(config, context)
    if any(has_news(context, ref) for ref in wanted):
        return None
    if any(is_behind(context, push, config.layers) for push in pushes):
        return None
    names = [*wanted, *(push.ref for push in pushes)]
    run = Run(runtime, Silent(), {ref: TableOutcome(ref, "unchanged") for ref in names})
    return conclude(run, wanted, pushes)
