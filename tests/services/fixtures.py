"""The services as fixtures: each is started by the first test of the process that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.hubspot import HubSpot, hubspot_server
from tests.services.kafka import Broker, kafka_broker
from tests.services.postgres import Postgres, postgres_server
from tests.services.s3 import S3, s3_server
from tests.services.snowflake import Snowflake, snowflake_server


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


@pytest.fixture(scope="session")
def hubspot_process() -> Iterator[HubSpot]:
    """HubSpot's API, one server a process."""
    with hubspot_server(result_limit=500) as server:
        yield server


@pytest.fixture
def hubspot(hubspot_process: HubSpot) -> HubSpot:
    """HubSpot's API without an object, and without a fault."""
    hubspot_process.reset()
    return hubspot_process


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A local S3 with Secrets Manager; each test makes a bucket of its own."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snowflake]:
    """A server that speaks Snowflake's protocol, without a table."""
    with snowflake_server(tmp_path_factory.mktemp("snowflake")) as server:
        yield server
