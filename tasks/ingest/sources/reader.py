"""What a reader of a source offers to bronze, and what bronze tells it.

A reader finds deliveries and writes their records as text to Parquet. It knows neither the ledger's
storage nor the staging folder: bronze hands it what it needs. Another kind of source is another folder
with a `Reader`, and a `Kind` that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession

from storage.types import SourceFile
from tasks.landing.folders import Landing


@dataclass(frozen=True)
class Request:
    """What bronze has and wants.

    Attributes:
        table: Name of the bronze table.
        landing: Folder in which files arrive, local or in an object store.
        again: Paths of files whose known content is to be taken in again.
        taken: Every delivery so far, in order.
        position: The last offer's, from the table's newest commit record; None where it has none.
        session: The Spark session; None where only metadata may be asked.
        held: Reads the rows that the bronze table holds; None where it has none.
        scratch: Folder for what an extraction writes before it is offered.
        seen: File for what a reader remembers of what it read; it may be lost at any time. None remembers
            nothing.
    """

    table: str
    landing: Landing
    scratch: Path
    again: frozenset[str] = frozenset()
    taken: Sequence[SourceFile] = ()
    position: Mapping[str, Any] | None = None
    session: SparkSession | None = None
    held: Callable[[], DataFrame] | None = None
    seen: Path | None = None


@dataclass(frozen=True)
class Offer:
    """A delivery that the ledger does not hold.

    Attributes:
        path: The delivered file, or the extraction in the scratch folder.
        name: What people call it: `_source_file` of its rows.
        sha256: Hash of its content.
        position: For an incremental extraction, how far it has come: the commit record keeps it, and the
            next extraction goes on from there.
        missing: Columns of the source that an extraction found missing.
        types: For an extraction, every column found and its type in the source.
        concern: Why a person is to judge it before it is taken in, or an empty text.
        found_again: Whether it is found again when it stays outside of bronze, though it has a position.
        bytes: Size of what was delivered, where it is not that of `path`.
        etag: What an object store says of the content; it changes with it.
        fetch: Writes the content to a path, where `path` is a copy that may be gone.
    """

    path: Path
    name: str
    sha256: str
    position: Mapping[str, Any] | None = None
    missing: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    concern: str = ""
    found_again: bool = False
    bytes: int | None = None
    etag: str = ""
    fetch: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class StagedFile:
    """A parsed delivery: all values as text, with record numbers, in a Parquet file.

    Attributes:
        rows: Records in it, malformed ones included.
        malformed: Records that are none of their source; their content is in `_rescued`.
        missing: Columns of the source that the delivery lacks; their values are null.
        absent: Columns of the source that no record names, where records need not name each.
        unknown: Columns of the delivery that the source does not know; kept in `_rescued`.
        types: Every column of the delivery and its type in the source, where that has types.
        skipped: Records that carry nothing beyond the one before them and are left out.
        sparse: Whether records need not name each column, so that one which none names is null.
        plain: Columns of numbers whose texts are the same whether their type is whole or floating-point.
    """

    parquet: Path
    sha256: str
    rows: int
    malformed: int = 0
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    skipped: int = 0
    types: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    sparse: bool = False
    plain: tuple[str, ...] = ()


class Reader(Protocol):
    """Reads the deliveries of one source."""

    shape: str
    """What names the columns of a delivery: the header of a file, a database's table."""
    keeps_deliveries: bool
    """Whether an offer can be read again later as it is; an extraction cannot."""

    @property
    def note(self) -> str | None:
        """Under which name a commit record keeps the position; None where offers have none."""

    def waits_for(self, landing: Landing) -> str:
        """What has to arrive, for a source that never delivered."""

    def offers(self, request: Request) -> list[Offer] | None:
        """Deliveries to take in, in their order; None where that takes a Spark session.

        Raises:
            LakehouseError: The source cannot be reached or read.
        """

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        """Write an offer's records to a Parquet file.

        Its columns are the source's as text, `_record_number` (from 1) and `_rescued`.

        Raises:
            InputError: The delivery cannot be taken as it is.
        """
