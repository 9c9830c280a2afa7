from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.spec import SourceSpec
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.sources.shop import Database, Shop

MakeShop = Callable[..., Shop]


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
