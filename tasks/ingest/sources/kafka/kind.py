"""A topic of Kafka as a kind of source."""

from __future__ import annotations

from tasks.ingest.sources.kafka.reader import KafkaReader
from tasks.ingest.sources.kafka.validation import kafka_problems
from tasks.ingest.sources.kind import Kind

KIND = Kind("kafka", KafkaReader, kafka_problems, keys=frozenset({"kafka"}))
