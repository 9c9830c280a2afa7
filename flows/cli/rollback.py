"""`lakehouse rollback`: tables back to an earlier state, as new commits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from conf.load import load_config
from conf.schema import Config
from flows.runtime import Runtime, domain_lock, new_run
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from storage.types import Version
from tasks.context import Context
from tasks.manage.planning import selected
from tasks.manage.rollback import Restore, left_behind, plan_run, plan_version, readers, restore
from tasks.ops import report as ops
from tasks.ops.report import TableOutcome
from tasks.ops.tables import ROLLED_BACK


@click.command("rollback")
@click.argument("overrides", nargs=-1)
@click.option("--run", "run_id", help="Undo a run: back to the versions before its first commits.")
@click.option("--to", "version", help="Back to this version; name the table with tables=[...].")
@click.option("--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def rollback_command(
    overrides: tuple[str, ...],
    run_id: str | None,
    version: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take a table, a layer or a whole run back to the state before, as new commits.

    The next run goes on from there: what came afterwards is taken in again, unless its batch was rejected
    or its file is gone. For example: lakehouse rollback --run RUN_ID domain=olist layers=[gold]
    """
    config = load_config(overrides)
    if (run_id is None) == (version is None):
        raise ConfigurationError(
            "say what to go back to: --run RUN_ID or --to VERSION",
            advice=f"Runs: lakehouse status domain={config.domain.name}. "
            f"Versions: lakehouse show LAYER.TABLE domain={config.domain.name}",
        )
    runtime = Runtime(config, new_run())
    with domain_lock(runtime):
        context = runtime.context(spark=False)
        steps = _plan(context, config, run_id, version)
        warnings = left_behind(context, steps)
        done = _restored(runtime, steps, run_id, version) if steps and not dry_run else {}
        follow = readers(context, steps)
    if as_json:
        click.echo(json.dumps(_as_dict(runtime, steps, done, warnings, follow), indent=2))
        return
    _show(config, steps, done, warnings, follow)


def _plan(
    context: Context, config: Config, run_id: str | None, version: str | None
) -> list[Restore]:
    tables = selected(config.domain, config.layers, config.tables)
    if run_id is not None:
        return plan_run(context, tables, run_id)
    if len(tables) != 1:
        raise ConfigurationError(
            f"--to {version}: a version is one table's, and {len(tables)} are chosen",
            advice="Name the table, for example 'tables=[silver.orders]'.",
        )
    return plan_version(context, tables[0], Version(version or ""))


def _restored(
    runtime: Runtime, steps: Sequence[Restore], run_id: str | None, version: str | None
) -> dict[str, str]:
    """Do the steps; the new version of each table."""
    context = runtime.context()
    done: dict[str, str] = {}
    outcomes = []
    for step in steps:
        done[step.table.label] = str(restore(context, step).version)
        outcomes.append(TableOutcome(step.table, ROLLED_BACK, version=done[step.table.label]))
    what = f"before run {run_id}" if run_id else f"version {version}"
    ops.report(
        runtime.metadata_store(), context.domain.name, context.run, outcomes,
        status="done", score=1.0, message=f"{len(steps)} tables rolled back to {what}",
    )  # fmt: skip
    return done


def _show(
    config: Config,
    steps: Sequence[Restore],
    done: dict[str, str],
    warnings: Sequence[str],
    follow: Sequence[str],
) -> None:
    for step in steps:
        state = f"restored as version {done[step.table.label]}" if done else "would be restored"
        click.echo(f"{step.table.label:<34} {step.of} -> {step.to}  {state}")
        click.echo(f"{'':<34} undone: {', '.join(step.undone) or 'nothing'}")
    if not steps:
        click.echo("nothing to roll back: the tables are there already")
        return
    for warning in warnings:
        click.secho(f"note: {warning}", fg="yellow")
    if follow:
        click.echo(f"the next run brings up to date: {', '.join(follow)}")
    if done:
        click.echo(f"go on with: lakehouse run {overrides_of(config, landing=True)}")


def _as_dict(
    runtime: Runtime,
    steps: Sequence[Restore],
    done: dict[str, str],
    warnings: Sequence[str],
    follow: Sequence[str],
) -> dict[str, Any]:
    return {
        "run_id": runtime.run.run_id if done else None,
        "domain": runtime.config.domain.name,
        "format": runtime.config.format.name,
        "tables": [
            {
                "table": step.table.label,
                "from": step.of,
                "to": step.to,
                "version": done.get(step.table.label),
                "undone": list(step.undone),
            }
            for step in steps
        ],
        "warnings": list(warnings),
        "next_run": list(follow),
    }


COMMANDS = (rollback_command,)
