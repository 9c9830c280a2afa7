"""A REST API as a kind of source."""

from __future__ import annotations

from tasks.ingest.sources.kind import Kind
from tasks.ingest.sources.rest.reader import RestReader
from tasks.ingest.sources.rest.validation import rest_problems

KIND = Kind("rest", RestReader, rest_problems, keys=frozenset({"rest", "watermark"}))
