"""Connection to a topic: what it has, and its messages.

Through librdkafka (https://docs.confluent.io/platform/current/clients/librdkafka/html/md_CONFIGURATION.html).
Only messages of committed transactions are seen. No consumer group keeps offsets: the lake keeps its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from storage.errors import ConfigurationError, InputError, LakehouseError, TransientError
from storage.secrets import reveal, revealed
from tasks.domain.spec import KafkaSpec

T = TypeVar("T")

OWN_OPTIONS = frozenset(
    {"bootstrap.servers", "auto.offset.reset", "enable.auto.commit", "enable.partition.eof",
     "isolation.level", "log_level", "error_cb"}
)  # fmt: skip
"""Options that decide about loss and doubles."""
REFUSED = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL,
     KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
     KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM}
)  # fmt: skip
"""Errors that the library itself tries again for ever, and which no second try fixes."""
MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
CHUNK = 10_000
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Topic:
    """What the brokers have of a topic.

    Attributes:
        id: Identity of the topic; a topic that is recreated under its name has another.
        kept: By partition, the offset of its oldest message, and its last stable offset, where reading ends.
    """

    id: str
    kept: Mapping[int, tuple[int, int]]


class KafkaClient:
    """The topic of one source."""

    def __init__(self, spec: KafkaSpec) -> None:
        self._spec = spec
        self._said: list[KafkaError] = []
        self._options: dict[str, Any] = {
            **revealed(spec.options),
            "bootstrap.servers": reveal(spec.servers),
            "error_cb": self._said.append,
            "log_level": 0,
        }

    def topic(self) -> Topic:
        """Identity, partitions and offsets of the topic.

        Raises:
            TransientError: The brokers do not answer.
            ConfigurationError: They refused the connection, or an option is invalid.
            InputError: There is no such topic.
        """
        name = self._spec.topic
        try:
            admin = AdminClient(self._options)
            asked = {"request_timeout": self._spec.patience_seconds}
            described = admin.describe_topics(TopicCollection([name]), **asked)
            found = self._answer(admin, described[name])
            partitions = [TopicPartition(name, p.id) for p in found.partitions]
            committed = IsolationLevel.READ_COMMITTED
            first, end = (
                admin.list_offsets(
                    dict.fromkeys(partitions, which), isolation_level=committed, **asked
                )
                for which in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
            )
            kept = {
                p.partition: (
                    self._answer(admin, first[p]).offset,
                    self._answer(admin, end[p]).offset,
                )
                for p in partitions
            }
        except KafkaException as error:
            self._fail(error.args[0])
        return Topic(str(found.topic_id), kept)

    def messages(self, spans: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
        """The messages of each partition from its first offset to its second, which is excluded, in order.

        Raises:
            LakehouseError: As `topic`; transient too where messages went while they were read.
        """
        options = {
            "group.id": "lakehouse",  # asked for by the library; nothing is committed under it
            "fetch.wait.max.ms": 100,
            **self._options,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
        }
        try:
            with closing(Consumer(options)) as consumer:
                for partition, (start, end) in spans.items():
                    yield from self._partition(consumer, partition, start, end)
        except KafkaException as error:
            self._fail(error.args[0])

    def _partition(
        self, consumer: Consumer, partition: int, start: int, end: int
    ) -> Iterator[Message]:
        consumer.assign([TopicPartition(self._spec.topic, partition, start)])
        reached, heard = start, time.monotonic()
        while reached < end:
            found = consumer.consume(min(CHUNK, end - reached), POLL_SECONDS)
            for message in found:
                error, offset = message.error(), message.offset()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    self._fail(error)
                if message.partition() != partition or offset is None:
                    continue  # of the partition before
                if offset >= end:
                    return  # all below the end was seen; what follows it is for the next run
                if error is None:
                    reached = offset + 1
                    yield message
                    heard = time.monotonic()
            if time.monotonic() - heard > self._spec.patience_seconds:
                self._fail(KafkaError(KafkaError._TIMED_OUT))
            self._refuse()

    def _answer(self, admin: AdminClient, asked: Future[T]) -> T:
        while not asked.done():
            admin.poll(POLL_SECONDS)  # hands the library's errors over
            self._refuse()
        return asked.result()

    def _refuse(self) -> None:
        for error in self._said:
            if error.code() in REFUSED:
                self._fail(error)

    def _fail(self, error: KafkaError) -> NoReturn:
        raise self._failure(error) from None

    def _failure(self, error: KafkaError) -> LakehouseError:
        spec = self._spec
        topic = f"topic {spec.topic} at {spec.servers}"
        if error.code() in MISSING:
            return InputError(
                f"{topic}: there is no such topic", advice="Create it, or fix `kafka.topic`."
            )
        if error.code() in GONE:
            return TransientError(
                f"{topic}: messages were removed while they were read: {error.str()}",
                advice="Run again; it says which are gone.",
            )
        if error.code() == KafkaError._INVALID_ARG:
            return ConfigurationError(
                f"{topic}: {error.str()}", advice="Fix `kafka.options` of the source."
            )
        if error.code() in REFUSED:
            return ConfigurationError(
                f"{topic}: turned down: {error.str()}",
                advice="Check `kafka.options`: user, password, certificates and the rights on the topic.",
            )
        heard = [e.str() for e in self._said if e.code() != KafkaError._ALL_BROKERS_DOWN]
        return TransientError(
            f"{topic}: {heard[0] if heard else error.str()}",
            advice="Check `kafka.servers`, `security.protocol`, and that the brokers answer.",
        )
