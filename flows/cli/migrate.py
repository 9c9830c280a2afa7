"""`lakehouse migrate`: a table moves to another format, and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain

import click

from conf.load import load_config
from flows.runtime import Runtime, domain_lock, new_run
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from storage.formats import formats_for
from storage.lake_store import LakeStore
from storage.types import TableRef
from tasks.domain.spec import DomainSpec
from tasks.manage import migrate
from tasks.manage.migrate import Moved
from tasks.manage.rollback import companions


@click.command("migrate")
@click.argument("table")
@click.argument("overrides", nargs=-1)
@click.option(
    "--to", "target", type=click.Choice(formats_for()), help="Move the table to this format."
)
@click.option("--undo", is_flag=True, help="Move it back to where it was before.")
@click.option("--finish", is_flag=True, help="Remove the copy that --undo would go back to.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def migrate_command(
    table: str,
    overrides: tuple[str, ...],
    *,
    target: str | None,
    undo: bool,
    finish: bool,
    as_json: bool,
) -> None:
    """Move a table, with every version and its record, to another format.

    Each version is compared before the table moves in one step; what reads it goes on where it was.
    Interrupted at any moment, the same command goes on. TABLE is written layer.table.
    For example: lakehouse migrate silver.orders --to iceberg
    """
    config = load_config(overrides)
    if [target is not None, undo, finish].count(True) != 1:
        raise ConfigurationError("say one of --to FORMAT, --undo and --finish")
    runtime = Runtime(config, new_run())
    with domain_lock(runtime):
        context, store = runtime.context(spark=False), runtime.store()
        ref = _table(store, config.domain, table)
        if target is not None:
            moved = migrate.migrate(context, store, ref, target)
        elif undo:
            moved = migrate.undo(context, store, ref)
        else:
            moved = migrate.finish(context, store, ref)
    if as_json:
        click.echo(json.dumps(asdict(moved) | {"table": ref.label}, indent=2))
        return
    click.echo(_told(moved, finished=finish))
    if not finish and moved.before != moved.format:
        click.echo(f"go on with: lakehouse run {overrides_of(config, landing=True)}")


def _table(store: LakeStore, domain: DomainSpec, label: str) -> TableRef:
    """The table of a label: one that the domain declares, or one that is written together with it."""
    declared = domain.tables()
    known = [*declared, *chain.from_iterable(companions(store, domain, ref) for ref in declared)]
    for ref in known:
        if ref.label == label:
            return ref
    raise ConfigurationError(
        f"{label!r} is not a table of the domain {domain.name}",
        advice=f"Tables: {', '.join(ref.label for ref in known)}",
    )


def _told(moved: Moved, *, finished: bool) -> str:
    label, rows = moved.table.label, f"{moved.rows:,} rows"
    if finished:
        return f"{label} is in {moved.format}, {rows}; there is no other copy of it"
    if moved.before == moved.format:
        return f"{label} is in {moved.format}, {rows}: nothing to move"
    return (
        f"{label} is now in {moved.format}: {rows}, {moved.commits} commits copied and compared; "
        f"its copy in {moved.before} stays until --finish"
    )


COMMANDS = (migrate_command,)
