"""Tables of a database, extracted through Spark's JDBC reader.

With a watermark, each run reads the rows from the last watermark less the overlap on, and offers those
that bronze does not hold. Without one, each run reads the whole table and offers it where it differs
from the last delivery. The database is read once; what was read is what is checked and published.

All values become text: numbers in full, without a change of scale; instants as
`2026-03-01 10:00:00.123456` in UTC, those without a time zone as they are; dates as `2026-03-01`; booleans
`true` and `false`; binary values as hexadecimal digits; arrays and structures as JSON.
Options of the reader: https://spark.apache.org/docs/latest/sql-data-sources-jdbc.html
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    MapType,
    StructField,
    StructType,
)

from storage.errors import InputError
from storage.failures import NATIVE
from storage.parquet_reading import spark_rows
from storage.sql import quote
from tasks.domain.spec import KeySnapshotSpec, SourceSpec
from tasks.ingest.sources.hashing import record_hash, rows_sha256
from tasks.ingest.sources.jdbc import key_snapshot
from tasks.ingest.sources.jdbc.connection import Loaded, explained, field_of, loaded, place
from tasks.ingest.sources.jdbc.postgres import bound_of, is_text, text_of
from tasks.ingest.sources.position import advanced, known
from tasks.ingest.sources.reader import Offer, Request, StagedFile
from tasks.ingest.sources.unseen import HASH, unseen
from tasks.ingest.sources.watermark import Overlap, ahead, dated, is_ahead, is_dated
from tasks.landing.folders import Landing

WATERMARK = "_watermark"


@dataclass(frozen=True)
class Extraction:
    """What is read: the source's columns as text, and `_watermark` typed as in the database.

    Attributes:
        type_name: Spark's name of the watermark's type.
        started: When it began.
        reached: Text of the watermark that it goes on from; None where it starts over.
        since: Text of the value from which on rows are read; None for all.
        missing: Columns of the source that the table lacks.
        types: Every column of the table and its type; those of the source under its names.
    """

    rows: DataFrame
    type_name: str
    started: datetime
    reached: str | None
    since: str | None
    missing: tuple[str, ...]
    types: Mapping[str, str]


class JdbcReader:
    """One table or query of a database."""

    shape = "table"
    keeps_deliveries = False

    def __init__(self, source: SourceSpec) -> None:
        self._source = source

    @property
    def note(self) -> str | None:
        return "watermark" if self._source.watermark is not None else None

    def waits_for(self, landing: Landing) -> str:
        del landing
        return f"no row of {place(self._source)}"

    def offers(self, request: Request) -> list[Offer] | None:
        if request.session is None:
            return None
        shutil.rmtree(request.scratch, ignore_errors=True)
        extraction = self._frozen(request, request.session)
        try:
            return self._offers(request, request.session, extraction)
        finally:
            for name in ("raw", "keys"):
                shutil.rmtree(request.scratch / name, ignore_errors=True)

    def _offers(
        self, request: Request, session: SparkSession, extraction: Extraction
    ) -> list[Offer]:
        """What of the frozen extraction is new, as one file."""
        frozen = spark_rows(session, request.scratch / "raw")
        fresh = frozen.withColumn(HASH, record_hash(self._source.columns))
        if self._source.watermark is not None:
            return self._since_last(request, session, extraction, frozen, fresh)
        file = _numbered(fresh, self._source.columns, request.scratch / "rows")
        sha256 = rows_sha256(file, HASH)
        is_known = bool(request.taken) and request.taken[-1].sha256 == sha256
        name = f"jdbc:{request.table}@{sha256[:12]}"
        offer = Offer(file, name, sha256, missing=extraction.missing, types=extraction.types)
        return [] if is_known else [offer]

    def _since_last(
        self,
        request: Request,
        session: SparkSession,
        extraction: Extraction,
        frozen: DataFrame,
        fresh: DataFrame,
    ) -> list[Offer]:
        """The rows that bronze does not hold, then the deletes that a key snapshot finds."""
        watermark_spec, spec = self._source.watermark, self._source.key_snapshot
        assert watermark_spec is not None  # noqa: S101 - the caller has looked
        held = request.held() if request.held is not None else None
        if (
            spec is not None and not watermark_spec.key
        ):  # a row that comes back as it was is an event
            watermark_spec = replace(watermark_spec, key=spec.key)
        fresh = unseen(
            fresh, held, watermark_spec, since=extraction.since, type_name=extraction.type_name
        )
        file = _numbered(fresh, self._source.columns, request.scratch / "rows")
        rows = pq.read_metadata(file).num_rows
        reached = _highest(frozen, extraction)
        before = known(self._source, request.position)
        compares = spec is not None and held is not None and key_snapshot.due(spec, before)
        position = advanced(self._source, reached)
        compared = before.get(key_snapshot.COMPARED)
        compared = datetime.now(UTC).isoformat() if compares else compared
        if position is not None and compared:
            position[key_snapshot.COMPARED] = compared
        offer = Offer(
            file, f"jdbc:{request.table}@{reached}", rows_sha256(file, HASH), position,
            extraction.missing, extraction.types,
        )  # fmt: skip
        offers = [offer] if rows else []
        if spec is not None and compares and held is not None:
            keys = self._keys(request, session, spec)
            written = session.read.parquet(str(file))
            newest = key_snapshot.newest(self._source, spec, held, written)
            has_read_all = extraction.since is None
            if not has_read_all and key_snapshot.has_returned(spec, newest, keys):
                return self.offers(replace(request, position=None)) or []
            offers += self._deletes(request, offer, spec, newest, keys)
        return offers

    def _deletes(
        self, request: Request, offer: Offer, spec: KeySnapshotSpec, newest: DataFrame,
        keys: DataFrame,
    ) -> list[Offer]:  # fmt: skip
        """The keys that the database has no more, as one file of deleted rows."""
        gone = key_snapshot.vanished(self._source, spec, newest, keys)
        key = F.to_json(F.struct(*[F.col(quote(c)) for c in spec.key]))
        file = _numbered(
            gone.select(
                "*", F.sha2(key, 256).alias(HASH), key.alias(WATERMARK),
                F.lit(None).cast("string").alias("_rescued"),
            ),
            self._source.columns,
            request.scratch / "deleted",
        )  # fmt: skip
        count = pq.read_metadata(file).num_rows
        sha256 = rows_sha256(file, HASH)
        found = replace(
            offer, path=file, name=f"jdbc:{request.table}-deleted@{sha256[:12]}", sha256=sha256,
            concern=key_snapshot.concern(spec, count, keys.count()), found_again=True,
        )  # fmt: skip
        return [found] if count else []

    def _keys(self, request: Request, session: SparkSession, spec: KeySnapshotSpec) -> DataFrame:
        """Every key in the database, by one statement, kept in the scratch folder."""
        folder = str(request.scratch / "keys")
        try:
            table = loaded(session, self._source, parted=False)
            named = {c: field_of(table.native, c) for c in spec.key}
            if None in named.values():
                wanted = next(c for c, f in named.items() if f is None)
                raise InputError(
                    f"{place(self._source)}: it has no column {wanted} of key_snapshot.key",
                    advice="Name the columns as the database does.",
                )
            texts = [_text(table, f).alias(c) for c, f in named.items() if f is not None]
            table.rows.select(*texts).write.parquet(folder)
        except NATIVE as error:
            failure = explained(self._source, request.table, error)
        else:
            return spark_rows(session, folder)
        raise failure

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        shutil.move(offer.path, target)
        rows = pq.read_metadata(target).num_rows
        unknown = tuple(c for c in offer.types if c not in self._source.columns)
        return StagedFile(
            target, offer.sha256, rows, missing=offer.missing, unknown=unknown, types=offer.types
        )

    def extraction(self, session: SparkSession, watermark: str | None) -> Extraction:
        """The rows to read, lazily; the database itself evaluates the condition on the watermark.

        Raises:
            InputError: The table lacks the watermark's column or every column of the source, or the
                overlap does not fit the watermark.
        """
        started = datetime.now(UTC)
        table = loaded(session, self._source)
        rows, native = table.rows, table.native
        given = key_snapshot.given(self._source)
        own = [c for c in self._source.columns if c not in given]
        found = {c: f for c in own if (f := field_of(native, c)) is not None}
        missing = tuple(c for c in own if c not in found)
        column = self._source.watermark.column if self._source.watermark is not None else None
        lacking = [c for c in missing if c == column or not found]
        if lacking:
            raise InputError(
                f"{place(self._source)}: it has no column {', '.join(lacking)}; "
                f"it has {', '.join(native.names)}",
                advice="Name the columns as the database does.",
            )
        type_name, since = "string", None
        value: Column = F.lit(None).cast("string")
        if column is not None:
            field = found[column]
            type_name, value = field.dataType.simpleString(), F.col(quote(field.name))
            if watermark is not None and is_ahead(watermark, type_name, started):
                watermark = None  # it hides rows that nobody has read
            since = self._since(watermark, type_name)
            as_text = is_text(rows.schema[field.name], field.dataType)
            if since is not None:
                bound = bound_of(since, field.dataType) if as_text else F.lit(since).cast(type_name)
                rows = rows.where((value >= bound) | value.isNull())
            value = _text(table, field).try_cast(type_name) if as_text else value
        texts = [
            (key_snapshot.alive(c) if c in given
             else _text(table, found[c]) if c in found
             else F.lit(None).cast("string")).alias(c)
            for c in self._source.columns
        ]  # fmt: skip
        names = {f.name: declared for declared, f in found.items()}
        types = {names.get(f.name, f.name): f.dataType.simpleString() for f in native.fields}
        types |= dict.fromkeys(given, "string")
        rest = [f for f in native.fields if f.name not in names]
        rows = rows.select(*texts, value.alias(WATERMARK), _rescued(table, rest).alias("_rescued"))
        return Extraction(rows, type_name, started, watermark, since, missing, types)

    def _since(self, watermark: str | None, type_name: str) -> str | None:
        watermark_spec = self._source.watermark
        if watermark_spec is None or watermark is None:
            return None
        overlap = Overlap.parse(watermark_spec.overlap)
        if type_name == "string" and overlap.duration is not None and not is_dated(watermark):
            return None  # a text among the dates that an earlier version took for the highest
        try:
            return overlap.below(watermark, type_name)
        except ValueError as error:
            raise InputError(
                f"watermark {watermark_spec.column} = {watermark!r}: {error}",
                advice="Set `watermark.overlap` to a duration for instants, a number for numbers.",
            ) from None

    def _frozen(self, request: Request, session: SparkSession) -> Extraction:
        """Read the database, once, into the scratch folder.

        A native error is dropped with its traceback, because both may hold the url.
        """
        try:
            extraction = self.extraction(
                session, known(self._source, request.position).get("value")
            )
            extraction.rows.write.parquet(str(request.scratch / "raw"))
        except NATIVE as error:
            failure = explained(self._source, request.table, error)
        else:
            return extraction
        raise failure


def _text(table: Loaded, field: StructField) -> Column:
    """The text of one of the table's columns, given as the database has it."""
    column, read = F.col(quote(field.name)), table.rows.schema[field.name]
    if is_text(read, field.dataType):
        return text_of(read, field.dataType)
    data_type = read.dataType
    if isinstance(data_type, BinaryType):
        return F.hex(column)
    if isinstance(data_type, ArrayType | MapType | StructType):
        return F.to_json(column)
    return column.cast("string")


def _rescued(table: Loaded, fields: Sequence[StructField]) -> Column:
    """The columns that the source does not name, as a JSON object."""
    texts = [_text(table, f).alias(f.name) for f in fields]
    return F.to_json(F.struct(*texts)) if texts else F.lit(None).cast("string")


def _numbered(rows: DataFrame, columns: Sequence[str], folder: Path) -> Path:
    """Write the rows to one file, numbered from 1 in the order of watermark and content."""
    order = [F.col(quote(c)).asc_nulls_first() for c in (WATERMARK, *columns)]
    rows.repartition(1).sortWithinPartitions(*order).select(
        *map(quote, columns),
        HASH,
        (F.monotonically_increasing_id() + 1).alias("_record_number"),
        "_rescued",
    ).write.parquet(str(folder))
    return next(folder.glob("*.parquet"))


def _highest(rows: DataFrame, read: Extraction) -> str | None:
    """The highest watermark read that is not ahead; never below the one before, whose row may be gone.

    Among dates as text another text, such as `n/a`, is not a watermark: it sorts after all of them for ever.
    """
    passed = F.when(~ahead(F.col(WATERMARK), read.type_name, read.started), F.col(WATERMARK))
    highest, dates = F.max(passed), F.max(F.when(dated(F.col(WATERMARK)), passed))
    if read.reached is not None:
        reached = F.lit(read.reached).cast(read.type_name)
        highest = F.greatest(highest, reached)
        dates = F.greatest(dates, reached) if is_dated(read.reached) else dates
    if read.type_name == "string":
        highest = F.coalesce(dates, highest)
    value = rows.agg(highest.cast("string").alias("value")).collect()[0]["value"]
    return None if value is None else str(value)
