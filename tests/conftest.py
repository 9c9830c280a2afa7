"""Fixtures that every test may use: the one Spark session of the process, lakes and their configuration."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import conf.load
from conf.schema import Config
from storage.registry import Lake
from tests.sessions import LOCK_SECONDS, lake_at, small_session

pytest_plugins = ["pytester", "tests.services.fixtures"]

# Prefect reads its settings when it is imported, which is before any fixture.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
os.environ.setdefault("DO_NOT_TRACK", "1")

MakeLake = Callable[..., Lake]
"""`make_lake(format, root=None, bronze=...)`; without a root the lake is in the test's own folder."""
MakeConfig = Callable[[str, Path], Config]
"""`make_config(format, folder)`: the configuration of a lake in that folder."""
_compose = cache(conf.load.compose_config)
"""Composing takes most of a command's time in a test; references are resolved afterwards."""


def pytest_unconfigure() -> None:
    """What libraries log while the process ends finds pytest's streams closed; that is not an error."""
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
    session = small_session(folder)
    yield session
    session.stop()


@pytest.fixture
def make_lake(tmp_path: Path) -> MakeLake:
    """Makes the lake of a format, with the properties of the platform's configuration."""

    def make(
        name: str, root: Path | None = None, *, lock_seconds: float = LOCK_SECONDS, **layers: str
    ) -> Lake:
        return lake_at(root or tmp_path / "lake", name, lock_seconds=lock_seconds, layers=layers)

    return make


@cache
def _composed(format_name: str) -> Config:
    return conf.load.load_config(
        ["env=test", f"format={format_name}", "paths.landing=/in", "paths.lake=/l"]
    )


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Makes configurations; composing takes a while and happens once a format."""

    def make(format_name: str, folder: Path) -> Config:
        config = copy.deepcopy(_composed(format_name))
        config.paths.landing = str(folder / "landing")
        config.paths.lake = str(folder / "lake")
        config.paths.reports = str(folder / "lake" / "_reports")
        config.paths.staging = str(folder / "lake" / "_staging")
        config.locking.table_seconds = 5.0
        return config

    return make


@pytest.fixture
def empty_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lake that the commands find when none is named."""
    monkeypatch.setenv("LAKEHOUSE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        conf.load, "compose_config", lambda given: copy.deepcopy(_compose(tuple(given)))
    )
    return tmp_path / "lake"
