"""Spark sessions and lakes with the settings of the platform's configuration, for tests and programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.registry import Lake
from storage.spark.jars import jar_paths
from storage.spark.java import find_java
from storage.spark.session import SparkSettings, start_session

REPOSITORY = Path(__file__).parents[1]
LOCK_SECONDS = 120.0
BUSY_TIMEOUT_MS = 10_000


def slow(*values: object) -> list[Any]:
    """Further cases of what the default suite shows once; `make test-full` runs them."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


BOTH = ["delta", *slow("iceberg")]
"""Both formats, one of them in the default suite: the steps are the same, the stores have their own."""

PROPERTIES: dict[str, dict[str, str]] = yaml.safe_load(
    (REPOSITORY / "conf" / "table_properties.yaml").read_text("utf-8")
)
"""The table properties that the platform's own configuration sets, by format."""
JIT = "-XX:+UseParallelGC -XX:ReservedCodeCacheSize=256m"
"""A session of tests plans for half an hour, long enough for the compiler that `spark=small` does without."""
SMALL = yaml.safe_load((REPOSITORY / "conf" / "spark" / "small.yaml").read_text("utf-8"))


def small_session(folder: Path) -> SparkSession:
    """The Spark session of this process, for small data.

    Args:
        folder: For scratch files, the JVM's log and the warehouse.
    """
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
        java_options=JIT,
    )
    return start_session(
        settings, java_home=find_java().home, jars=jar_paths(), app_name="lakehouse-tests"
    )


def lake_at(
    root: Path,
    format_name: str,
    *,
    lock_seconds: float = LOCK_SECONDS,
    layers: Mapping[str, str] | None = None,
) -> Lake:
    """The lake of a format in a folder, with the table properties of the configuration."""
    return Lake(
        root=root,
        format=format_name,
        properties=PROPERTIES,
        lock_seconds=lock_seconds,
        busy_timeout_ms=BUSY_TIMEOUT_MS,
        layers=layers or {},
    )


def adapter_of(lake: Lake, session: SparkSession | None, name: str = "") -> FormatStore:
    """The adapter of one format of a lake by itself, on a session of its own."""
    return lake.store(session).adapter(name or lake.format)
