from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import SourceSpec
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.sources.shop import Database, Shop

MakeShop = Callable[..., Shop]
SetClock = Callable[[str], None]


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
