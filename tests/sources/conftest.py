"""The shop on a lake, and what it reads from: a database, an API, a topic, a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.reader import Request
from tasks.ingest.sources.rest.reader import RestReader
from tests.conftest import MakeLake
from tests.services.hubspot import HubSpot
from tests.services.kafka import Broker
from tests.services.postgres import Postgres
from tests.services.s3 import S3
from tests.sessions import BOTH
from tests.sources.buckets import Bucket
from tests.sources.contacts import faster
from tests.sources.rest_page import declared
from tests.sources.shop import Database, Shop
from tests.sources.shop_database import TABLE

MakeShop = Callable[..., Shop]
SetClock = Callable[[str], None]
ReadApi = Callable[[SourceSpec], list[dict[str, Any]]]
MakeTopic = Callable[..., str]


@pytest.fixture
def make_shop(spark: SparkSession, tmp_path: Path, make_lake: MakeLake) -> MakeShop:
    """Makes the shop on a lake of one format."""

    def make(source: SourceSpec, format_name: str = "delta") -> Shop:
        return Shop(tmp_path, make_lake(format_name), spark, source)

    return make


@pytest.fixture(params=BOTH)
def format_name(request: pytest.FixtureRequest) -> str:
    """Each format."""
    name: str = request.param
    return name


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database with an empty table."""
    made = Database(tmp_path / "shop.db")
    made.execute("create table sale (id text primary key, amount decimal(18,2), at text)")
    return made


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Sets the time of 2026-03-01 at which extractions begin, UTC."""

    def set_to(clock: str) -> None:
        instant = datetime.fromisoformat(f"2026-03-01T{clock}").replace(tzinfo=UTC)

        def now(tz: tzinfo | None = None) -> datetime:
            assert tz is UTC
            return instant

        stopped = type("Clock", (datetime,), {"now": staticmethod(now)})
        for module in ("jdbc", "rest"):
            monkeypatch.setattr(f"tasks.ingest.sources.{module}.reader.datetime", stopped)

    return set_to


@pytest.fixture
def shop_db(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A database with an empty table; its password is the secret `SHOP_PASSWORD`."""
    made = postgres.database("shop")
    made.run(TABLE)
    monkeypatch.setenv("SHOP_PASSWORD", made.password)
    return made


@pytest.fixture
def contacts(hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch) -> SourceSpec:
    """The page's contacts, asked for two at a time and without waiting."""
    for name, value in hubspot.environment.items():
        monkeypatch.setenv(name, value)
    made = declared("contacts")
    assert made.rest is not None
    made.rest.body["limit"] = 2
    return faster(made)


@pytest.fixture
def read_api(spark: SparkSession, tmp_path: Path) -> ReadApi:
    """Reads a source of which bronze holds nothing; the records, as they were frozen."""

    def reading(source: SourceSpec) -> list[dict[str, Any]]:
        request = Request("sale", tmp_path, tmp_path / "extraction", session=spark)
        offers = RestReader(source).offers(request)
        assert offers is not None
        lines = [line for offer in offers for line in offer.path.read_text("utf-8").splitlines()]
        return [json.loads(line) for line in lines]

    return reading


@pytest.fixture
def make_topic(kafka: Broker, request: pytest.FixtureRequest) -> MakeTopic:
    """Makes a topic named after the test."""

    def make(partitions: int = 1, **settings: str) -> str:
        name: str = request.node.originalname
        kafka.topic(name[:200], partitions, **settings)
        return name

    return make


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket; its credentials are the secrets `SHOP_S3_KEY` and `SHOP_S3_SECRET`."""
    monkeypatch.setenv("SHOP_S3_KEY", s3.key)
    monkeypatch.setenv("SHOP_S3_SECRET", s3.secret)
    made = Bucket(s3, f"shop-{uuid4().hex[:8]}")
    s3.make_bucket(made.name)
    return made
