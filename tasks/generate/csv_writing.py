"""Writing files whole or not at all: a temporary name first, renamed once complete."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from storage import disk
from tasks.generate.columns import IntArray, Table

_CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class Layout:
    """What a file holds: the table row behind each record, and the values that differ from it.

    Attributes:
        rows: Row of the table for each record, in file order (n,).
        changes: By position in `rows` (0-based), the columns whose text is another one.
    """

    rows: IntArray
    changes: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open `path` for writing under a temporary name; it appears when the block ends well."""
    with disk.replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def write_table(to: Path, table: Table, layout: Layout) -> int:
    """Write the table's CSV file into the folder `to` and return its size in bytes.

    Fields are quoted where needed, quotes doubled, records end with a line feed. Rows become text
    a chunk at a time, so memory does not grow with the file.
    """
    path = to / table.file
    changed = np.array(sorted(layout.changes), dtype=np.int64)
    with replacing(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.columns)
        for start in range(0, len(layout.rows), _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, len(layout.rows))
            chunk = table.records(layout.rows[start:stop])
            low, high = np.searchsorted(changed, [start, stop])
            for position in changed[low:high].tolist():
                for column, value in layout.changes[position].items():
                    chunk[column][position - start] = value
            writer.writerows(zip(*chunk.values(), strict=True))
    return path.stat().st_size
