"""Creation of a domain's tables."""

from __future__ import annotations

from storage.types import TableRef
from tasks import bronze, derived, quarantine, silver, tombstones
from tasks.bench import Bench
from tasks.gate import is_derived


def create(bench: Bench, ref: TableRef) -> None:
    """Create a table, and the quarantine of a silver table, where they do not exist.

    Raises:
        TableExistsError: A table exists with other columns than the domain declares.
    """
    store = bench.store
    if ref.layer == "bronze":
        wanted = bronze.bronze_schema(bench.domain.bronze[ref.name])
        store.create(ref, wanted, partition_by=["_ingestion_date"], track_changes=True)
    elif is_derived(bench, ref):
        store.create(ref, derived.derived_schema(bench, ref))
    else:
        spec = bench.domain.silver[ref.name]
        source = bench.domain.bronze[bench.domain.ref(spec.source or "").name]
        store.create(ref, silver.silver_schema(spec))
        store.create(quarantine.table(ref), quarantine.quarantine_schema(source))
        if tombstones.kept_for(spec):
            store.create(tombstones.table(ref), tombstones.tombstone_schema(spec))
