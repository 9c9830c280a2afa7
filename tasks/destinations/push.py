"""The push of a gold table into a destination: staged, then merged in one transaction with its position."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, Table

from storage.errors import ConfigurationError
from storage.parquet_reading import parquet_dataset
from storage.schemas import named_types
from tasks.context import Context
from tasks.destinations import positions, receipts, staging, targets
from tasks.destinations.difference import Difference, between, position_of
from tasks.destinations.engines import engine_of, transaction
from tasks.destinations.positions import Position
from tasks.domain.schemas import business_columns, key_of
from tasks.domain.spec import DomainSpec, Push

ROOT = "_push"


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        version: The gold table's version that the destination has now; empty where it was never published.
        staged: Rows sent.
        written: Rows inserted or updated.
        removed: Rows deleted.
        whole: Whether every row was sent and compared.
    """

    version: str = ""
    staged: int = 0
    written: int = 0
    removed: int = 0
    whole: bool = False

    @property
    def changed(self) -> bool:
        """Whether a row of the destination changed."""
        return bool(self.written or self.removed)


def push(context: Context, wanted: Push, with_spark: Callable[[], Context]) -> Pushed:
    """Bring a destination's table to the gold table's current version.

    A run that rebuilds sends and compares every row. Killed at any moment and repeated, it ends the same:
    the rows and the position are one transaction.

    Args:
        context: For what metadata tells; it needs no Spark.
        wanted: The table and its destination.
        with_spark: Makes the context that rows are read with, where there is anything to send.

    Raises:
        DestinationUnavailableError: The destination does not answer, or another push was first.
        DestinationError: The destination refuses the connection, the table or the rows.
        ConfigurationError: A secret is not set, or the driver is not installed.
    """
    after = position_of(context, wanted.table)
    if after is None:
        return Pushed()
    _refuse_outdated(context, wanted)
    engine = engine_of(wanted.destination, context.domain.destinations[wanted.destination])
    target = target_of(context.domain, wanted)
    with transaction(wanted.destination, engine) as connection:
        before = positions.read(connection, target, after.source)
        lost = before is not None and not targets.exists(connection, target)
    if before == after and not context.run.rebuild and not lost:
        receipts.write(context, wanted, after)
        return Pushed(after.version)
    whole, context = context.run.rebuild or lost, with_spark()
    difference = between(context, wanted.table, None if whole else before, after)
    pushed = _merged(context, wanted, engine, target, before, after, difference)
    receipts.write(context, wanted, after)
    return pushed


def _refuse_outdated(context: Context, wanted: Push) -> None:
    found = named_types(context.store.columns(wanted.table))
    declared = dict(business_columns(context.domain, wanted.table))
    if any(found.get(name) != kind for name, kind in declared.items()):
        raise ConfigurationError(
            f"{wanted.table.label} has other columns than the domain declares",
            advice=f"Rebuild it from bronze: lakehouse upgrade domain={context.domain.name}",
        )


def target_of(domain: DomainSpec, wanted: Push, *, null_keys: bool = False) -> Table:
    """The destination's table as it should be, where keys hold nulls or none does."""
    schema = domain.destinations[wanted.destination].schema or None
    columns, key = dict(business_columns(domain, wanted.table)), key_of(domain, wanted.table)
    return targets.target_table(wanted.table.name, schema, columns, key, null_keys=null_keys)


def _merged(
    context: Context, wanted: Push, engine: Engine, target: Table, before: Position | None,
    after: Position, difference: Difference,
) -> Pushed:  # fmt: skip
    """Stage the difference, then merge it and move the position in one transaction."""
    folder, rows = _folder(context, wanted), difference.rows
    key = staging.Key(key_of(context.domain, wanted.table))
    try:
        if rows is not None:
            rows.write.mode("overwrite").parquet(str(folder))
            key = staging.Key.of(key.columns, folder)
            target = target_of(context.domain, wanted, null_keys=bool(key.nulls))
        with transaction(wanted.destination, engine) as connection:
            positions.prepare(connection, target.schema)
            stage = staging.stage_table(connection, target)
            if rows is not None:
                columns = dict(business_columns(context.domain, wanted.table))
                targets.ensure(connection, target, columns, key.columns)
                declared = context.domain.gold[wanted.table.name].columns
                personal = {name for name, column in declared.items() if column.personal}
                place = f"destination {wanted.destination}: {wanted.table.label}"
                staging.load(
                    connection, stage, folder, place=place, key=key.columns, personal=personal
                )
            # What defines tables is above: some databases commit that at once. From here on it is one commit.
            positions.take(connection, target, before, after, context.run.run_id)
            if rows is None:
                return Pushed(after.version)
            removed = staging.remove(connection, target, stage, key, whole=difference.whole)
            written = staging.merge(connection, target, stage, key)
        staged = parquet_dataset(folder).count_rows()
        return Pushed(after.version, staged, written, removed, difference.whole)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(context: Context, wanted: Push) -> Path:
    """Of this run alone: another may push the same table at once."""
    name = f"{context.run.run_id}.{wanted.destination}.{wanted.table.name}"
    return context.staging / ROOT / context.domain.name / name


def sweep(context: Context) -> None:
    """Remove what killed pushes of the domain have staged; the caller holds the lock of its runs."""
    for folder in (context.staging / ROOT / context.domain.name).glob("*"):
        if not folder.name.startswith(f"{context.run.run_id}."):
            shutil.rmtree(folder, ignore_errors=True)
