"""What a run would do, found from metadata alone: no Spark, no scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.errors import InputError
from storage.types import TableRef
from tasks import bronze, ledger, quarantine, releases
from tasks.bench import Bench, moved, position
from tasks.spec import EVENTS, DomainSpec, dependencies


def selected(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[TableRef]:
    """The tables of a run, each after those it reads."""
    return [
        ref
        for ref in domain.tables()
        if (not layers or ref.layer in layers)
        and (not tables or ref.label.removesuffix(EVENTS) in tables or ref.label in tables)
    ]


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
