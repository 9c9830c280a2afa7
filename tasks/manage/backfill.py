"""What a backfill works on: its tables by partitions, each staged again from what the table has consumed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from storage.errors import ConfigurationError
from storage.types import TableRef
from tasks.context import Attempt, Context, fingerprint
from tasks.domain.spec import EVENTS, DomainSpec, dependencies
from tasks.manage.planning import selected
from tasks.notes import BackfillPart
from tasks.records import decisions
from tasks.records.backfill_ledger import Backfill, newest
from tasks.records.contracts import contract_of
from tasks.rows.partitions import WHOLE, Partition, Unit, split
from tasks.run_table import kind_of


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        tables: Tables as written, `orders` or `layer.table`; empty for every silver table.
        start: First day, or None for whole tables.
        end: First day that is not included.
        unit: Length of a partition.
        source: `bronze`, or `source` to take in what is new in the landing folder first.
        again: Restate partitions that are done.
    """

    tables: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    unit: Unit = Unit.month
    source: str = "bronze"
    again: bool = False


def planned(context: Context, request: Request) -> Backfill:
    """Find the tables, the partitions and the id of a request.

    Raises:
        ConfigurationError: A table is unknown or has no partitions, or the range is empty.
    """
    domain = context.domain
    if (request.start is None) != (request.end is None):
        raise ConfigurationError("give both start and end, or neither for whole tables")
    dated = request.start is not None
    tables = _tables(domain, request.tables, dated=dated)
    partitions = _partitions(request)
    asked = [str(request.start), str(request.end), request.unit.value if dated else WHOLE]
    contracts = {t.label: contract_of(context, t) for t in tables}
    rejected = decisions.rejected(context.store, domain.name)
    base = fingerprint(domain.name, asked, request.source, contracts, rejected)[:10]
    number = newest(context.store, tables, base)
    number += 1 if request.again or not number else 0
    return Backfill(f"{base}-{number}", domain.name, tables, partitions)


def _partitions(request: Request) -> tuple[Partition, ...]:
    if request.start is None or request.end is None:
        return (Partition(),)
    try:
        return tuple(split(request.start, request.end, request.unit))
    except ValueError as error:
        raise ConfigurationError(
            str(error),
            advice="Write start=DATE end=LATER-DATE, and a longer unit for a long range.",
        ) from None


def _tables(domain: DomainSpec, names: Sequence[str], *, dated: bool) -> tuple[TableRef, ...]:
    known = domain.computed()
    if names:
        labels = {name if "." in name else f"silver.{name}" for name in names}
        labels |= {f"{label}{EVENTS}" for label in labels}
        wanted = [t for t in known if t.label in labels]
        _refuse_unknown(labels, known)
    else:
        silver = selected(domain, ("silver",), ())
        wanted = [t for t in silver if not (dated and kind_of(domain, t).undivided(domain))]
    for table in wanted if dated else ():
        reason = kind_of(domain, table).undivided(domain)
        if reason:
            raise ConfigurationError(
                f"{table.label} has no partitions: {reason}",
                advice="Leave start and end out to restate it whole, or name other tables.",
            )
    if not wanted:
        raise ConfigurationError(f"no table of {domain.name} declares partition")
    return tuple(wanted)


def _refuse_unknown(labels: Iterable[str], known: Sequence[TableRef]) -> None:
    found = {t.label for t in known}
    for label in sorted(labels):
        if label.startswith("bronze."):
            raise ConfigurationError(
                f"tables: {label} is append-only and never restated",
                advice="Take a file in again: lakehouse ingest --again FILE",
            )
        if label not in found and not label.endswith(EVENTS):
            raise ConfigurationError(
                f"tables: {label!r} is none of {', '.join(sorted(found))}",
                advice="Write a silver table's name, or layer.table.",
            )


def downstream(domain: DomainSpec, tables: Iterable[TableRef]) -> list[TableRef]:
    """The tables that read these, directly or through others, each after those it reads."""
    graph = dependencies(domain)
    reached = {t.label for t in tables}
    found = []
    for table in domain.tables():
        if reached & set(graph[table.label]):
            reached.add(table.label)
            found.append(table)
    return found


def upstream(domain: DomainSpec, tables: Iterable[TableRef]) -> list[TableRef]:
    """These tables and all that they read, directly or through others, each after those it reads."""
    graph = dependencies(domain)
    reached = {t.label for t in tables}
    for table in reversed(domain.tables()):
        if table.label in reached:
            reached |= set(graph[table.label])
    return [t for t in domain.tables() if t.label in reached]


def prepare(context: Context, table: TableRef) -> None:
    """Complete what a killed process left between two commits, before parts are staged side by side."""
    kind_of(context.domain, table).prepare_restaging(context)


def stage(context: Context, table: TableRef, part: BackfillPart) -> Attempt:
    """Stage one partition of one table; a whole table as a rebuild does."""
    kind = kind_of(context.domain, table)
    if part.partition.unit != WHOLE:
        return kind.restage(context, part)
    attempt = kind.stage(replace(context, run=replace(context.run, rebuild=True)))
    if attempt is None:
        raise ConfigurationError(
            f"{table.label}: there is nothing to make it of",
            advice=f"Load it first: lakehouse run domain={context.domain.name}",
        )
    return replace(attempt, notes=replace(attempt.notes, backfill=part))
