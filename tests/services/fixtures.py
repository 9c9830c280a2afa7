"""The services as fixtures: each is started by the first test of the process that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.kafka import Broker, kafka_broker
from tests.services.postgres import Postgres, postgres_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL; a test takes a database of its own with `postgres.database(name)`."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka broker; a test takes topics of its own with `kafka.topic(name)`."""
    with kafka_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
