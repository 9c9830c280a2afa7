"""The reader of a source, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.sources.files import FileReader
from tasks.sources.jdbc import JdbcReader
from tasks.sources.kafka import KafkaReader
from tasks.sources.reader import Reader
from tasks.sources.rest import RestReader
from tasks.spec import SourceKind, SourceSpec

READERS: Mapping[SourceKind, Callable[[SourceSpec], Reader]] = {
    SourceKind.files: FileReader,
    SourceKind.jdbc: JdbcReader,
    SourceKind.kafka: KafkaReader,
    SourceKind.rest: RestReader,
}


def reader_of(source: SourceSpec) -> Reader:
    """The reader that a source's kind names."""
    return READERS[source.kind](source)
