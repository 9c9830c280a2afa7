"""What a domain declares and nobody uses, and what nobody describes; no Spark."""

from __future__ import annotations

from pathlib import Path

from tasks.authoring.cases import tables as cases
from tasks.authoring.inspection.findings import Findings
from tasks.domain.spec import DomainSpec, SilverSpec, dependencies, sql_files


def look(domain: DomainSpec, found: Findings) -> None:
    """Add what stands around unused, and gold columns without a meaning."""
    _sql_files(domain, found)
    _check_files(domain, found)
    _case_files(domain, found)
    _sources(domain, found)
    for name, silver in domain.silver.items():
        looked = {c.lookup.split(".", 1)[0] for c in silver.columns.values() if c.lookup}
        for lookup in silver.lookups:
            if lookup not in looked:
                found.warn(f"domain.silver.{name}.lookups.{lookup}", "no column is looked up in it")
    for name, gold in domain.gold.items():
        for column, spec in gold.columns.items():
            if not spec.doc.strip():
                found.error(
                    f"domain.gold.{name}.columns.{column}", "has no doc; say what the column means"
                )


def _sources(domain: DomainSpec, found: Findings) -> None:
    """Bronze tables and their columns that nothing reads."""
    graph = dependencies(domain)
    for name, source in domain.bronze.items():
        label = f"bronze.{name}"
        if not any(label in inputs for inputs in graph.values()):
            found.warn(f"domain.{label}", "no table reads it")
            continue
        fed = [f"silver.{n}" for n, s in domain.silver.items() if s.source == label]
        if any(label in inputs for reader, inputs in graph.items() if reader not in fed):
            continue  # a query may read any column
        used = {c for n in fed for c in _used(domain.silver[n.removeprefix("silver.")])}
        used |= {source.watermark.column, *source.watermark.key} if source.watermark else set()
        for column in source.columns:
            if column not in used:
                found.warn(f"domain.{label}.columns", f"{column} is read by no silver table")


def _used(silver: SilverSpec) -> set[str]:
    sourced = {
        c.source or name
        for name, c in silver.row_columns.items()
        if c.expr is None and c.lookup is None
    }
    return sourced | ({silver.partition.source} if silver.partition else set())


def _sql_files(domain: DomainSpec, found: Findings) -> None:
    root = Path(domain.roots.sql)
    named = {path for silver in domain.silver.values() for path in sql_files(silver)}
    named |= {path for gold in domain.gold.values() for path in sql_files(gold)}
    wanted = {(root / relative).resolve() for relative in named}
    for file in sorted(root.rglob("*.sql")):
        if file.resolve() not in wanted:
            found.warn_at(file, 1, "", "no table of the domain reads this file")


def _check_files(domain: DomainSpec, found: Findings) -> None:
    root = Path(domain.roots.checks)
    labels = set(dependencies(domain))
    for file in sorted([*root.rglob("*.yml"), *root.rglob("*.yaml")]):
        label = ".".join(file.relative_to(root).with_suffix("").parts)
        if label not in labels or file.suffix != ".yml":
            found.warn_at(
                file, 1, "", f"checks of no table: the domain has no {label}; they never run"
            )


def _case_files(domain: DomainSpec, found: Findings) -> None:
    wanted = {cases.file_of(domain, ref) for ref in cases.testable(domain)}
    for file in sorted(cases.folder(domain).rglob("*.y*ml")):
        if file not in wanted:
            found.warn_at(file, 1, "", "cases of no table that a query makes; they never run")
