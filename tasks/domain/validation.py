"""Consistency of a domain's declarations, found without data and before Spark starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from graphlib import CycleError

from storage.sql import folded
from storage.types import LAYERS
from tasks.domain.durations import duration
from tasks.domain.endpoint_validation import endpoint_problems
from tasks.domain.schemas import (
    BRONZE_METADATA,
    DECISIONS,
    DERIVED_METADATA,
    RELEASES,
    quarantine_of,
    released_of,
    silver_metadata,
    tombstones_of,
)
from tasks.domain.spec import (
    DESTINATION,
    EVENTS,
    DomainSpec,
    dependencies,
    expanded,
    ordered,
)
from tasks.domain.table_validation import query_problems, silver_problems

NAME = re.compile(r"\w+")
"""Of a domain: it is the name of databases and folders."""


def declared_problems(
    domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]
) -> list[str]:
    """What does not fit together in the declarations of tables, each with the key's path."""
    graph = dependencies(domain)
    found = [
        f"layers: {layer!r} is none of {', '.join((*LAYERS, DESTINATION))}"
        for layer in layers
        if layer not in (*LAYERS, DESTINATION)
    ]
    found += [f"tables: {t!r} is none of {', '.join(graph)}" for t in tables if t not in graph]
    found += _outside(domain, layers, [t for t in tables if t in graph])
    if not 0 <= domain.score_threshold <= 1:
        found.append(f"domain.score_threshold: {domain.score_threshold} is outside 0 to 1")
    if not NAME.fullmatch(domain.name):
        found.append(f"domain.name: {domain.name!r} is not made of letters, digits and _")
    found += _names(domain)
    found += _anomalies(domain)
    found += _freshness(domain)
    found += _limits(domain)
    known = dependencies(expanded(domain))  # the events of a history can be read as well
    for label, inputs in graph.items():
        found += [f"domain.{label}: unknown table {i}" for i in inputs if i not in known]
    try:
        ordered(known)
    except CycleError as error:
        found.append("tables read each other in a cycle: " + " -> ".join(error.args[1]))
    for name, source in domain.bronze.items():
        found += _own(f"domain.bronze.{name}.columns", source.columns, BRONZE_METADATA)
    for name, silver in domain.silver.items():
        found += [f"domain.silver.{name}.{text}" for text in silver_problems(domain, silver)]
        own = DERIVED_METADATA if silver.is_derived else silver_metadata(silver)
        found += _own(f"domain.silver.{name}.columns", silver.columns, own)
    for name, gold in domain.gold.items():
        found += [f"domain.gold.{name}.{text}" for text in query_problems(domain, gold)]
        found += _own(f"domain.gold.{name}.columns", gold.columns, DERIVED_METADATA)
    return found + endpoint_problems(domain)


def _anomalies(domain: DomainSpec) -> list[str]:
    limits = {"domain.anomalies": domain.anomalies}
    for layer in LAYERS:
        for name, table in getattr(domain, layer).items():
            if table.anomalies is not None:
                limits[f"domain.{layer}.{name}.anomalies"] = table.anomalies
    found = []
    for key, limit in limits.items():
        if limit.minimum < 2:
            found.append(f"{key}.minimum: {limit.minimum} is below 2, the least that limits need")
        if limit.history < limit.minimum:
            found.append(f"{key}.history: {limit.history} is below minimum ({limit.minimum})")
    return found


def _outside(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Chosen tables that the chosen layers leave out altogether: a run would find nothing to do."""
    pushed = {label for destination in domain.destinations.values() for label in destination.tables}
    chosen = [
        label
        for label in tables
        if label.partition(".")[0] in layers or (label in pushed and DESTINATION in layers)
    ]
    if chosen or not (layers and tables):
        return []
    return [f"tables: none of {', '.join(tables)} is in layers={','.join(layers)}"]


def _names(domain: DomainSpec) -> list[str]:
    """Tables with the name of one of the platform's own, or with one name but for capitals."""
    silver = [domain.ref(f"silver.{name}") for name in domain.silver]
    own = {f"bronze.{DECISIONS}", f"bronze.{RELEASES}"}
    own |= {
        made(ref).label for ref in silver for made in (quarantine_of, released_of, tombstones_of)
    }
    own |= {f"{ref.label}{EVENTS}" for ref in silver if domain.silver[ref.name].is_derived}
    labels = [f"{layer}.{name}" for layer in LAYERS for name in getattr(domain, layer)]
    first = {folded(label): label for label in reversed(labels)}
    return [
        f"domain.{label}: the platform has a table of this name; give yours another"
        for label in labels
        if label in own
    ] + [
        f"domain.{label}: another table of the layer has this name but for capitals; name them apart"
        for label in labels
        if first[folded(label)] != label
    ]


def _own(key: str, columns: Iterable[str], own: Iterable[tuple[str, str]]) -> list[str]:
    """Columns with the name of one that the platform adds to the table."""
    taken = {name for name, _ in own}
    return [
        f"{key}: {c} is a column that the platform adds; give yours another name"
        for c in columns
        if folded(c) in taken
    ]


def _limits(domain: DomainSpec) -> list[str]:
    """Limits that could never be broken, or always are."""
    found = []
    for name, table in domain.silver.items():
        key, limit = f"domain.silver.{name}.quarantine", table.quarantine
        shares = {"share": limit.share, "waiting_share": limit.waiting_share}
        found += [
            f"{key}.{part}: {share} is outside 0 to 1"
            for part, share in shares.items()
            if not 0 <= share <= 1
        ]
        if limit.rows < 0:
            found.append(f"{key}.rows: {limit.rows} is below 0")
    return found + [
        f"domain.gold.{name}.volume.tolerance: {table.volume.tolerance} is outside 0 to 1"
        for name, table in domain.gold.items()
        if table.volume is not None and not 0 <= table.volume.tolerance <= 1
    ]


def _freshness(domain: DomainSpec) -> list[str]:
    found = []
    for layer in LAYERS:
        for name, table in getattr(domain, layer).items():
            try:
                if table.freshness:
                    duration(table.freshness)
            except ValueError as error:
                found.append(f"domain.{layer}.{name}.freshness: {error}")
    return found
