"""Commands that resolve blocked batches: batch list, reject, accept."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict

import click

from conf.load import load_config
from flows.runtime import Runtime, new_run
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from tasks.context import Context, attempts
from tasks.ingest import bronze
from tasks.records import decisions
from tasks.records.accounting import published_rows
from tasks.records.decisions import Decision


@click.group("batch")
def batch_group() -> None:
    """Accept or reject a batch that a gate blocked."""


@batch_group.command("reject")
@click.argument("batch_id")
@click.argument("overrides", nargs=-1)
@click.option("--reason", default="", help="Why; kept with the decision.")
def reject_command(batch_id: str, overrides: tuple[str, ...], reason: str) -> None:
    """Keep a batch out for good: its rows never reach silver."""
    _resolve(batch_id, overrides, Decision.rejected, reason)


@batch_group.command("accept")
@click.argument("batch_id")
@click.argument("overrides", nargs=-1)
@click.option("--reason", required=True, help="Why; kept with the decision.")
def accept_command(batch_id: str, overrides: tuple[str, ...], reason: str) -> None:
    """Let a batch through its gates once."""
    _resolve(batch_id, overrides, Decision.accepted, reason)


@batch_group.command("list")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_command(overrides: tuple[str, ...], *, as_json: bool) -> None:
    """List the decisions that were made."""
    config = load_config(overrides)
    store = Runtime(config, new_run()).metadata_store()
    resolved = decisions.resolutions(store, config.domain.name).values()
    if as_json:
        click.echo(json.dumps([asdict(made) for made in resolved], indent=2, default=str))
        return
    for made in resolved:
        when = made.decided_at.isoformat(timespec="seconds")
        click.echo(
            f"{when}  {made.decision:<9} {made.batch_id}  by {made.decided_by}: {made.reason}"
        )


def _resolve(batch_id: str, overrides: tuple[str, ...], decision: Decision, reason: str) -> None:
    config = load_config(overrides)
    context = Runtime(config, new_run()).context(spark=False)
    table = _table_of(context, batch_id)
    made = decisions.resolve(
        context.store,
        config.domain.name,
        batch_id=batch_id,
        table_name=table,
        decision=decision,
        reason=reason,
        by=getpass.getuser(),
    )
    click.echo(f"{made.batch_id} ({made.table_name}) {made.decision}")
    published = _published(context, batch_id) if decision is Decision.rejected else []
    where = overrides_of(config, landing=True)
    if not published:
        click.echo(f"go on with: lakehouse run {where}")
        return
    named = ",".join(published)
    click.echo(
        f"it was published in {named} before; what is left of it there leaves with one of:\n"
        f"  lakehouse backfill {where} tables=[{named}] start=DATE end=DATE\n"
        f"  lakehouse rebuild {where}"
    )


def _published(context: Context, batch_id: str) -> list[str]:
    """The silver tables that have published rows of a delivery."""
    fed = [context.domain.ref(f"silver.{n}") for n, s in context.domain.silver.items() if s.source]
    return [ref.label for ref in fed if published_rows(context.store, ref, batch_id)]


def _table_of(context: Context, batch_id: str) -> str:
    """The table a batch id belongs to: `<table>-<hash>`, of a delivery or of a derived table.

    Raises:
        ConfigurationError: No table of the domain has such batches, or no such delivery is known.
    """
    name = batch_id.removesuffix("-" + batch_id.split("-", 1)[-1])
    if name in context.domain.bronze:
        ref = context.domain.ref(f"bronze.{name}")
        if batch_id in bronze.batch_ids(context, ref):
            return ref.label
    resolved = decisions.resolutions(context.store, context.domain.name)
    if batch_id in resolved:
        return resolved[batch_id].table_name
    for table in context.domain.tables():
        staged = attempts(context, table) if table.name == name else ()
        if batch_id in {
            attempt.notes.itself.batch_id for attempt in staged if attempt.notes.itself
        }:
            return table.label
    if name in {table.name for table in context.domain.tables()}:
        raise ConfigurationError(
            f"batch {batch_id}: no delivery or attempt of {name} has this id",
            advice="The failed run's message and the summary name the ids.",
        )
    raise ConfigurationError(
        f"batch {batch_id}: no table of domain {context.domain.name} is called {name!r}",
        advice="The failed run's message and the summary name the ids.",
    )


COMMANDS = (batch_group,)
