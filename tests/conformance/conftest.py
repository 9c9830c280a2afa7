"""The same tests over every store: one lake and one store a format, a fresh table a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.formats import formats_for
from storage.postgres import PostgresAddress
from storage.registry import Lake
from storage.secrets import reference
from tests.conformance.gaps import (  # noqa: F401 - hooks
    SHARED,
    pytest_collection_modifyitems,
    pytest_configure,
)
from tests.conformance.tables import Table
from tests.services.postgres import Postgres
from tests.sessions import adapter_of, lake_at


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    """A lake of each format; they share the folder, as a person's may."""
    root = tmp_path_factory.mktemp("conformance")
    return {name: lake_at(root, name) for name in formats_for("bronze")}


@pytest.fixture(scope="session")
def stores(lakes: dict[str, Lake], spark: SparkSession) -> dict[str, FormatStore]:
    """The stores by format; a new adapter in the registry comes in by itself."""
    return {name: adapter_of(lake, spark) for name, lake in lakes.items()}


@pytest.fixture(scope="session")
def shared_lake(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Lake]:
    """A lake of Iceberg tables whose catalog and locks are in a PostgreSQL."""
    made = postgres.database("catalog")
    address = PostgresAddress(made.jdbc, made.user, reference("CATALOG_PASSWORD"))
    root = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_PASSWORD", made.password)
        yield replace(lake_at(root, "iceberg"), catalog=address)


@pytest.fixture(scope="session")
def shared_store(shared_lake: Lake, spark: SparkSession) -> FormatStore:
    return adapter_of(shared_lake, spark)


@pytest.fixture(params=[*formats_for("bronze"), pytest.param(SHARED, marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, stores: dict[str, FormatStore]) -> FormatStore:
    if request.param == SHARED:
        shared: FormatStore = request.getfixturevalue("shared_store")
        return shared
    return stores[request.param]


@pytest.fixture
def lake(request: pytest.FixtureRequest, store: FormatStore, lakes: dict[str, Lake]) -> Lake:
    if request.node.callspec.params["store"] == SHARED:
        shared: Lake = request.getfixturevalue("shared_lake")
        return shared
    return lakes[store.format]


@pytest.fixture
def table(store: FormatStore) -> Iterator[Table]:
    """A table that is there, with change tracking, and without a row."""
    made = Table.fresh(store)
    made.create()
    yield made
    store.drop(made.ref)
