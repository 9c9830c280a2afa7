"""A database as a kind of source."""

from __future__ import annotations

from tasks.ingest.sources.jdbc.reader import JdbcReader
from tasks.ingest.sources.jdbc.validation import jdbc_problems
from tasks.ingest.sources.kind import Kind

KIND = Kind(
    "jdbc",
    JdbcReader,
    jdbc_problems,
    keys=frozenset({"url", "table", "query", "options", "partitions", "watermark", "key_snapshot"}),
)
