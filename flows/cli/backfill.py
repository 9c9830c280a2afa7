"""The command that restates partitions of tables: backfill."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from conf.load import load_config
from conf.schema import Config
from flows.cli.run import (
    STATUS,
    as_dict,
    make_folder,
    result_of,
    warm_progress,
)
from flows.typed import overrides_of
from storage.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.backfill import Result
    from tasks.manage.backfill import Request
    from tasks.records.backfill_ledger import Backfill, Ledger

UNITS = ("day", "week", "month")
OWN = ("tables", "start", "end")
PARAMETERS = ("domain", "env", "format")


@dataclass(frozen=True)
class Given:
    """What was typed.

    Attributes:
        overrides: Configuration overrides.
        tables: Tables as written.
    """

    overrides: tuple[str, ...]
    tables: tuple[str, ...]
    start: dt.date | None
    end: dt.date | None


@click.command("backfill")
@click.argument("overrides", nargs=-1)
@click.option("--unit", type=click.Choice(UNITS), default="month", show_default=True,
              help="Length of a partition; weeks begin on Monday.")  # fmt: skip
@click.option("--from", "source", type=click.Choice(["bronze", "source"]), default="bronze",
              show_default=True,
              help="From bronze as it is, or take new files into bronze first.")  # fmt: skip
@click.option("--parallelism", type=click.IntRange(min=1), default=2, show_default=True,
              help="Partitions staged at once.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only show the partitions and their state.")
@click.option("--again", is_flag=True, help="Restate partitions that are done, too.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def backfill_command(
    overrides: tuple[str, ...],
    *,
    unit: str,
    source: str,
    parallelism: int,
    dry_run: bool,
    again: bool,
    as_json: bool,
) -> int:
    """Restate partitions of tables from bronze, and bring what reads them up to date.

    \b
    For example: lakehouse backfill domain=olist tables=[orders] start=2018-03-01 end=2018-04-01
    What was begun: lakehouse backfill status domain=olist

    The end is not included. The same command goes on where it stopped: only what failed or is missing
    runs. Without start and end whole tables are restated. For everything from bronze in one go there is
    lakehouse rebuild.
    """  # noqa: D301 - click's mark for lines to keep
    if overrides[:1] == ("status",):
        return _status(overrides[1:], as_json=as_json)
    from tasks.manage.backfill import Request  # noqa: PLC0415
    from tasks.rows.partitions import Unit  # noqa: PLC0415

    given = parse(overrides)
    config = load_config(given.overrides)
    request = Request(given.tables, given.start, given.end, Unit(unit), source, again)
    if dry_run:
        return _dry_run(config, request, as_json=as_json)
    make_folder(Path(config.paths.lake))
    result = _run(config, given, request, parallelism=parallelism, quiet=as_json)
    if as_json:
        shown = as_dict(result.summary) | grid(result.backfill, result.ledger)
        click.echo(json.dumps(shown, indent=2))
    else:
        from flows.cli.console import print_grid, print_summary  # noqa: PLC0415

        print_grid(result.backfill, result.ledger)
        print_summary(result.summary, overrides_of(config))
    return STATUS[result.summary.status]


def parse(overrides: Sequence[str]) -> Given:
    """Tables and dates apart from the configuration.

    Raises:
        ConfigurationError: A date is none, or the range is empty.
    """
    own = {key: value for key, _, value in (o.partition("=") for o in overrides) if key in OWN}
    start, end = (_date(key, own[key]) if key in own else None for key in ("start", "end"))
    if (start is None) != (end is None):
        raise ConfigurationError(
            "give both start and end", advice="Write start=2018-03-01 end=2018-04-01."
        )
    if start is not None and end is not None and start >= end:
        raise ConfigurationError(
            f"start={start} end={end}: the range holds no day, the end is not included",
            advice="Give an end after the start.",
        )
    rest = tuple(o for o in overrides if o.partition("=")[0] not in OWN)
    names = own.get("tables", "").strip("[]").split(",")
    return Given(rest, tuple(n.strip(" '\"") for n in names if n.strip()), start, end)


def _date(key: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip("'\""))
    except ValueError:
        raise ConfigurationError(
            f"{key}={text} is not a date", advice=f"Write it as {key}=2018-03-01."
        ) from None


def grid(backfill: Backfill, ledger: Ledger) -> dict[str, Any]:
    """The ledger for machines."""
    return {
        "backfill": backfill.id,
        "partitions": [
            {
                "table": table.label,
                "partition": partition.label,
                "start": str(partition.start or ""),
                "end": str(partition.end or ""),
                "state": entry.state.value,
                "version": entry.version,
                "run_id": entry.run_id,
                "message": entry.message,
            }
            for (table, partition), entry in ledger.items()
        ],
    }


def _dry_run(config: Config, request: Request, *, as_json: bool) -> int:
    from flows.runtime import Runtime, new_run  # noqa: PLC0415
    from tasks.manage.backfill import planned  # noqa: PLC0415
    from tasks.records.backfill_ledger import ledger  # noqa: PLC0415

    context = Runtime(config, new_run()).context(spark=False)
    backfill = planned(context, request)
    found = ledger(context.store, backfill)
    if as_json:
        click.echo(json.dumps(grid(backfill, found), indent=2))
        return 0
    from flows.cli.console import print_grid  # noqa: PLC0415

    print_grid(backfill, found)
    return 0


def _status(overrides: Sequence[str], *, as_json: bool) -> int:
    from flows.runtime import Runtime, new_run  # noqa: PLC0415
    from tasks.records.backfill_ledger import known  # noqa: PLC0415

    given = parse(overrides)
    config = load_config(given.overrides)
    domain = config.domain
    rows = known(Runtime(config, new_run()).metadata_store(), domain.name, domain.tables())
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return 0
    from flows.cli.console import print_backfills  # noqa: PLC0415

    print_backfills(rows)
    return 0


def _run(
    config: Config, given: Given, request: Request, *, parallelism: int, quiet: bool
) -> Result:
    """Call the flow in this process."""
    from flows.warmup import keep_records, start_own_server  # noqa: PLC0415

    keep_records(config)
    from flows.backfill import (  # noqa: PLC0415 - Prefect reads its settings
        backfill,
    )
    from flows.pipeline import CALLER, Caller  # noqa: PLC0415

    with warm_progress(config, quiet=quiet, beside=start_own_server) as progress:
        token = CALLER.set(Caller(config, progress))
        try:
            state = backfill(
                domain=config.domain.name,
                env=config.env.name,
                format=config.format.name,
                tables=list(request.tables),
                start=request.start,
                end=request.end,
                unit=request.unit.value,
                source=request.source,
                parallelism=parallelism,
                again=request.again,
                overrides=[o for o in given.overrides if o.split("=", 1)[0] not in PARAMETERS],
                return_state=True,
            )
        finally:
            CALLER.reset(token)
    return cast("Result", result_of(state))


COMMANDS = (backfill_command,)
