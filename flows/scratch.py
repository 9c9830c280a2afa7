"""A Spark session without a lake, for commands that only look at a domain."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from conf.schema import Config
from flows.runtime import spark_session


def with_small_profile(overrides: Sequence[str]) -> list[str]:
    """The overrides, with the profile for small data where they name none."""
    named = any(override.split("=", 1)[0] in ("spark", "env") for override in overrides)
    return [*overrides] if named else ["spark=small", *overrides]


@contextmanager
def scratch_session(config: Config) -> Iterator[SparkSession]:
    """The process's session with its files in a temporary folder, which stays only after a failure."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-"))
    settings = replace(
        config.spark,
        local_dir=str(folder / "local"),
        log_file=str(folder / "spark.log"),
        conf={"spark.sql.warehouse.dir": str(folder / "warehouse"), **config.spark.conf},
    )
    yield spark_session(replace(config, spark=settings))
    shutil.rmtree(folder, ignore_errors=True)
