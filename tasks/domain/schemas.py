"""The tables of a domain: their columns, what identifies a row, and the tables that stand beside them."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql.types import StructType

from storage.schemas import schema
from storage.types import TableRef
from tasks.domain.spec import (
    EVENTS,
    ColumnSpec,
    DomainSpec,
    GoldSpec,
    SilverSpec,
    SourceSpec,
)

DECISIONS = "batch_decisions"
"""The bronze table of what persons decided about batches."""
RELEASES = "quarantine_releases"
"""The bronze table of requests to let rows out of quarantine."""
DELETED = "_is_deleted"
EVENT_ID = "_event_id"
WINDOW = "_window"
BRONZE_METADATA = (
    ("_ingested_at", "timestamp"),
    ("_ingestion_date", "date"),
    ("_source", "string"),
    ("_source_file", "string"),
    ("_batch_id", "string"),
    ("_record_hash", "string"),
    ("_quality_flag", "string"),
    ("_rescued", "string"),
    ("_file_hash", "string"),
    ("_delivery", "int"),
    ("_record_number", "bigint"),
    ("_sequence", "bigint"),
)
MALFORMED = "_malformed"
"""Key inside `_rescued` that holds what is not a record of its source: `says` (why), or the fields of a CSV
record with too few or too many of them."""
UNREADABLE = "_unreadable"
"""Key inside `_rescued` that holds values which no text can hold, by column: their bytes as base64, because
they are not UTF-8."""
SILVER_METADATA = (
    ("_sequence", "bigint"),
    ("_batch_id", "string"),
    ("_merge_id", "string"),
    ("_updated_at", "timestamp"),
)
"""`_merge_id` is the token of the merge that last wrote the row: it leads to the commit and its record."""
QUARANTINE_METADATA = (("_rule", "string"), ("_reason", "string"), ("_quarantined_at", "timestamp"))
DERIVED_METADATA = (("_batch_id", "string"), ("_merge_id", "string"), ("_updated_at", "timestamp"))
SPAN = (("valid_from", "timestamp"), ("valid_to", "timestamp"), ("is_current", "boolean"))
"""Columns of a history."""
MARK = ((DELETED, "boolean"), ("_deleted_at", "timestamp"))
"""Columns of a table that keeps its deleted rows."""


def declared(domain: DomainSpec, ref: TableRef) -> StructType:
    """The columns of a table, those that the platform adds included.

    Raises:
        ValueError: A column has an unknown type.
    """
    spec = domain.spec(ref)
    if isinstance(spec, SourceSpec):
        return bronze_schema(spec)
    if isinstance(spec, GoldSpec) or spec.is_derived:
        return derived_schema(domain, ref)
    return silver_schema(spec)


def bronze_schema(source: SourceSpec) -> StructType:
    """Columns of the bronze table: the source's as text, then the metadata."""
    return schema([*((c, "string") for c in source.columns), *BRONZE_METADATA])


def silver_schema(spec: SilverSpec) -> StructType:
    """Declared columns, then the metadata."""
    return schema([*types_of(spec.columns), *silver_metadata(spec)])


def silver_metadata(spec: SilverSpec) -> list[tuple[str, str]]:
    """Names and types of the columns that the platform adds to a table."""
    added = [(DELETED, "boolean")] if spec.marks_deleted else []
    if spec.hides_deleted:
        added.append(("_deleted_at", "timestamp"))
    if spec.keeps_events:
        added.append((EVENT_ID, "string"))
    if spec.window is not None:
        added.append((WINDOW, "date"))
    return [*added, *SILVER_METADATA]


def merge_key(spec: SilverSpec) -> list[str]:
    """Columns by which rows are merged."""
    if spec.keeps_events:
        return [EVENT_ID]
    return [*spec.key, WINDOW] if spec.window is not None else list(spec.key)


def spec_of(domain: DomainSpec, ref: TableRef) -> GoldSpec | SilverSpec:
    """What the domain declares of a table that is computed from others."""
    return domain.gold[ref.name] if ref.layer == "gold" else domain.silver[ref.name]


def for_consumers(ref: TableRef) -> bool:
    """Whether people and tools outside get a table by its own columns, in the order of its key."""
    return ref.layer == "gold"


def business_columns(domain: DomainSpec, ref: TableRef) -> list[tuple[str, str]]:
    """Names and types of the table's own columns, in order."""
    spec = spec_of(domain, ref)
    if isinstance(spec, GoldSpec) or spec.sql:
        return types_of(spec.columns)
    if spec.is_history:
        return [*types_of(spec.columns), *SPAN]
    return [*types_of(spec.columns), *(MARK if spec.marks_deleted else ())]


def derived_schema(domain: DomainSpec, ref: TableRef) -> StructType:
    """The table's own columns, then the metadata."""
    return schema([*business_columns(domain, ref), *DERIVED_METADATA])


def key_of(domain: DomainSpec, ref: TableRef) -> list[str]:
    """The merge key: the grain of a gold table, natural key and span start of a history."""
    spec = spec_of(domain, ref)
    history = isinstance(spec, SilverSpec) and spec.is_history
    return [*spec.key, "valid_from"] if history else list(spec.key)


def group_of(domain: DomainSpec, ref: TableRef) -> list[str]:
    """Columns that identify what is computed at once: a group, a key with all its spans."""
    spec = spec_of(domain, ref)
    return list(spec.group_by or spec.key)


def has_groups_in_key(domain: DomainSpec, ref: TableRef) -> bool:
    """Whether a row's key tells its group, so that the key can be in no other group."""
    return set(group_of(domain, ref)) <= set(key_of(domain, ref))


def quarantine_of(ref: TableRef) -> TableRef:
    """The quarantine of a silver table: `<table>__quarantine` beside it, also of rows kept as its events."""
    return TableRef(ref.domain, ref.layer, f"{ref.name.removesuffix(EVENTS)}__quarantine")


def quarantine_schema(source: SourceSpec) -> StructType:
    """The bronze columns, then rule, reason and instant."""
    bronze = [(f.name, f.dataType.simpleString()) for f in bronze_schema(source).fields]
    return schema([*bronze, *QUARANTINE_METADATA])


def released_of(ref: TableRef) -> TableRef:
    """The rows that have left the quarantine: `<table>__released`, created when the first row leaves."""
    return TableRef(ref.domain, ref.layer, f"{ref.name.removesuffix(EVENTS)}__released")


def tombstones_of(ref: TableRef) -> TableRef:
    """The tombstones of a silver table: `<table>__tombstones` beside it."""
    return TableRef(ref.domain, ref.layer, f"{ref.name}__tombstones")


def types_of(columns: Mapping[str, ColumnSpec]) -> list[tuple[str, str]]:
    """Names and types of declared columns."""
    return [(name, column.type) for name, column in columns.items()]
