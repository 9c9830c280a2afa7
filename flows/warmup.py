"""The slow starts of a run on a terminal, side by side and out of sight."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from checks.scanner import Scanner
from conf.schema import Config
from flows.runtime import spark_session
from storage.spark.session import stderr_to


def warm_up(config: Config, beside: Callable[[], None] = lambda: None) -> None:
    """Start Spark and, beside it, import Soda and do what else takes its time; their noise goes to a log."""
    failures: list[BaseException] = []
    launched = threading.Event()

    def spark() -> None:
        try:
            spark_session(config, launched.set)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(error)
        finally:
            launched.set()

    with stderr_to(Path(config.paths.logs) / "start.log"):
        starting = threading.Thread(target=spark, name="start Spark")
        starting.start()
        launched.wait()
        beside()
        _import_scanner()
        starting.join()
    if failures:
        raise failures[0]


def keep_records(config: Config) -> None:
    """Without a server Prefect keeps its records in the cache folder; call it before Prefect is imported."""
    if "PREFECT_API_URL" not in os.environ:
        home = Path(os.environ.setdefault("PREFECT_HOME", f"{config.paths.cache}/prefect"))
        home.mkdir(parents=True, exist_ok=True)


def start_own_server() -> None:
    """Start Prefect's own server where none is named."""
    if "PREFECT_API_URL" in os.environ:
        return
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - takes seconds
    from prefect.settings import get_current_settings  # noqa: PLC0415

    seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
    SubprocessASGIServer().start(timeout=seconds)


def _import_scanner() -> type[Scanner]:
    from checks.soda_scanner import SodaScanner  # noqa: PLC0415 - takes a second while Spark starts

    return SodaScanner
