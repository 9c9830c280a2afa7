"""Consistency of the endpoints that a domain opens to the REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.domain.spec import DomainSpec, EndpointSpec

OWN_NAMES = ("ingest", "tables", "runs", "quality")
"""Calls that the API has for every domain."""
OWN_PARAMETERS = ("since", "until", "limit", "cursor")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def endpoint_problems(domain: DomainSpec) -> list[str]:
    """What does not fit together in a domain's endpoints, each with its key."""
    found = []
    for name, endpoint in domain.endpoints.items():
        texts = list(_problems(domain, name, endpoint))
        found += [f"domain.endpoints.{name}{text}" for text in texts]
    return found


def _problems(domain: DomainSpec, name: str, endpoint: EndpointSpec) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield ": a name is lower-case letters, digits, _ and -"
    if name in OWN_NAMES:
        yield f": the API has a call {name} of its own"
    layer, _, table = endpoint.table.partition(".")
    if layer not in ("silver", "gold") or table not in getattr(domain, layer):
        yield f".table: {endpoint.table} is not a silver or gold table"
        return
    columns = getattr(domain, layer)[table].columns
    for column in [*endpoint.equals, *([endpoint.instant] if endpoint.instant else [])]:
        if column not in columns:
            yield f": {column} is not a column of {endpoint.table}"
    for column in endpoint.equals:
        if column in OWN_PARAMETERS:
            yield f".equals: {column} is a parameter of its own"
