"""The kinds of source, each a folder that describes itself as a `Kind`.

A package of another distribution adds one by an entry point of the group `lakehouse.sources` that names it.
Its declaration uses those keys of a bronze table that it names, such as `url` and `options`.
"""

from __future__ import annotations

from functools import cache

from storage.extensions import extensions
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.files.kind import KIND as FILES
from tasks.ingest.sources.jdbc.kind import KIND as JDBC
from tasks.ingest.sources.kafka.kind import KIND as KAFKA
from tasks.ingest.sources.kind import Kind
from tasks.ingest.sources.reader import Reader
from tasks.ingest.sources.rest.kind import KIND as REST

GROUP = "lakehouse.sources"


@cache
def known() -> dict[str, Kind]:
    """Every kind by its name: the platform's own, then those of other distributions.

    Raises:
        ConfigurationError: Another distribution's cannot be loaded.
    """
    found = {kind.name: kind for kind in (FILES, JDBC, KAFKA, REST)}
    for kind in extensions(GROUP, "kind of source"):
        found.setdefault(kind.name, kind)
    return found


def reader_of(source: SourceSpec) -> Reader:
    """The reader that a source's kind names."""
    return known()[source.kind].reader(source)
