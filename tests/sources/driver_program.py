"""Reads a source of the page once, in a process whose Spark has the drivers of warehouses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from storage.errors import LakehouseError
from storage.spark.cache import cache_root
from storage.spark.drivers import driver_paths
from storage.spark.jars import jar_paths
from storage.spark.java import find_java
from storage.spark.session import SparkSettings, start_session
from tasks.domain.spec import SourceKind, SourceSpec
from tasks.ingest.sources.jdbc.reader import JdbcReader
from tasks.ingest.sources.reader import Request


def main(folder: Path, sources: dict[str, dict[str, object]]) -> None:
    java = find_java()
    drivers = driver_paths(["snowflake", "redshift"], cache=cache_root(), java=java)
    settings = SparkSettings(
        master="local[1]", driver_memory="1g", local_dir=str(folder / "local"),
        log_file=str(folder / "spark.log"),
    )  # fmt: skip
    session = start_session(
        settings, java_home=java.home, jars=[*jar_paths(), *drivers], app_name="drivers"
    )
    print(json.dumps({n: said(session, folder, s) for n, s in sources.items()}))  # noqa: T201


def said(session: SparkSession, folder: Path, keys: dict[str, object]) -> list[str]:
    """Class and text of the error that reading the source gives."""
    source = SourceSpec(**keys | {"kind": SourceKind.jdbc, "watermark": None})  # type: ignore[arg-type]
    request = Request("stock", folder, folder / "scratch", session=session)
    try:
        JdbcReader(source).offers(request)
    except LakehouseError as error:
        return [type(error).__name__, str(error)]
    return []


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
