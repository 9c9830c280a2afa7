"""Consistency of a declaration of a topic."""

from __future__ import annotations

from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.kafka.client import OWN_OPTIONS
from tasks.ingest.sources.secrets import REFER, unreferenced


def kafka_problems(source: SourceSpec) -> list[str]:
    """What does not fit together, each with its key."""
    if source.kafka is None:
        return ["kafka: no servers and topic"]
    found = [
        f"kafka.options.{name}: is set by the platform"
        for name in source.kafka.options
        if name.lower() in OWN_OPTIONS
    ]
    found += [f"kafka.options.{name}: {REFER}" for name in unreferenced(source.kafka.options)]
    if source.kafka.max_messages < 1:
        found.append("kafka.max_messages: at least 1")
    if source.kafka.patience_seconds <= 0:
        found.append("kafka.patience_seconds: more than 0")
    if source.format not in (FileFormat.csv, FileFormat.jsonl):
        found.append(f"format: messages are JSON, not {source.format}")
    return found
