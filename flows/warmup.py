"""The slow starts of a run on a terminal, side by side and out of sight: Spark and Prefect's server."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

from checks.scanner import Scanner
from conf.schema import Config
from flows.runtime import spark_session
from storage.session import stderr_to


def warm_up(config: Config) -> None:
    """Start Spark, and Prefect's own server where none is named, with their noise in a log."""
    failures: list[BaseException] = []

    def spark() -> None:
        try:
            spark_session(config)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(error)

    with stderr_to(Path(config.paths.logs) / "prefect.log"):
        starting = threading.Thread(target=spark, name="start Spark")
        starting.start()
        if "PREFECT_API_URL" not in os.environ:
            seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
            SubprocessASGIServer().start(timeout=seconds)
        _import_scanner()
        starting.join()
    if failures:
        raise failures[0]


def _import_scanner() -> type[Scanner]:
    from checks.soda_scanner import SodaScanner  # noqa: PLC0415 - takes a second while Spark starts

    return SodaScanner
