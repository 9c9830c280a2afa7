"""Files of the landing folder as a kind of source."""

from __future__ import annotations

from tasks.ingest.sources.files.reader import FileReader
from tasks.ingest.sources.files.validation import files_problems
from tasks.ingest.sources.kind import Kind

KIND = Kind(
    "files", FileReader, files_problems, keys=frozenset({"pattern", "hidden", "header", "push"})
)
