"""Processes and the JVM are in UTC, whatever zone the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.errors import ConfigurationError
from storage.spark.session import FIXED, SparkSettings, start_session

LOCAL = "import time, flows; print(time.tzname[0], time.strftime('%H', time.localtime(0)))"


def test_a_process_of_the_platform_is_utc() -> None:
    """Commands, a Prefect worker's runs and the API import the package `flows` before anything else."""
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    printed = subprocess.run(
        [sys.executable, "-c", LOCAL], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert printed == "UTC 00\n"


def test_the_jvm_is_utc_and_rows_leave_it_so(spark: SparkSession) -> None:
    assert spark._jvm is not None
    zone = spark._jvm.java.util.TimeZone.getDefault().getID()
    assert (zone, os.environ["TZ"]) == ("UTC", "UTC")
    [[instant]] = spark.sql("select timestamp'2026-03-29 02:30:00'").collect()
    assert instant == datetime(2026, 3, 29, 2, 30)
    assert instant.astimezone(UTC) == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", FIXED)
def test_settings_that_decide_instants_are_not_changed(tmp_path: Path, name: str) -> None:
    settings = SparkSettings(
        local_dir=str(tmp_path), log_file=str(tmp_path / "log"), conf={name: "other"}
    )
    with pytest.raises(ConfigurationError, match=f"spark.conf: {name} is {FIXED[name]}, not other"):
        start_session(settings, java_home=tmp_path, jars=[], app_name="other")
