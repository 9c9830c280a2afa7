"""A topic of Apache Kafka as a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tasks.domain.spec.limits import MUST_GIVE


class OnDataLoss(StrEnum):
    """What to do about messages that the broker removed before they were read."""

    fail = "fail"
    """The table fails, and says which messages are gone."""
    skip = "skip"
    """Go on from the oldest message that is left; the commit record notes what is gone."""


@dataclass
class KafkaSpec:
    """Where a topic is, and how it is read."""

    servers: str = MUST_GIVE
    """`host:port` of one or more brokers, separated by commas."""
    topic: str = MUST_GIVE
    """Name of the topic; all its partitions are read."""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """Options of the client library, librdkafka: `security.protocol`, `sasl.username`, ..."""
    max_messages: int = 1_000_000
    """Messages that one run takes at most; the next one goes on from there."""
    on_data_loss: OnDataLoss = OnDataLoss.fail
    """What to do about messages that the broker removed before they were read."""
    patience_seconds: float = 30.0
    """How long the brokers have to answer."""
