"""What feeds a bronze table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from tasks.domain.spec.api import PushSpec
from tasks.domain.spec.jdbc import KeySnapshotSpec, PartitionsSpec
from tasks.domain.spec.kafka import KafkaSpec
from tasks.domain.spec.limits import MUST_GIVE, VolumeLimits
from tasks.domain.spec.rest import RestSpec


class SourceKind(StrEnum):
    """The platform's own kinds of source."""

    files = "files"
    jdbc = "jdbc"
    kafka = "kafka"
    rest = "rest"


class FileFormat(StrEnum):
    """What a delivered file holds."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    by_ending = "by_ending"
    """What the ending of each file's name says: `.csv`, `.jsonl` or `.parquet`."""


class Envelope(StrEnum):
    """What is around a row in JSON lines."""

    none = "none"
    debezium = "debezium"


class DriftMode(StrEnum):
    """What becomes of columns that a source delivers and the domain does not declare."""

    rescue = "rescue"
    """Their values are kept in `_rescued`."""
    evolve = "evolve"
    """The bronze table gets them."""
    freeze = "freeze"
    """The delivery is blocked."""


@dataclass
class WatermarkSpec:
    """How far an incremental extraction has come, and how much it reads again."""

    column: str = MUST_GIVE
    """Column that grows with every change: an instant, a date, a number, or text that sorts like one."""
    overlap: str = "0"
    """What is read again below the highest value, for rows that were committed late: `10 minutes`
    (seconds, minutes, hours, days) or, for numbers, a number."""
    key: list[str] = field(default_factory=list)
    """Columns that identify a row, where a row may take on an earlier content again within the overlap."""


@dataclass
class SourceSpec:
    """What feeds one bronze table: files of the landing folder, a table, a topic, or records of an API."""

    is_delivered: ClassVar[bool] = True
    is_derived: ClassVar[bool] = False
    has_query: ClassVar[bool] = False
    hides_deleted: ClassVar[bool] = False
    volume: ClassVar[None] = None

    pattern: str = ""
    """Glob over file names, sub-folders included (`files`)."""
    columns: list[str] = field(default_factory=list)
    """Columns of the source, all kept as text."""
    header: dict[str, str] = field(default_factory=dict)
    """Columns that the header of a file names otherwise, for example `{Unit price: unit_price}` (`csv`)."""
    delimiter: str = ","
    """One character between fields (`csv`)."""
    encoding: str = "utf-8"
    """Python's name of the encoding of files; its byte order mark is passed over."""
    required: bool = False
    """A run fails when nothing was ever delivered."""
    description: str = ""
    """What the source holds."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    kind: str = SourceKind.files.value
    """Where its deliveries come from: `files` of the landing folder, a database (`jdbc`), a topic (`kafka`),
    an API (`rest`), or a kind of source that another distribution adds."""
    format: FileFormat = FileFormat.csv
    """What the files hold."""
    envelope: Envelope = Envelope.none
    """What is around the rows (`jsonl`, `kafka`)."""
    url: str = field(default="", repr=False)
    """JDBC address (`jdbc`)."""
    table: str | None = None
    """Table to extract (`jdbc`)."""
    query: str | None = None
    """Query to extract instead of a table (`jdbc`)."""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """Options of Spark's JDBC reader: driver, user, password, ... (`jdbc`)."""
    watermark: WatermarkSpec | None = None
    """Extract only what is new; without it everything is extracted each time (`jdbc`, `rest`)."""
    partitions: PartitionsSpec | None = None
    """Extract through several connections at once (`jdbc`)."""
    kafka: KafkaSpec | None = None
    """The topic (`kafka`)."""
    rest: RestSpec | None = None
    """What an API is asked (`rest`)."""
    push: PushSpec | None = None
    """Take records from the REST API too (`files`)."""
    key_snapshot: KeySnapshotSpec | None = None
    """Find deletes, beside a watermark, by comparing keys (`jdbc`)."""
    drift: DriftMode = DriftMode.rescue
    """What becomes of columns that it delivers and `columns` lacks: kept in `_rescued`, added to the bronze
    table, or the delivery is blocked. A column that is missing or takes a narrower type always blocks."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old its newest delivery may be, for example `26 hours`."""
    personal: dict[str, list[str]] = field(default_factory=dict)
    """Kinds of personal data by column, for example `{city: [address]}`."""
    hidden: bool = False
    """Take files too whose name, or that of a folder of theirs in the landing folder, begins with `.` or `_`
    (`files`)."""
