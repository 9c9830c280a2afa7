"""What does not fit together in the declaration of a topic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.domain.spec import FileFormat, KafkaSpec, SourceKind, SourceSpec
from tasks.ingest.sources.validation import source_problems

OPTIONS = {
    "sasl.username": "u",
    "sasl.password": "{secret:SHOP_PASSWORD}",
    "ssl.key.location": "/run/key.pem",
    "sasl.oauthbearer.token.endpoint.url": "https://login.example.org",
}
TOPIC = KafkaSpec(servers="h:9092", topic="t", options=OPTIONS)
SOURCE = SourceSpec(columns=["id"], kind=SourceKind.kafka, kafka=TOPIC)
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "a password in the file": ({"options": OPTIONS | {"sasl.password": "gehe1m"}},
        "kafka.options.sasl.password: write ${secret:NAME}, not the secret itself"),
    "a key in the file": ({"options": {"ssl.key.pem": "gehe1m"}},
        "kafka.options.ssl.key.pem: write ${secret:NAME}, not the secret itself"),
    "an option of the platform": ({"options": {"Enable.Auto.Commit": "true"}},
        "kafka.options.Enable.Auto.Commit: is set by the platform"),
    "no message": ({"max_messages": 0}, "kafka.max_messages: at least 1"),
    "no patience": ({"patience_seconds": 0}, "kafka.patience_seconds: more than 0"),
}  # fmt: skip


def test_a_consistent_topic_has_no_problem() -> None:
    assert source_problems(SOURCE) == []


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_each_problem_is_named(changes: dict[str, Any], expected: str) -> None:
    assert source_problems(replace(SOURCE, kafka=replace(TOPIC, **changes))) == [expected]


def test_messages_are_json() -> None:
    parquet = replace(SOURCE, format=FileFormat.parquet)
    assert source_problems(parquet) == ["format: messages are JSON, not parquet"]
