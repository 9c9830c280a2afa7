"""The kinds of source, each a folder that describes itself as a `Kind`.

A package of another distribution adds one by an entry point of the group `lakehouse.sources` that names it.
Its declaration uses those keys of a bronze table that it names, such as `url` and `options`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from storage.errors import ConfigurationError
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
    for entry in entry_points(group=GROUP):
        try:
            kind = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"the kind of source {entry.value} cannot be loaded: {type(error).__name__}: {error}",
                advice="Install a version of its package that fits, or remove it.",
            ) from error
        found.setdefault(kind.name, kind)
    return found


def reader_of(source: SourceSpec) -> Reader:
    """The reader that a source's kind names."""
    return known()[source.kind].reader(source)
