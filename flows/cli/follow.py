"""A run again and again in one process, until a signal asks for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import click

from storage.errors import ConfigurationError, LakehouseError

POLL_SECONDS = 0.5
FAILED = 1


def follow(once: Callable[[], int], seconds: float) -> int:
    """Call `once` until SIGINT or SIGTERM comes, with a pause after each call.

    The call that is under way is finished first; a second signal interrupts it, which is as safe as
    a kill. A failure is printed, and the next call tries again.

    Args:
        once: Returns an exit status.
        seconds: From the end of one call to the beginning of the next.

    Returns:
        The status of the last call.

    Raises:
        ConfigurationError: No further call would do better.
        KeyboardInterrupt: The second signal.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        click.echo("ending after this run; once more ends at once", err=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    # Off the main thread, where Prefect would take the signals for itself.
    worker = ThreadPoolExecutor(1, thread_name_prefix="run")
    status = 0
    try:
        while not asked.is_set():
            call = worker.submit(once)
            while not wait([call], POLL_SECONDS).done:
                pass
            try:
                status = call.result()
            except ConfigurationError:
                raise
            except LakehouseError as error:
                click.secho(f"error: {error}", err=True, fg="red")
                status = FAILED
            asked.wait(seconds)
    finally:
        worker.shutdown(wait=False)
        for number, handler in before.items():
            signal.signal(number, handler)
    return status
