"""What a domain declares: sources, tables, keys, rules and gates, as typed configuration.

Plain dataclasses, because the configuration layer registers them as schemas; `"???"` marks a value that
the domain must give. Expressions are Spark SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from graphlib import TopologicalSorter

from storage.types import TableRef

MUST_GIVE = "???"
EVENTS = "__events"
"""Ending of the name of the table that holds the events of a history."""


class Strategy(StrEnum):
    """How a silver table follows its input."""

    upsert = "upsert"
    """Merged by key, row by row (SCD1)."""
    append = "append"
    """Rows that are kept as they are; a key counts once."""
    events = "events"
    """Every distinct change event of a key, the input of histories."""
    snapshot = "snapshot"
    """Every delivery is the full state."""
    scd2 = "scd2"
    """A history of spans."""


class Deletes(StrEnum):
    """What a delete event leaves."""

    soft = "soft"
    """A row with `_is_deleted` and `_deleted_at`, which no query of the domain sees."""
    hard = "hard"
    """No row; a tombstone beside the table keeps late events from bringing it back."""


class Fold(StrEnum):
    """How two values of a column become one; the order of the rows does not matter."""

    sum = "sum"
    min = "min"
    max = "max"


class OnAnomaly(StrEnum):
    """What becomes of an attempt whose row counts are out of control."""

    ignore = "ignore"  # not `off`, which YAML reads as false
    warn = "warn"
    fail = "fail"


@dataclass
class VolumeLimits:
    """Row counts against statistical control limits of the table's earlier runs."""

    mode: OnAnomaly = OnAnomaly.warn
    """What a signal does; `ignore` does not look."""
    history: int = 20
    """Newest earlier runs (or days) that the limits are taken from."""
    minimum: int = 8
    """Fewer of them are not judged."""


class SourceKind(StrEnum):
    """Where a source's deliveries come from."""

    files = "files"
    jdbc = "jdbc"


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
    """What feeds one bronze table: files of the landing folder, or a table of a database."""

    pattern: str = ""
    """Glob over file names, sub-folders included (`files`)."""
    columns: list[str] = field(default_factory=list)
    """Columns of the source, all kept as text."""
    header: dict[str, str] = field(default_factory=dict)
    """Columns that the header of a file names otherwise, for example `{Unit price: unit_price}` (`csv`)."""
    delimiter: str = ","
    """One character between fields (`csv`)."""
    encoding: str = "utf-8"
    """Python's name of the encoding of files; a UTF-8 byte order mark is passed over."""
    required: bool = False
    """A run fails when nothing was ever delivered."""
    description: str = ""
    """What the source holds."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    kind: SourceKind = SourceKind.files
    """Files of the landing folder, or a database."""
    format: FileFormat = FileFormat.csv
    """What the files hold."""
    envelope: Envelope = Envelope.none
    """What is around the rows (`jsonl`)."""
    url: str = field(default="", repr=False)
    """JDBC address (`jdbc`)."""
    table: str | None = None
    """Table to extract (`jdbc`)."""
    query: str | None = None
    """Query to extract instead of a table (`jdbc`)."""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """Options of Spark's JDBC reader: driver, user, password, ... (`jdbc`)."""
    watermark: WatermarkSpec | None = None
    """Extract only what is new; without it the whole table is extracted each time (`jdbc`)."""
    drift: DriftMode = DriftMode.rescue
    """What becomes of columns that it delivers and `columns` lacks: kept in `_rescued`, added to the bronze
    table, or the delivery is blocked. A column that is missing or takes a narrower type always blocks."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old its newest delivery may be, for example `26 hours`."""
    personal: dict[str, list[str]] = field(default_factory=dict)
    """Kinds of personal data by column, for example `{city: [address]}`."""


@dataclass
class ColumnSpec:
    """A column: typed from a source column, computed by `expr`, or looked up in another table."""

    type: str = "string"
    """A Spark SQL type."""
    source: str | None = None
    """Bronze column it is typed from; its own name where nothing else is said."""
    expr: str | None = None
    """Spark SQL over the typed columns of the row."""
    lookup: str | None = None
    """`lookup_name.column`: published null (or `default`) until the looked-up row arrives."""
    default: str | None = None
    """Spark SQL that stands in for a null lookup."""
    required: bool = False
    """Rows for which it is null go to quarantine."""
    doc: str = ""
    """Meaning, shown by `lakehouse show`."""
    personal: list[str] = field(default_factory=list)
    """Kinds of personal data in it, for example `[name, contact]`."""


@dataclass
class RuleSpec:
    """A row rule: rows for which `when` holds go to quarantine."""

    when: str = MUST_GIVE
    """Spark SQL over the typed columns that holds for a bad row."""
    column: str = MUST_GIVE
    """The column that the reason names with its value."""
    says: str = MUST_GIVE
    """The rule in words, completing 'value ...'."""
    name: str | None = None
    """Name under which rows are quarantined, where several rules share one; its key otherwise."""


@dataclass
class JoinSpec:
    """Another table reached by equal columns: `by` maps own column to the other table's column."""

    table: str = MUST_GIVE
    """The other table, as `layer.table`."""
    by: dict[str, str] = field(default_factory=dict)
    """Own column: column of the other table."""


@dataclass
class QuarantineLimit:
    """The gate blocks when more rows than both bounds are quarantined in a batch."""

    share: float = 0.05
    """Share of the batch, 0 to 1."""
    rows: int = 20
    """Rows of the batch."""
    waiting_share: float = 1.0
    """Own limit for rows that wait for a reference; 1.0 never blocks."""


@dataclass
class WindowSpec:
    """A key counts once in each window of time; windows are counted from 1970-01-01."""

    column: str = MUST_GIVE
    """Date or timestamp of the event."""
    days: int = 1
    """Length of a window."""


@dataclass
class PartitionSpec:
    """What places a row in time, so that a backfill finds the rows of a day, a week or a month."""

    column: str = MUST_GIVE
    """Date or timestamp column of the table."""
    source: str = MUST_GIVE
    """Bronze column that it comes from; its text starts with the date, as in 2018-03-01 10:00:00."""


@dataclass
class VolumeSpec:
    """Rows that must arrive from one layer in the next."""

    input: str = MUST_GIVE
    """SQL that gives one number from the inputs."""
    output: str = MUST_GIVE
    """Aggregate over the table as it will be."""
    tolerance: float = 0.0
    """Relative difference that still passes."""


@dataclass
class SilverSpec:
    """A silver table."""

    description: str = ""
    """What a row is."""
    strategy: Strategy = Strategy.upsert
    """How the table follows its input."""
    source: str | None = None
    """The bronze table it is fed from row by row; none for `sql` and a history of `events`."""
    key: list[str] = field(default_factory=list)
    """Columns that identify a row; for `scd2` the natural key."""
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns in their order."""
    rules: dict[str, RuleSpec] = field(default_factory=dict)
    """Row rules by name, tried in their order."""
    references: dict[str, JoinSpec] = field(default_factory=dict)
    """Rows whose referenced row is not published wait in quarantine and are tried again."""
    lookups: dict[str, JoinSpec] = field(default_factory=dict)
    """Tables that columns are looked up in, by name."""
    reduce: str | None = None
    """SQL file over the view `rows` that folds the rows of a delivery to one row a key."""
    samples: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns of `rows`, the typed input of `reduce`; rules and references apply to them."""
    quarantine: QuarantineLimit = field(default_factory=QuarantineLimit)
    """How many rows of a batch may be kept out."""
    events: str | None = None
    """SQL file that gives the change events (`scd2` without a source)."""
    sql: str = ""
    """SQL file of a query whose result the table is, as in gold; then it has no source."""
    inputs: list[str] = field(default_factory=list)
    """Tables that the query or the events are read from."""
    groups: dict[str, str] = field(default_factory=dict)
    """Which keys a changed row of an input touches, as in gold (`sql`, `scd2` of `events`)."""
    group_by: list[str] = field(default_factory=list)
    """Columns whose values `groups` gives, as in gold; the key where empty (`sql`)."""
    fold: dict[str, Fold] = field(default_factory=dict)
    """How a column of a stored row and of new rows become one, as in gold (`sql`)."""
    full: str = ""
    """Why the table has no groups and is computed whole (`sql`)."""
    cluster_by: list[str] = field(default_factory=list)
    """Columns that the rows of each commit are sorted by, over files of bounded size: a query for some of
    their values reads few files (`append`, `events`)."""
    sequence_by: list[str] = field(default_factory=list)
    """Order of the events of a key, most significant first; the order of delivery where empty. Of equal
    sequences a delete wins, then the greater values. For `scd2` the first is the instant of a change."""
    delete_when: str | None = None
    """Spark SQL over the typed columns that holds for a delete event."""
    deletes: Deletes = Deletes.soft
    """What a delete event leaves (`upsert`, `snapshot`)."""
    delete_missing: bool = False
    """A key that the newest snapshot lacks is deleted (`snapshot`)."""
    missing_share: float = 0.2
    """The gate blocks a snapshot that deletes a larger share of the table's rows, 0 to 1."""
    ignore_null_updates: bool = False
    """A null is no value: each column keeps the last value that was given (`upsert`)."""
    window: WindowSpec | None = None
    """A key counts once in each such window, for ever where none is given (`append`)."""
    first_wins: bool = False
    """Of the rows of a key the one that was delivered first counts, not the greatest (`append`)."""
    track: list[str] = field(default_factory=list)
    """Columns whose change starts a new span (`scd2`)."""
    partition: PartitionSpec | None = None
    """What places a row in time; without it a backfill takes the table whole."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old the newest delivery in it may be, for example `26 hours`."""

    @property
    def row_columns(self) -> dict[str, ColumnSpec]:
        """Columns of a typed input row, before any folding."""
        return self.samples if self.reduce else self.columns

    @property
    def is_derived(self) -> bool:
        """Whether the table is a query, or computed from the events of its keys, not merged row by row."""
        return bool(self.sql) or self.strategy is Strategy.scd2 or self.ignore_null_updates

    @property
    def marks_deleted(self) -> bool:
        """Whether rows carry `_is_deleted`."""
        if self.strategy is Strategy.events:
            return self.delete_when is not None
        deletes = self.delete_when is not None or self.delete_missing
        return deletes and self.deletes is Deletes.soft and self.strategy is not Strategy.scd2

    @property
    def hides_deleted(self) -> bool:
        """Whether queries of the domain see the table without its deleted rows."""
        return self.marks_deleted and self.strategy is not Strategy.events


@dataclass
class GoldSpec:
    """A gold table: the result of one query, published by key."""

    description: str = ""
    """What a row is and which rows there are."""
    key: list[str] = field(default_factory=list)
    """The grain: columns that identify a row."""
    inputs: list[str] = field(default_factory=list)
    """Tables that the query reads, as `layer.table`."""
    sql: str = MUST_GIVE
    """SQL file of the query."""
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns of the query's result in their order."""
    groups: dict[str, str] = field(default_factory=dict)
    """Which keys a changed row touches, by input: Spark SQL that gives the key columns, a select list over
    the view `changes` (the row before and after its change), or a whole `select` that reads it."""
    group_by: list[str] = field(default_factory=list)
    """Columns whose values `groups` gives, where rows of several keys are computed together; the key where
    empty."""
    fold: dict[str, Fold] = field(default_factory=dict)
    """How a column of a stored row and of new rows become one (`sum`, `min`, `max`). Then a group that only
    gained rows is not computed from all its rows."""
    full: str = ""
    """Why the table has no such groups and is computed whole, for example a rank over all rows."""
    volume: VolumeSpec | None = None
    """What must arrive from the inputs."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old the newest delivery in it may be, for example `26 hours`."""


@dataclass
class Roots:
    """Folders that a domain's SQL files and checks are found in."""

    sql: str = MUST_GIVE
    """Folder of the SQL files."""
    checks: str = MUST_GIVE
    """Folder of the checks, `<layer>/<table>.yml`."""


@dataclass
class DomainSpec:
    """A whole domain."""

    name: str = MUST_GIVE
    """Name of the file; part of the names of the databases."""
    description: str = ""
    """What the domain is about."""
    owner: str = ""
    """Who answers for its tables."""
    roots: Roots = field(default_factory=Roots)
    """Where its SQL files and checks are."""
    generator: str | None = None
    """Module with `generate(to, *, rows, seed, defects, ...)` for data to try the domain with."""
    as_of: str = MUST_GIVE
    """SQL for the newest business date; freshness is measured against it, never the clock."""
    score_threshold: float = 0.0
    """Data-quality score, 0 to 1, below which a gate blocks."""
    anomalies: VolumeLimits = field(default_factory=VolumeLimits)
    """Control limits of row counts, for tables without their own."""
    bronze: dict[str, SourceSpec] = field(default_factory=dict)
    """Sources, by bronze table."""
    silver: dict[str, SilverSpec] = field(default_factory=dict)
    """Silver tables by name."""
    gold: dict[str, GoldSpec] = field(default_factory=dict)
    """Gold tables by name."""

    def ref(self, label: str) -> TableRef:
        """The table reference of `layer.table`."""
        return TableRef.parse(self.name, label)

    def volume_limits(self, table: TableRef) -> VolumeLimits:
        """Control limits of a table's row counts: its own, else the domain's."""
        own: VolumeLimits | None = getattr(self, table.layer)[table.name].anomalies
        return own or self.anomalies

    def tables(self) -> list[TableRef]:
        """Every table, each after those it reads."""
        return [self.ref(label) for label in ordered(dependencies(self))]


def expanded(domain: DomainSpec) -> DomainSpec:
    """The domain with a table of events before each history that is fed row by row.

    `silver.accounts` from `bronze.accounts` becomes `silver.accounts__events`, which holds every distinct
    event and has the rules and the quarantine, and `silver.accounts`, computed from the events of its keys.
    """
    silver: dict[str, SilverSpec] = {}
    for name, table in domain.silver.items():
        if not (table.is_derived and table.source):
            silver[name] = table
            continue
        events = f"silver.{name}{EVENTS}"
        silver[f"{name}{EVENTS}"] = replace(
            table,
            strategy=Strategy.events,
            description=f"Every distinct change event of silver.{name}",
            ignore_null_updates=False,
            track=[],
        )
        kept = [*table.key, *table.track]
        history = table.strategy is Strategy.scd2
        silver[name] = replace(
            table,
            source=None,
            inputs=[events],
            groups={events: ", ".join(f"`{k}`" for k in table.key)},
            columns={n: c for n, c in table.columns.items() if n in kept or not history},
            rules={},
            references={},
            partition=None,
        )
    return replace(domain, silver=silver)


def is_query(groups: str) -> bool:
    """Whether the text of `groups` is a whole query instead of a select list."""
    return groups.lstrip().lower().startswith(("select", "with"))


def sql_files(table: SourceSpec | SilverSpec | GoldSpec) -> list[str]:
    """The SQL files that a table names, below the domain's root."""
    named = (getattr(table, kind, None) for kind in ("reduce", "events", "sql"))
    return [path for path in named if path]


def dependencies(domain: DomainSpec) -> dict[str, tuple[str, ...]]:
    """The tables that each table reads, by `layer.table`."""
    graph: dict[str, tuple[str, ...]] = {f"bronze.{name}": () for name in domain.bronze}
    for name, silver in domain.silver.items():
        joined = [j.table for j in (*silver.references.values(), *silver.lookups.values())]
        source = [silver.source] if silver.source else []
        graph[f"silver.{name}"] = tuple(dict.fromkeys([*source, *joined, *silver.inputs]))
    for name, gold in domain.gold.items():
        graph[f"gold.{name}"] = tuple(gold.inputs)
    return graph


def ordered(graph: dict[str, tuple[str, ...]]) -> list[str]:
    """Topological order that keeps the declared order where it can.

    Raises:
        graphlib.CycleError: Tables read each other in a circle.
    """
    return list(TopologicalSorter(graph).static_order())
