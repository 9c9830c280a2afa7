"""Consistency of a declaration of a database."""

from __future__ import annotations

from storage import secrets
from tasks.domain.durations import duration
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.jdbc.key_snapshot import DELETED
from tasks.ingest.sources.secrets import REFER, has_unreferenced, unreferenced


def jdbc_problems(source: SourceSpec) -> list[str]:
    """What does not fit together, each with its key."""
    known = source.url.startswith(("jdbc:", secrets.reference("")[:-1]))
    found = [] if known else ["url: no JDBC address (jdbc:...)"]
    if bool(source.table) == bool(source.query):
        found.append("table: name either a table or a query")
    found += [
        f"options.{name}: is set by the platform; use the source's own keys"
        for name in source.options
        if name.lower() in ("url", "dbtable", "query")
    ]
    if has_unreferenced(source.url):
        found.append(f"url: {REFER}")
    found += [f"options.{name}: {REFER}" for name in unreferenced(source.options)]
    return found + _partitions(source) + _key_snapshot(source)


def _key_snapshot(source: SourceSpec) -> list[str]:
    spec = source.key_snapshot
    if spec is None:
        return []
    found = [] if spec.key else ["key_snapshot.key: no columns that identify a row"]
    found += [f"key_snapshot.key: {c} is not a column" for c in spec.key if c not in source.columns]
    if source.watermark is None:
        found.append(
            "key_snapshot: is for a source with a watermark; without one all rows are read"
        )
    if DELETED not in source.columns:
        found.append(f"key_snapshot: name {DELETED} among the columns; it is true for deleted rows")
    if not 0 <= spec.share <= 1:
        found.append(f"key_snapshot.share: {spec.share} is not between 0 and 1")
    try:
        duration(spec.every or "0 hours")
    except ValueError as error:
        found.append(f"key_snapshot.every: {error}")
    return found


def _partitions(source: SourceSpec) -> list[str]:
    parts = source.partitions
    if parts is None:
        return []
    return [
        *([f"partitions.count: {parts.count} is fewer than 2"] if parts.count < 2 else []),
        *(
            f"options.{name}: the platform sets it for `partitions`; leave one of them out"
            for name in source.options
            if name.lower() in SPARK_PARTITIONS
        ),
    ]


SPARK_PARTITIONS = ("partitioncolumn", "lowerbound", "upperbound", "numpartitions")
"""Options by which Spark parts an extraction."""
