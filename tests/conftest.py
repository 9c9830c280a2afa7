"""Fixtures that every test may use: the one Spark session of the process, and lakes in a fresh folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from storage.jars import jar_paths
from storage.java import find_java
from storage.registry import Lake
from storage.session import SparkSettings, start_session

pytest_plugins = ["pytester"]

# Prefect reads its settings when it is imported, which is before any fixture.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
os.environ.setdefault("DO_NOT_TRACK", "1")

REPOSITORY = Path(__file__).parents[1]
LOCK_SECONDS = 120.0
BUSY_TIMEOUT_MS = 10_000

SMALL = yaml.safe_load((REPOSITORY / "conf" / "spark" / "small.yaml").read_text("utf-8"))

MakeLake = Callable[..., Lake]
"""`make_lake(format, root=None)`; without a root the lake is in the test's own folder."""


def pytest_unconfigure() -> None:
    """What libraries log while the process ends finds pytest's streams closed; that is no error."""
    logging.raiseExceptions = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs the Spark session, through whichever fixture, carries the marker `spark`."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The Spark session of this process; a test that writes settings or views takes `newSession()`."""
    folder = tmp_path_factory.mktemp("spark")
    settings = SparkSettings(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=2,
        local_dir=str(folder / "local"),
        log_file=str(folder / "spark.log"),
        conf={
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            **SMALL["conf"],
        },
        java_options=SMALL["java_options"],
    )
    session = start_session(
        settings, java_home=find_java().home, jars=jar_paths(), app_name="lakehouse-tests"
    )
    yield session
    session.stop()


def format_properties(name: str) -> dict[str, str]:
    """The table properties that the platform's own configuration sets for a format."""
    text = (REPOSITORY / "conf" / "format" / f"{name}.yaml").read_text("utf-8")
    properties: dict[str, str] = yaml.safe_load(text)["properties"]
    return properties


@pytest.fixture
def make_lake(tmp_path: Path) -> MakeLake:
    """Makes the lake of a format, with the properties of the platform's configuration."""

    def make(name: str, root: Path | None = None, *, lock_seconds: float = LOCK_SECONDS) -> Lake:
        return Lake(
            root=root or tmp_path / "lake",
            format=name,
            properties=format_properties(name),
            lock_seconds=lock_seconds,
            busy_timeout_ms=BUSY_TIMEOUT_MS,
        )

    return make
