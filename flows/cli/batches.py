"""Commands that settle blocked batches: batch list, reject, accept."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict

import click

from conf.load import load_config
from flows.runtime import Runtime, new_run
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from tasks import bronze, decisions
from tasks.accounting import published_rows
from tasks.bench import Bench, attempts
from tasks.decisions import Decision


@click.group("batch")
def batch_group() -> None:
    """Settle a batch that a gate blocked."""


@batch_group.command("reject")
@click.argument("batch_id")
@click.argument("overrides", nargs=-1)
@click.option("--reason", default="", help="Why; kept with the decision.")
def reject_command(batch_id: str, overrides: tuple[str, ...], reason: str) -> None:
    """Keep a batch out for good: its rows never reach silver, nor count again."""
    _settle(batch_id, overrides, Decision.rejected, reason)


@batch_group.command("accept")
@click.argument("batch_id")
@click.argument("overrides", nargs=-1)
@click.option("--reason", required=True, help="Why; kept with the decision.")
def accept_command(batch_id: str, overrides: tuple[str, ...], reason: str) -> None:
    """Let a batch through its gates once."""
    _settle(batch_id, overrides, Decision.accepted, reason)


@batch_group.command("list")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_command(overrides: tuple[str, ...], *, as_json: bool) -> None:
    """List the decisions that were made."""
    config = load_config(overrides)
    store = Runtime(config, new_run()).metadata_store()
    settled = decisions.settlements(store, config.domain.name).values()
    if as_json:
        click.echo(json.dumps([asdict(made) for made in settled], indent=2, default=str))
        return
    for made in settled:
        when = made.decided_at.isoformat(timespec="seconds")
        click.echo(
            f"{when}  {made.decision:<9} {made.batch_id}  by {made.decided_by}: {made.reason}"
        )


def _settle(batch_id: str, overrides: tuple[str, ...], decision: Decision, reason: str) -> None:
    config = load_config(overrides)
    bench = Runtime(config, new_run()).bench(spark=False)
    table = _table_of(bench, batch_id)
    made = decisions.settle(
        bench.store,
        config.domain.name,
        batch_id=batch_id,
        table_name=table,
        decision=decision,
        reason=reason,
        by=getpass.getuser(),
    )
    click.echo(f"{made.batch_id} ({made.table_name}) {made.decision}")
    published = _published(bench, batch_id) if decision is Decision.rejected else []
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


def _published(bench: Bench, batch_id: str) -> list[str]:
    """The silver tables that have published rows of a delivery."""
    fed = [bench.domain.ref(f"silver.{n}") for n, s in bench.domain.silver.items() if s.source]
    return [ref.label for ref in fed if published_rows(bench.store, ref, batch_id)]


def _table_of(bench: Bench, batch_id: str) -> str:
    """The table a batch id belongs to: `<table>-<hash>`, of a delivery or of a derived table.

    Raises:
        ConfigurationError: No table of the domain has such batches, or no such delivery is known.
    """
    name = batch_id.removesuffix("-" + batch_id.split("-", 1)[-1])
    if name in bench.domain.bronze:
        ref = bench.domain.ref(f"bronze.{name}")
        if batch_id in bronze.batch_ids(bench, ref):
            return ref.label
    settled = decisions.settlements(bench.store, bench.domain.name)
    if batch_id in settled:
        return settled[batch_id].table_name
    for table in bench.domain.tables():
        staged = attempts(bench, table) if table.name == name else ()
        if batch_id in {attempt.notes.get("batch_id") for attempt in staged}:
            return table.label
    if name in {table.name for table in bench.domain.tables()}:
        raise ConfigurationError(
            f"batch {batch_id}: no delivery or attempt of {name} has this id",
            advice="The failed run's message and the summary name the ids.",
        )
    raise ConfigurationError(
        f"batch {batch_id}: no table of domain {bench.domain.name} is called {name!r}",
        advice="The failed run's message and the summary name the ids.",
    )


COMMANDS = (batch_group,)
