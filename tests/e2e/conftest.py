"""Runs of the whole pipeline share the process's Spark session and one local Prefect server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.e2e.lakehouse import Lakehouse

FORMATS = ("delta", "iceberg")


@pytest.fixture(scope="session", autouse=True)
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prefect keeps its records in a folder of this test session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        yield


@pytest.fixture
def make_lakehouse(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Lakehouse]:
    """Makes a lake in the test's folder."""
    del spark  # started before the first run, which finds it

    def make(format_name: str, *extra: str, root: Path | None = None) -> Lakehouse:
        return Lakehouse(format_name, root or tmp_path / format_name, capsys, list(extra))

    return make


@pytest.fixture(params=FORMATS)
def lakehouse(
    request: pytest.FixtureRequest, make_lakehouse: Callable[..., Lakehouse]
) -> Lakehouse:
    """A lake of each format."""
    return make_lakehouse(request.param)
