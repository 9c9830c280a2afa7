"""The same tests over every store: one lake and one store a format, a fresh table a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.registry import BRONZE_FORMATS, Lake
from tests.conformance.gaps import (  # noqa: F401 - hooks
    pytest_collection_modifyitems,
    pytest_configure,
)
from tests.conformance.tables import Table
from tests.sessions import lake_at


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    """A lake of each format; they share the folder, as a person's may."""
    root = tmp_path_factory.mktemp("conformance")
    return {name: lake_at(root, name) for name in BRONZE_FORMATS}


@pytest.fixture(scope="session")
def stores(lakes: dict[str, Lake], spark: SparkSession) -> dict[str, FormatStore]:
    """The stores by format; a new adapter in the registry comes in by itself."""
    return {name: lake.adapter(spark) for name, lake in lakes.items()}


@pytest.fixture(params=BRONZE_FORMATS)
def store(request: pytest.FixtureRequest, stores: dict[str, FormatStore]) -> FormatStore:
    return stores[request.param]


@pytest.fixture
def lake(store: FormatStore, lakes: dict[str, Lake]) -> Lake:
    return lakes[store.format]


@pytest.fixture
def table(store: FormatStore) -> Iterator[Table]:
    """A table that is there, with change tracking, and without a row."""
    made = Table.fresh(store)
    made.create()
    yield made
    store.drop(made.ref)
