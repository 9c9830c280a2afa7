"""Consistency of a source's declaration, found without data."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from storage import secrets
from tasks.rest_validation import REFER, rest_problems
from tasks.sources.kafka_client import OWN_OPTIONS
from tasks.sources.key_snapshot import DELETED
from tasks.sources.names import is_hidden, matching
from tasks.sources.secrets import has_unreferenced, unreferenced
from tasks.sources.watermark import Overlap, duration
from tasks.spec import Envelope, FileFormat, SourceKind, SourceSpec


def source_problems(source: SourceSpec) -> list[str]:
    """What does not fit together in a bronze table's declaration, each with its key."""
    found = [] if source.columns else ["columns: no columns"]
    doubled = {c for c in source.columns if source.columns.count(c) > 1}
    found += [f"columns: {c} is named more than once" for c in sorted(doubled)]
    found += [f"personal: {c} is not a column" for c in source.personal if c not in source.columns]
    found += _differ_in_case(source.columns)
    found += [
        f"header: {c} is not a column" for c in source.header.values() if c not in source.columns
    ]
    names = [name.strip() for name in source.header]
    found += [
        f"header: {n} is named more than once" for n in sorted(set(names)) if names.count(n) > 1
    ]
    found += [
        f"{name}: has no meaning for kind {source.kind}"
        for name, kinds in KINDS_OF.items()
        if source.kind not in kinds and getattr(source, name)
    ]
    return found + CHECKS[source.kind](source) + _watermark(source)


def _differ_in_case(columns: Sequence[str]) -> list[str]:
    """Columns that no table can have side by side; a source may, where the others are not declared."""
    first: dict[str, str] = {}
    for name in columns:
        first.setdefault(name.lower(), name)
    pairs = [(first[c.lower()], c) for c in columns if first[c.lower()] != c]
    return [
        f"columns: {a} and {b} differ in case only; a table takes one of them" for a, b in pairs
    ]


KINDS_OF = {
    "pattern": (SourceKind.files,),
    "hidden": (SourceKind.files,),
    "header": (SourceKind.files,),
    "url": (SourceKind.jdbc,),
    "table": (SourceKind.jdbc,),
    "query": (SourceKind.jdbc,),
    "options": (SourceKind.jdbc,),
    "partitions": (SourceKind.jdbc,),
    "watermark": (SourceKind.jdbc, SourceKind.rest),
    "kafka": (SourceKind.kafka,),
    "rest": (SourceKind.rest,),
    "push": (SourceKind.files,),
    "key_snapshot": (SourceKind.jdbc,),
}
"""Keys that only some kinds of source have."""


def _files(source: SourceSpec) -> list[str]:
    found = _pattern(source)
    if len(source.delimiter) != 1:
        found.append(f"delimiter: {source.delimiter!r} is not one character")
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=source.encoding)
    except LookupError:
        found.append(f"encoding: {source.encoding!r} is no encoding of text that Python knows")
    if source.header and source.format is not FileFormat.csv:
        found.append(f"header: is for format csv, not {source.format}")
    lines = (FileFormat.jsonl, FileFormat.by_ending)
    if source.envelope is not Envelope.none and source.format not in lines:
        found.append(f"envelope: {source.envelope} is read from format jsonl, not {source.format}")
    return found + _push(source)


def _pattern(source: SourceSpec) -> list[str]:
    """Whether the pattern can mean a file at all."""
    pattern = source.pattern
    if not pattern:
        return ["pattern: no pattern of file names"]
    if pattern.startswith("/") or pattern.endswith("/") or ".." in pattern.split("/"):
        return [f"pattern: {pattern} is no name below the landing folder, such as sales/*.csv"]
    if is_hidden(pattern) and not source.hidden:
        return [
            f"pattern: {pattern} means names that begin with . or _, which are passed over; set hidden: true"
        ]
    try:
        matching(pattern, hidden=source.hidden)
    except ValueError as error:
        return [f"pattern: {pattern}: {error}"]
    return []


def _push(source: SourceSpec) -> list[str]:
    """Whether files of pushed records will be found, and found whole."""
    push = source.push
    if push is None:
        return []
    found = [] if push.key in source.columns else [f"push.key: {push.key} is not a column"]
    if source.format not in (FileFormat.jsonl, FileFormat.by_ending):
        found.append(f"push: files of pushed records are JSON lines, not {source.format}")
    if source.envelope is not Envelope.none:
        found.append(f"push: records are pushed as they are, not in an envelope {source.envelope}")
    sealed = f"{push.file}_20260301T100000000000.jsonl"
    if is_hidden(sealed) and not source.hidden:
        found.append(f"push.file: files named {sealed} are passed over; begin it with a letter")
    elif not fnmatchcase(sealed, source.pattern):
        found.append(f"push.file: the pattern {source.pattern} does not match {sealed}")
    growing = [f".{sealed}.part", "index.sqlite", "index.sqlite-wal", "lock"]
    early = [name for name in growing if source.hidden and fnmatchcase(name, source.pattern)]
    if early:
        found.append(
            f"pattern: {source.pattern} matches {early[0]}, which the API is still writing"
        )
    return found


def _jdbc(source: SourceSpec) -> list[str]:
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


def _watermark(source: SourceSpec) -> list[str]:
    mark = source.watermark
    if mark is None:
        return []
    named = {"watermark.column": [mark.column], "watermark.key": mark.key}
    found = [
        f"{key}: {column} is not a column"
        for key, columns in named.items()
        for column in columns
        if column not in source.columns
    ]
    try:
        Overlap.parse(mark.overlap)
    except ValueError as error:
        found.append(f"watermark.overlap: {error}")
    return found


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


def _kafka(source: SourceSpec) -> list[str]:
    if source.kafka is None:
        return ["kafka: no servers and topic"]
    found = [
        f"kafka.options.{name}: is set by the platform"
        for name in source.kafka.options
        if name.lower() in OWN_OPTIONS
    ]
    found += [f"kafka.options.{name}: {REFER}" for name in unreferenced(source.kafka.options)]
    if source.kafka.max_messages < 1:
        found.append("kafka.max_messages: at least 1")
    if source.kafka.patience_seconds <= 0:
        found.append("kafka.patience_seconds: more than 0")
    if source.format not in (FileFormat.csv, FileFormat.jsonl):
        found.append(f"format: messages are JSON, not {source.format}")
    return found


CHECKS: Mapping[SourceKind, Callable[[SourceSpec], list[str]]] = {
    SourceKind.files: _files,
    SourceKind.jdbc: _jdbc,
    SourceKind.kafka: _kafka,
    SourceKind.rest: rest_problems,
}
"""What each kind asks of the keys that it has."""
