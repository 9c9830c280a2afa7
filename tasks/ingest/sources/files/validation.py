"""Consistency of a declaration of files."""

from __future__ import annotations

import io
from fnmatch import fnmatchcase

from tasks.domain.spec import Envelope, FileFormat, SourceSpec
from tasks.landing.names import is_hidden, matching


def files_problems(source: SourceSpec) -> list[str]:
    """What does not fit together, each with its key."""
    found = _pattern(source)
    if len(source.delimiter) != 1:
        found.append(f"delimiter: {source.delimiter!r} is not one character")
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=source.encoding)
    except LookupError:
        found.append(f"encoding: {source.encoding!r} is not an encoding of text that Python knows")
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
        return [f"pattern: {pattern} is not a name below the landing folder, such as sales/*.csv"]
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
