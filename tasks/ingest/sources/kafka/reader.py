"""A topic of Apache Kafka: messages as JSON, flat or in a Debezium envelope.

Each run reads from the offsets in the bronze table's own commit record up to what the topic held when it
began. What is read is written to the scratch folder first; that is what is checked and published, and
with it the offsets from which the next run goes on. Consumer groups play no part.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from storage.errors import InputError
from tasks.domain.spec import Envelope, KafkaSpec, OnDataLoss, SourceSpec
from tasks.ingest.sources.debezium import DELETED
from tasks.ingest.sources.json_lines import Line, stage_lines
from tasks.ingest.sources.kafka.client import KafkaClient, Topic
from tasks.ingest.sources.reader import Offer, Request, StagedFile
from tasks.landing.content import marked
from tasks.landing.folders import Landing

Spans = dict[int, tuple[int, int]]
"""By partition, the first offset to read and the one after the last."""

METADATA = ("__topic", "__partition", "__offset", "__timestamp", "__key", DELETED)
"""What a message has beside its value, where the source names it among its columns."""
OTHERS = "others"
"""Key of a position: by name, those of the topics that the table read before."""
NAMED_LOSSES = 3
CHUNK_MESSAGES = 10_000
GROUP_BYTES = 32 * 1024 * 1024
_SCHEMA = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("timestamp", pa.int64()),
     ("key", pa.binary()), ("value", pa.binary())]
)  # fmt: skip


class KafkaReader:
    """One topic."""

    shape = "messages"
    keeps_deliveries = False
    note = "offsets"

    def __init__(self, source: SourceSpec) -> None:
        assert source.kafka is not None  # noqa: S101 - validated before
        self._source = source
        self._spec: KafkaSpec = source.kafka

    def waits_for(self, landing: Landing) -> str:
        del landing
        return f"no message in topic {self._spec.topic}"

    def offers(self, request: Request) -> list[Offer] | None:
        client = KafkaClient(self._spec)
        topic = client.topic()
        before = _before(self._spec, request)
        spans, lost = unread(self._spec, topic, before)
        if not any(start < end for start, end in spans.values()):
            return []
        if request.session is None:
            return None  # there is something; reading it is for the run itself
        shutil.rmtree(request.scratch, ignore_errors=True)
        taken = within(spans, self._spec.max_messages)
        file = request.scratch / "messages.parquet"
        rows, sha256 = _freeze(client.messages(taken), file)
        if not rows and taken == spans:
            return []  # records of transactions that were given up
        position: dict[str, Any] = {
            "topic": self._spec.topic,
            "id": topic.id,
            "next": {str(p): end for p, (_, end) in taken.items()},
            **_others(self._spec, request.position),
        }
        if lost:
            position["lost"] = lost
        return [Offer(file, _name(self._spec.topic, taken), sha256, position)]

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        lines = _lines(offer.path, self._source, self._spec.topic)
        staged = stage_lines(lines, self._source, target, sha256=offer.sha256)
        offer.path.unlink()
        return staged


def unread(
    spec: KafkaSpec, topic: Topic, before: Mapping[str, Any] | None
) -> tuple[Spans, list[str]]:
    """What is to be read of each partition, and what is gone without having been read.

    A partition that is new is read from its beginning; so is a topic that was never read.

    Raises:
        InputError: Messages are gone, and the source does not say to go on without them.
    """
    if before is None:
        return dict(topic.kept), []
    is_recreated = before["id"] != topic.id
    spans: Spans = {}
    lost: list[str] = []
    for partition, (first, end) in sorted(topic.kept.items()):
        reached = int(before["next"].get(str(partition), 0))
        if not is_recreated and first <= reached <= end:
            spans[partition] = (reached, end)
            continue
        spans[partition] = (first, end)
        if not is_recreated:
            lost.append(
                f"partition {partition}: the next offset to read is {reached}, "
                f"there are {first} to {end - 1}"
            )
    if is_recreated:
        lost = ["it was deleted and made again since it was last read"]
    if lost and spec.on_data_loss is OnDataLoss.fail:
        more = f", and {len(lost) - NAMED_LOSSES} more" if len(lost) > NAMED_LOSSES else ""
        raise InputError(
            f"topic {spec.topic}: messages are gone before they were read: "
            f"{'; '.join(lost[:NAMED_LOSSES])}{more}",
            advice="Keep messages for longer than the time between two runs (`retention.ms` of the topic). "
            "To go on with what is left: kafka.on_data_loss: skip",
        )
    return spans, lost


def within(spans: Spans, messages: int) -> Spans:
    """The spans cut to a number of messages: what is small is taken whole, the rest in equal shares."""
    cut, left = {}, max(messages, len(spans))
    smallest_first = sorted(spans.items(), key=lambda item: item[1][1] - item[1][0])
    for number, (partition, (start, end)) in enumerate(smallest_first):
        share = min(end - start, left // (len(spans) - number))
        cut[partition] = (start, start + share)
        left -= share
    return {partition: cut[partition] for partition in sorted(cut)}


def _before(spec: KafkaSpec, request: Request) -> Mapping[str, Any] | None:
    """The position of the same topic; None where the table never had one.

    Raises:
        InputError: The table holds messages of the topic, and its newest commit does not say how far.
    """
    position = request.position or {}
    if position.get("topic") == spec.topic:
        return position
    before: Mapping[str, Any] | None = position.get(OTHERS, {}).get(spec.topic)
    if before is None and any(f.name.startswith(f"kafka:{spec.topic}@") for f in request.taken):
        raise InputError(
            f"bronze.{request.table}: its newest commit names no offsets of topic {spec.topic}, "
            "though the table holds messages of it",
            advice="Give the topic a bronze table of its own. If another program has written to this "
            "one, roll it back to its last version of this platform. "
            f"See the versions: lakehouse show bronze.{request.table}",
        )
    return before


def _others(spec: KafkaSpec, position: Mapping[str, Any] | None) -> dict[str, Any]:
    """How far the table has come in the topics that it read before this one."""
    if position is None:
        return {}
    others = dict(position.get(OTHERS, {}))
    others[position["topic"]] = {key: position[key] for key in ("id", "next")}
    others.pop(spec.topic, None)
    return {OTHERS: others} if others else {}


def _name(topic: str, spans: Spans) -> str:
    read = (f"{p}:{start}-{end - 1}" for p, (start, end) in spans.items() if start < end)
    return f"kafka:{topic}@{','.join(read)}"


def _freeze(messages: Iterator[Message], file: Path) -> tuple[int, str]:
    """Write messages to a file; their number, and the SHA-256 of their content and places."""
    digest, rows, size = hashlib.sha256(), 0, 0
    group: list[tuple[Any, ...]] = []
    file.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(file, _SCHEMA) as writer:
        for message in messages:
            kind, timestamp = message.timestamp()
            known = None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp
            key, value = message.key(), message.value()
            row = (message.partition(), message.offset(), known, key, value)
            lengths = [None if v is None else len(v) for v in (key, value)]
            digest.update(f"{row[:3]} {lengths}".encode())
            digest.update((key or b"") + (value or b""))
            group.append(row)
            rows += 1
            size += sum(length or 0 for length in lengths) + 64
            if size > GROUP_BYTES:
                writer.write_batch(_batch(group))
                group, size = [], 0
        if group:
            writer.write_batch(_batch(group))
    return rows, digest.hexdigest()


def _batch(group: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*group, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def _lines(file: Path, source: SourceSpec, topic: str) -> Iterator[Line]:
    event = source.envelope is Envelope.debezium  # it tells itself whether it deletes
    named = [n for n in METADATA if n in source.columns and not (event and n == DELETED)]
    number = 0
    with pq.ParquetFile(file) as frozen:
        for batch in frozen.iter_batches(batch_size=CHUNK_MESSAGES):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield _line(number, topic, row, named)


def _line(number: int, topic: str, row: tuple[Any, ...], named: Sequence[str]) -> Line:
    partition, offset, timestamp, key, value = row
    beside = {}
    if named:
        instant = None if timestamp is None else _instant(timestamp)
        found = (topic, str(partition), str(offset), instant, _key(key), _flag(value is None))
        beside = {n: v for n, v in zip(METADATA, found, strict=True) if n in named}
    where = f"message {offset} of {topic}[{partition}]"
    try:
        return Line(number, None if value is None else value.decode("utf-8-sig"), where, beside)
    except UnicodeDecodeError as error:
        other = marked(value)
        fault = f"byte 0x{value[error.start]:02x} at {error.start} is not UTF-8"
        if other is not None:
            fault = f"it is {other.upper()}, as its byte order mark says, and not UTF-8"
        return Line(number, base64.b64encode(value).decode(), where, beside, fault)


def _instant(milliseconds: int) -> str:
    """As text in UTC; the number itself where it is beyond the years 1 to 9999, as microseconds are."""
    try:
        at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
    return f"{at.replace(tzinfo=None)}.{milliseconds % 1000:03d}"


def _key(key: bytes | None) -> str | None:
    """As text; as hexadecimal digits where it is none."""
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return f"0x{key.hex()}" if key is not None else None


def _flag(value: bool) -> str:
    return "true" if value else "false"
