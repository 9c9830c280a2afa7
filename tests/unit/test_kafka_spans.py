"""What of a topic is to be read, from its offsets and those of the last commit."""

from __future__ import annotations

from typing import Any

import pytest

from storage.errors import InputError
from tasks.domain.spec import KafkaSpec, OnDataLoss
from tasks.ingest.sources.kafka.client import Topic
from tasks.ingest.sources.kafka.reader import unread, within

FAIL = KafkaSpec(servers="s", topic="t")
SKIP = KafkaSpec(servers="s", topic="t", on_data_loss=OnDataLoss.skip)


def before(**offsets: int) -> dict[str, Any]:
    return {"topic": "t", "id": "one", "next": {name[1:]: n for name, n in offsets.items()}}


def test_a_topic_that_was_never_read_is_read_from_its_oldest_message() -> None:
    assert unread(FAIL, Topic("one", {0: (40, 50)}), None) == ({0: (40, 50)}, [])


def test_reading_goes_on_where_it_ended_and_a_new_partition_begins_at_its_beginning() -> None:
    topic = Topic("one", {0: (0, 50), 1: (0, 3)})
    assert unread(FAIL, topic, before(p0=45)) == ({0: (45, 50), 1: (0, 3)}, [])


@pytest.mark.parametrize(("kept", "reached"), [((46, 50), 45), ((0, 44), 45)])
def test_offsets_that_are_not_there_any_more_are_a_loss(
    kept: tuple[int, int], reached: int
) -> None:
    topic = Topic("one", {0: kept})
    with pytest.raises(InputError, match="the next offset to read is 45"):
        unread(FAIL, topic, before(p0=reached))
    spans, lost = unread(SKIP, topic, before(p0=reached))
    assert spans == {0: kept}
    assert len(lost) == 1


def test_another_topic_of_the_same_name_is_a_loss_and_is_read_from_its_beginning() -> None:
    topic = Topic("two", {0: (0, 99)})
    with pytest.raises(InputError, match="made again"):
        unread(FAIL, topic, before(p0=45))
    assert unread(SKIP, topic, before(p0=45))[0] == {0: (0, 99)}


@pytest.mark.parametrize(
    ("spans", "messages", "cut"),
    [
        ({0: (5, 10)}, 100, {0: (5, 10)}),
        ({0: (0, 100), 1: (0, 4)}, 20, {0: (0, 16), 1: (0, 4)}),
        ({0: (0, 100), 1: (7, 100)}, 20, {0: (0, 10), 1: (7, 17)}),
        ({0: (0, 9), 1: (0, 9), 2: (3, 3)}, 1, {0: (0, 1), 1: (0, 2), 2: (3, 3)}),
    ],
)
def test_what_is_small_is_taken_whole_and_the_rest_in_equal_shares(
    spans: dict[int, tuple[int, int]], messages: int, cut: dict[int, tuple[int, int]]
) -> None:
    assert within(spans, messages) == cut
