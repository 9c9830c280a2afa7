from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import MakeLake
from tests.destinations.shop import PASSWORD, Shop
from tests.services.postgres import Postgres
from tests.sessions import BOTH

MakeShop = Callable[..., Shop]


@pytest.fixture
def server(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """An empty database as the destination; its password is in the environment."""
    monkeypatch.setenv(PASSWORD, postgres.password)
    return postgres.database("shop")


@pytest.fixture
def make_shop(
    spark: SparkSession, tmp_path: Path, make_lake: MakeLake, server: Postgres
) -> MakeShop:
    """Makes the shop on a lake of one format, with the database as its destination."""

    def make(format_name: str = "delta") -> Shop:
        return Shop(make_lake(format_name), tmp_path, spark, server)

    return make


@pytest.fixture(params=BOTH)
def shop(request: pytest.FixtureRequest, make_shop: MakeShop) -> Shop:
    """The shop on each format."""
    return make_shop(request.param)
