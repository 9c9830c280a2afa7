"""The command line: `lakehouse`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any

import click

from flows.cli.commands import Commands
from storage.errors import ConfigurationError, LakehouseError
from storage.masking import hidden

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
QUIET_LOGGERS = ("py4j", "SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""They print as JSON what the errors themselves say."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lakehouse-platform", prog_name="lakehouse")
def cli() -> None:
    """Medallion pipelines as configuration, on Delta Lake or Apache Iceberg.

    Every command takes configuration overrides as KEY=VALUE, for example
    domain=olist format=iceberg paths.lake=DIR. See them all: lakehouse config
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    _quiet()
    sys.exit(invoke(arguments))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 done, 1 unexpected failure, 2 wrong use or configuration, 3 blocked by a gate, 130 interrupted.
    """
    try:
        result: Any = cli.main(args=arguments, standalone_mode=False)
        return int(result or 0)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except ConfigurationError as error:
        return _fail(error, EXIT_USAGE)
    except LakehouseError as error:
        return _fail(error, EXIT_FAILED)
    except (KeyboardInterrupt, click.Abort):  # click turns the first into the second
        click.echo(
            "\ninterrupted: nothing half-done is visible; run the same command again", err=True
        )
        _leave(EXIT_INTERRUPTED)
        return EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 - the last resort of a command line
        with tempfile.NamedTemporaryFile(
            "w", prefix="lakehouse-", suffix=".log", delete=False
        ) as log:
            log.write(hidden(traceback.format_exc()))
        click.secho(f"unexpected error, the details are in {log.name}", err=True, fg="red")
        click.echo(hidden(traceback.format_exc(limit=0).strip()), err=True)
        return EXIT_FAILED


def _fail(error: LakehouseError, status: int) -> int:
    click.secho(f"error: {error.message}", err=True, fg="red")
    if error.advice:
        click.echo(error.advice, err=True)
    return status


def _quiet() -> None:
    """Defaults of a person's terminal; the environment goes first."""
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _leave(status: int) -> None:
    """Leave at once: tables are safe at any point, and worker threads would hold the exit."""
    import psutil  # noqa: PLC0415

    children = psutil.Process().children(recursive=True)
    for child in children:
        child.send_signal(signal.SIGTERM)
    psutil.wait_procs(children, timeout=5)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
