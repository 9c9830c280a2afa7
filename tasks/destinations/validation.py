"""Consistency of a destination's declaration, found without a connection."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.domain.spec import DestinationSpec, DomainSpec

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
"""A name that every destination takes; PostgreSQL cuts longer ones."""
LONGEST_COLUMN = 63
SECRET = re.compile(r"pass|pwd|token|secret|private_key$", re.IGNORECASE)
"""Arguments of drivers that are secrets."""
RESERVED = "_lakehouse_"
"""Begin of the names of the platform's own tables and columns in a destination."""


def destination_problems(domain: DomainSpec) -> list[str]:
    """What does not fit together in the domain's destinations, each with its key."""
    found = []
    for name, spec in domain.destinations.items():
        key = f"domain.destinations.{name}"
        if not NAME.fullmatch(name):
            found.append(f"{key}: {name!r} is not made of letters, digits and _ alone")
        found += [f"{key}.{text}" for text in (*_connection(spec), *_tables(domain, spec))]
    return found


def _connection(spec: DestinationSpec) -> Iterator[str]:
    """Texts without the URL itself, which may hold what it should not."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - only domains with a destination need it
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    from tasks.destinations.engines import BACKENDS  # noqa: PLC0415

    if spec.password and "{secret:" not in spec.password:
        yield "password: is written out; name the secret that holds it: ${secret:NAME}"
    if spec.schema and not NAME.fullmatch(spec.schema):
        yield f"schema: {spec.schema!r} is not made of letters, digits and _ alone"
    if not spec.url:
        return
    try:
        url = make_url(spec.url)
    except ArgumentError:
        yield "url: is not a URL of SQLAlchemy, for example postgresql+psycopg://USER@HOST/DATABASE"
        return
    if url.drivername not in BACKENDS:
        yield f"url: {url.drivername} is none of {', '.join(BACKENDS)}"
    if url.password is not None or any(SECRET.search(name) for name in url.query):
        yield "url: has a password; give it as password: ${secret:NAME}, other secrets as options"
    if url.username and spec.user and url.username != spec.user:
        yield f"user: {spec.user} is not the user of the url, {url.username}"


def _tables(domain: DomainSpec, spec: DestinationSpec) -> Iterator[str]:
    if not spec.tables:
        yield "tables: no tables"
    for label in sorted({t for t in spec.tables if spec.tables.count(t) > 1}):
        yield f"tables: {label} is named more than once"
    for label in dict.fromkeys(spec.tables):
        layer, _, name = label.partition(".")
        if layer != "gold" or name not in domain.gold:
            yield f"tables: {label!r} is not a gold table of the domain; write gold.table"
            continue
        if not NAME.fullmatch(name) or name.lower().startswith(RESERVED):
            yield f"tables: {label} has a name that a destination does not take"
        lowered = [c.lower() for c in domain.gold[name].columns]
        for column in domain.gold[name].columns:
            if len(column.encode()) > LONGEST_COLUMN or column.lower().startswith(RESERVED):
                yield f"tables: {label} has the column {column}, a name that a destination does not take"
            if lowered.count(column.lower()) > 1:
                yield f"tables: {label} has columns that differ from {column} in case only"
