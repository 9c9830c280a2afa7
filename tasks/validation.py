"""Consistency of a domain, found without data and before Spark starts."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.destinations.validation import destination_problems
from tasks.domain.spec import DomainSpec
from tasks.domain.validation import declared_problems
from tasks.ingest.sources.validation import source_problems


def problems(
    domain: DomainSpec, *, layers: Sequence[str] = (), tables: Sequence[str] = ()
) -> list[str]:
    """What does not fit together, each with the key's path; empty where all does."""
    found = declared_problems(domain, layers, tables)
    for name, source in domain.bronze.items():
        found += [f"domain.bronze.{name}.{text}" for text in source_problems(source)]
    return found + (destination_problems(domain) if domain.destinations else [])
