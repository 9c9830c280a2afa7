"""Consistency of a source's declaration, found without data."""

from __future__ import annotations

from collections.abc import Sequence

from storage.sql import folded
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.registry import known
from tasks.ingest.sources.watermark import Overlap


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
    kind = known().get(source.kind)
    if kind is None:
        return [*found, f"kind: {source.kind!r} is none of {', '.join(known())}"]
    of_some = frozenset[str]().union(*(each.keys for each in known().values()))
    found += [
        f"{name}: has no meaning for kind {source.kind}"
        for name in sorted(of_some - kind.keys)
        if getattr(source, name)
    ]
    return found + kind.problems(source) + _watermark(source)


def _differ_in_case(columns: Sequence[str]) -> list[str]:
    """Columns that no table can have side by side; a source may, where the others are not declared."""
    first: dict[str, str] = {}
    for name in columns:
        first.setdefault(folded(name), name)
    pairs = [(first[folded(c)], c) for c in columns if first[folded(c)] != c]
    return [
        f"columns: {a} and {b} differ in case only; a table takes one of them" for a, b in pairs
    ]


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
