"""What every generator takes, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tasks.generate.columns import Table
from tasks.generate.csv_writing import replacing, write_table
from tasks.generate.planting import Planted
from tasks.generate.truth import Truth

MAX_DEFECTS = 0.5
MAX_DELIVERIES = 99


class GeneratedFile(NamedTuple):
    """A file's name, its records without a header, and its size in bytes."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Generated:
    """The files that were written, and the list of the defects in them."""

    files: tuple[GeneratedFile, ...]
    truth: Path


def require(rows: int, seed: int, defects: float, *, fewest: int, counted: str = "rows") -> None:
    """Refuse parameters of all generators that are out of their range.

    Args:
        rows: How much is asked for.
        seed: Seed of every random choice.
        defects: Share of the records that are broken.
        fewest: The least number of rows.
        counted: What a message calls the rows.

    Raises:
        ValueError: A parameter is out of its range.
    """
    if rows < fewest:
        raise ValueError(f"{counted} must be at least {fewest}, got {rows}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    if not 0 <= defects <= MAX_DEFECTS:
        raise ValueError(f"defects must be a rate from 0 to {MAX_DEFECTS}, got {defects}")


def require_count(name: str, value: int, most: int) -> None:
    """Refuse a number that is not from 1 to the greatest allowed one.

    Raises:
        ValueError: It is not.
    """
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most}, got {value}")


def write_tables(
    to: Path,
    truth_file: str,
    domain: str,
    parameters: Mapping[str, object],
    tables: Iterable[tuple[Table, Planted]],
) -> Generated:
    """Write the files of tables with their defects; the truth file is absent until all are there."""
    to.mkdir(parents=True, exist_ok=True)
    path = to / truth_file
    path.unlink(missing_ok=True)
    files = []
    with replacing(path) as stream:
        truth = Truth(stream, domain, parameters)
        for table, planted in tables:
            size = write_table(to, table, planted.layout)
            files.append(GeneratedFile(table.file, len(planted.layout.rows), size))
            truth.add(table, planted)
        truth.finish()
    return Generated(tuple(files), path)
