"""What a run would do, found from metadata alone: no Spark, no scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.errors import InputError
from storage.types import TableRef
from tasks import bronze, ledger, quarantine, releases
from tasks.bench import Bench, moved, position
from tasks.spec import DESTINATION, EVENTS, DomainSpec, Push, dependencies


def selected(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[TableRef]:
    """The tables of a run, each after those it reads."""
    return [
        ref
        for ref in domain.tables()
        if (not layers or ref.layer in layers)
        and (not tables or ref.label.removesuffix(EVENTS) in tables or ref.label in tables)
    ]


def selected_pushes(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[Push]:
    """The pushes of a run: those of the chosen gold tables, where the layer `destination` is chosen."""
    return [
        push
        for push in domain.pushes()
        if (not layers or DESTINATION in layers) and (not tables or push.table.label in tables)
    ]


def is_behind(bench: Bench, push: Push, layers: Sequence[str]) -> bool:
    """Whether a push has to look at its destination.

    It has not where the gold table is as it was when it was pushed, unless the layer is asked for by name.
    """
    if bench.run.rebuild or DESTINATION in layers:
        return True
    from tasks.destinations import receipts  # noqa: PLC0415 - few domains have a destination

    return receipts.pending(bench, push)


def has_news(bench: Bench, ref: TableRef) -> bool:
    """Whether the table has anything to take in, with its inputs as they are now."""
    if not bench.store.exists(ref):
        return True
    if ref.layer == "bronze":
        return _bronze_news(bench, ref)
    if bench.run.rebuild or _interrupted(bench, ref):
        return True
    before = position(bench, ref)
    return _asked(bench, ref, before) or any(
        not bench.store.exists(bench.domain.ref(label))
        or moved(bench, bench.domain.ref(label), before.get(label))
        for label in dependencies(bench.domain)[ref.label]
    )


def _bronze_news(bench: Bench, ref: TableRef) -> bool:
    if not ledger.complete(bench.store, ref):
        return True  # the ledger is rebuilt from rows, which needs Spark
    try:
        news = bronze.news(bench, ref)
    except InputError:
        return True  # the table's own step says so, and the others go on
    required = bench.domain.bronze[ref.name].required
    return news or (required and bronze.never_delivered(bench, ref))


def _interrupted(bench: Bench, ref: TableRef) -> bool:
    if ref.layer != "silver" or bench.domain.silver[ref.name].is_derived:
        return False
    return not bench.store.exists(quarantine.table(ref)) or quarantine.unsettled(bench, ref)


def _asked(bench: Bench, ref: TableRef, before: Mapping[str, str]) -> bool:
    """Whether a person asks for rows of the table's quarantine."""
    if ref.layer != "silver" or bench.domain.silver[ref.name].is_derived:
        return False
    return bool(releases.asked(bench.store, ref, before.get(releases.LABEL)))
