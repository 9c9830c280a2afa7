"""Records of a REST API, frozen as JSON lines and then read as such.

Each run asks for what changed since the last watermark less the overlap, and offers the records that bronze
does not hold. It reads all pages before it offers one record: an extraction is whole, or there is none. What
was read is what is checked and published.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from storage.errors import InputError
from tasks.domain.spec import RestSpec, SourceSpec, WatermarkType
from tasks.ingest.sources.hashing import record_hash
from tasks.ingest.sources.json_lines import stage_lines
from tasks.ingest.sources.position import advanced, known
from tasks.ingest.sources.reader import Offer, Request, StagedFile
from tasks.ingest.sources.rest.extraction import Extraction, extract, frozen_lines
from tasks.ingest.sources.rest.since import SPARK_TYPES, Value, below, compared, parsed, written
from tasks.ingest.sources.unseen import HASH, unseen
from tasks.ingest.sources.watermark import Overlap
from tasks.landing.folders import Landing


class RestReader:
    """One kind of record of a REST API."""

    shape = "answer"
    keeps_deliveries = False

    def __init__(self, source: SourceSpec) -> None:
        self._source = source

    @property
    def note(self) -> str | None:
        return "watermark" if self._source.watermark is not None else None

    def waits_for(self, landing: Landing) -> str:
        del landing
        return f"no record of {self._spec.path}"

    @property
    def _spec(self) -> RestSpec:
        if self._source.rest is None:
            raise InputError("a source of kind rest has no `rest`", advice="Say what to ask.")
        return self._source.rest

    def offers(self, request: Request) -> list[Offer] | None:
        if request.session is None:
            return None
        shutil.rmtree(request.scratch, ignore_errors=True)
        frozen = request.scratch / "frozen.jsonl"
        try:
            read = self._extracted(request, frozen)
            return self._offers(request, request.session, read)
        finally:
            frozen.unlink(missing_ok=True)

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        if not offer.path.stat().st_size:
            return _without_records(self._source, offer, target)
        lines = frozen_lines(offer.path)
        return stage_lines(lines, self._source, target, sha256=offer.sha256, of=offer.name)

    def _extracted(self, request: Request, frozen: Path) -> Extraction:
        os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
        from tasks.ingest.sources.rest.client import Connection  # noqa: PLC0415 - dlt takes seconds to import

        api = Connection(self._spec, f"bronze.{request.table}")
        until = self._until()
        text = known(self._source, request.position).get("value")
        value = parsed(text, self._spec.watermark_type)
        if value is not None and until is not None and value > until:
            value = None  # it hides records that nobody has read
        read = Extraction(frozen, highest=None if value is None else (value, str(text)))
        extract(api, self._spec, self._source.watermark, self._since(value), until, read)
        return read

    def _until(self) -> Value | None:
        """The instant beyond which no watermark counts as reached; None for numbers."""
        kind = self._spec.watermark_type
        now = datetime.now(UTC).isoformat()
        return parsed(now, kind) if kind is WatermarkType.instant else None

    def _since(self, reached: Value | None) -> Value | None:
        """From where records are asked for."""
        watermark = self._source.watermark
        if watermark is None or reached is None:
            return parsed(self._spec.initial_value, self._spec.watermark_type)
        try:
            return below(reached, Overlap.parse(watermark.overlap))
        except ValueError as error:
            raise InputError(
                f"watermark {watermark.column} = {written(reached)}: {error}",
                advice="Set `watermark.overlap` to a duration for instants, a number for numbers.",
            ) from None

    def _offers(self, request: Request, session: SparkSession, read: Extraction) -> list[Offer]:
        """What of the frozen extraction is new, as one file."""
        lines = request.scratch / "records.jsonl"
        digests = self._fresh(request, session, read, lines)
        sha256 = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
        watermark = self._source.watermark
        if watermark is None:
            is_known = request.taken[-1].sha256 == sha256 if request.taken else not digests
            return [] if is_known else [Offer(lines, f"rest:{request.table}@{sha256[:12]}", sha256)]
        if not digests:
            return []
        reached = None if read.highest is None else read.highest[1]
        position = advanced(self._source, reached)
        return [Offer(lines, f"rest:{request.table}@{reached}", sha256, position)]

    def _fresh(
        self, request: Request, session: SparkSession, read: Extraction, target: Path
    ) -> list[bytes]:
        """Write the lines that bronze does not hold, and give their digests."""
        watermark = self._source.watermark
        if watermark is None or request.held is None or not read.digests:
            read.lines.rename(target)
            return read.digests
        parquet = request.scratch / "frozen.parquet"
        stage_lines(frozen_lines(read.lines), self._source, parquet, sha256="")
        rows = session.read.parquet(str(parquet)).withColumn(
            HASH, record_hash(self._source.columns)
        )
        fresh = unseen(
            rows, request.held(), watermark,
            since=None if read.lowest is None else compared(read.lowest),
            type_name=SPARK_TYPES[self._spec.watermark_type],
        )  # fmt: skip
        numbers = {row[0] for row in fresh.select("_record_number").collect()}
        parquet.unlink()
        return _selected(read, numbers, target)


def _selected(read: Extraction, numbers: Iterable[int], target: Path) -> list[bytes]:
    """Write the lines of these numbers, from 1."""
    wanted = set(numbers)
    with (
        read.lines.open(encoding="utf-8", newline="\n") as lines,
        target.open("w", encoding="utf-8") as file,
    ):
        file.writelines(line for number, line in enumerate(lines, 1) if number in wanted)
    return [digest for number, digest in enumerate(read.digests, 1) if number in wanted]


def _without_records(source: SourceSpec, offer: Offer, target: Path) -> StagedFile:
    """The delivery of a source whose records are all gone."""
    texts = [(column, pa.string()) for column in source.columns]
    schema = pa.schema([*texts, ("_record_number", pa.int64()), ("_rescued", pa.string())])
    pq.write_table(schema.empty_table(), target)
    return StagedFile(target, offer.sha256, 0, sparse=True)
