"""Which tables cases can be written for, what they are given, and which columns a case may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from storage.types import TableRef
from tasks.domain.schemas import BRONZE_METADATA, business_columns, declared, spec_of
from tasks.domain.spec import DomainSpec, SilverSpec
from tasks.rows import reducing

Columns = Mapping[str, str]
"""Type of each column, by name."""


def file_of(domain: DomainSpec, ref: TableRef) -> Path:
    """Where the cases of a table are."""
    return folder(domain) / ref.layer / f"{ref.name}.yml"


def folder(domain: DomainSpec) -> Path:
    """Where the cases of a domain are."""
    return Path(domain.roots.sql) / "tests"


def testable(domain: DomainSpec) -> list[TableRef]:
    """The tables that a query makes, each after those it reads."""
    return [ref for ref in domain.tables() if domain.spec(ref).has_query]


def folds(domain: DomainSpec, ref: TableRef) -> bool:
    """Whether the query folds rows of a delivery (`reduce`)."""
    spec = domain.spec(ref)
    return isinstance(spec, SilverSpec) and spec.reduce is not None


def inputs(domain: DomainSpec, ref: TableRef) -> dict[str, Columns]:
    """The columns of each input of a table's query, those that the platform adds included."""
    if folds(domain, ref):
        spec = domain.silver[ref.name]
        typed = {name: column.type for name, column in spec.samples.items()}
        return {reducing.ROWS: typed | dict(BRONZE_METADATA)}
    read = spec_of(domain, ref).inputs
    return {label: _declared(domain, domain.ref(label)) for label in read}


def _declared(domain: DomainSpec, ref: TableRef) -> Columns:
    return {f.name: f.dataType.simpleString() for f in declared(domain, ref).fields}


def expected(domain: DomainSpec, ref: TableRef) -> Columns:
    """The columns of the result that a case may name."""
    if not folds(domain, ref):
        return dict(business_columns(domain, ref))
    return reducing.columns(domain.silver[ref.name])
