"""Creation of a domain's tables, and their columns when the domain declares others."""

from __future__ import annotations

from typing import TypedDict

from pyspark.sql.types import StructType

from storage.errors import TableExistsError
from storage.evolution import compare
from storage.schemas import named_types, same_columns
from storage.types import TableRef
from tasks import bronze, derived, drift, quarantine, silver, tombstones
from tasks.bench import Bench
from tasks.gate import is_derived
from tasks.spec import DomainSpec


class Layout(TypedDict):
    """What a table is created with, beside its columns."""

    partition_by: tuple[str, ...]
    track_changes: bool


def declared(domain: DomainSpec, ref: TableRef) -> StructType:
    """The columns of a table, those that the platform adds included.

    Raises:
        ValueError: A column has an unknown type.
    """
    if ref.layer == "bronze":
        return bronze.bronze_schema(domain.bronze[ref.name])
    if ref.layer == "gold" or domain.silver[ref.name].is_derived:
        return derived.derived_schema(domain, ref)
    return silver.silver_schema(domain.silver[ref.name])


def create(bench: Bench, ref: TableRef) -> None:
    """Create a table, and those beside a silver table, where they do not exist.

    Bronze and quarantine keep what came, so columns that the domain newly declares are added to them.
    Any other table with other columns than declared is left to the publication of a rebuild.

    Raises:
        TableExistsError: A table exists with other columns than the domain declares.
    """
    if ref.layer == "bronze":
        _bronze(bench, ref)
    elif is_derived(bench, ref):
        _made(bench, ref, declared(bench.domain, ref))
    else:
        spec = bench.domain.silver[ref.name]
        feed = bench.domain.ref(spec.source or "")
        if bench.store.exists(feed):
            _bronze(bench, feed)  # a rebuild of silver alone reads columns that are newly declared
        _made(bench, ref, declared(bench.domain, ref))
        beside = quarantine.quarantine_schema(bench.domain.bronze[feed.name])
        _growing(bench, quarantine.table(ref), beside)
        if tombstones.kept_for(spec):
            _made(bench, tombstones.table(ref), tombstones.tombstone_schema(spec))


def layout(ref: TableRef) -> Layout:
    """How a table of a layer is laid out at its creation."""
    bronze = ref.layer == "bronze"
    return {"partition_by": ("_ingestion_date",) if bronze else (), "track_changes": bronze}


def _bronze(bench: Bench, ref: TableRef) -> None:
    wanted = bronze.bronze_schema(bench.domain.bronze[ref.name])
    _growing(bench, ref, wanted)


def _growing(bench: Bench, ref: TableRef, wanted: StructType) -> None:
    """A table that gets the columns it lacks, and loses none."""
    store = bench.store
    if not store.exists(ref):
        store.create(ref, wanted, **layout(ref))
        return
    found = store.columns(ref)
    lacking = drift.additions(found, [(f.name, f.dataType.simpleString()) for f in wanted.fields])
    have, want = named_types(found), named_types(wanted)
    changed = [f"{n} is {have[n]}, wanted {t}" for n, t in want.items() if have.get(n, t) != t]
    if changed:
        raise _differs(bench, ref, changed)
    if lacking:
        drift.note_declared(bench, ref, lacking)
        store.evolve(ref, lacking)


def _made(bench: Bench, ref: TableRef, wanted: StructType) -> None:
    """A table that has exactly the columns declared, unless this run replaces it."""
    store = bench.store
    if store.exists(ref) and not same_columns(store.columns(ref), wanted):
        if bench.run.rebuild:
            return
        found = store.columns(ref)
        if store.head(ref).record is not None or store.stats(ref).rows:
            difference = compare(found, wanted)
            raise _differs(bench, ref, [*map(str, difference.changes), *difference.breaking])
        store.drop(ref)  # nothing was ever published in it
    store.create(ref, wanted)


def _differs(bench: Bench, ref: TableRef, difference: list[str]) -> TableExistsError:
    return TableExistsError(
        f"{ref.label} has other columns than the domain declares: {'; '.join(difference)}",
        advice=f"Rebuild it from bronze: lakehouse upgrade domain={bench.domain.name}",
    )
