"""When the messages of a partition are read, from what the library hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError

from storage.errors import TransientError
from tasks.domain.spec import KafkaSpec
from tasks.ingest.sources.kafka.client import KafkaClient


@dataclass(frozen=True)
class Handed:
    """A message, or an event of the library."""

    at: tuple[int, int]
    code: int | None = None

    def error(self) -> KafkaError | None:
        return None if self.code is None else KafkaError(self.code)

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]


class Consumer:
    """Hands over what it was given, one list a call, then nothing."""

    def __init__(self, *found: Sequence[Handed]) -> None:
        self._found = list(found)

    def assign(self, partitions: object) -> None:
        del partitions

    def consume(self, number: int, seconds: float) -> Sequence[Handed]:
        del number, seconds
        return self._found.pop(0) if self._found else []

    def close(self) -> None:
        pass


def end_of(partition: int, offset: int) -> Handed:
    return Handed((partition, offset), KafkaError._PARTITION_EOF)


def read(monkeypatch: pytest.MonkeyPatch, *found: Sequence[Handed]) -> list[int]:
    """The offsets read of partition 1, of which 0 to 2 are wanted."""
    monkeypatch.setattr("tasks.ingest.sources.kafka.client.Consumer", lambda _: Consumer(*found))
    client = KafkaClient(KafkaSpec(servers="h:1", topic="t", patience_seconds=0.01))
    return [message.offset() or 0 for message in client.messages({1: (0, 3)})]


@pytest.mark.parametrize("early", [end_of(0, 9), end_of(1, 1), Handed((0, 7))])
def test_nothing_but_its_own_end_ends_a_partition(
    monkeypatch: pytest.MonkeyPatch, early: Handed
) -> None:
    first, *others = (Handed((1, offset)) for offset in range(3))
    assert read(monkeypatch, [first, early], others) == [0, 1, 2]


def test_an_end_behind_records_of_transactions_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, [Handed((1, 0))], [end_of(1, 3)]) == [0]


def test_an_end_that_comes_too_early_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransientError):
        read(monkeypatch, [Handed((1, 0))], [end_of(1, 1)])
