"""Concurrency limits: named in one place, created by `lakehouse up`, and required to exist where used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from prefect.concurrency.sync import concurrency
from prefect.runtime import deployment

from storage.errors import ConfigurationError

KEY = "x-concurrency-limits"
"""Top-level key of `prefect.yaml`; Prefect itself passes over it."""
RUN_LIMIT = "lakehouse-runs"
"""Runs at once over all deployments and formats: each holds a Spark session's memory."""
LEASE_SECONDS = 60.0
"""A killed run's slot is free again after this time."""


def read_limits(prefect_file: Path) -> Mapping[str, int]:
    """Slots by limit, tags in Prefect's spelling `tag:<name>`.

    Raises:
        ConfigurationError: A limit is not a whole number above 0.
    """
    given = yaml.safe_load(prefect_file.read_text("utf-8")).get(KEY) or {}
    for name, slots in given.items():
        if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
            raise ConfigurationError(
                f"{prefect_file}: {KEY}.{name} is {slots!r}",
                advice="Give a whole number of slots above 0; a limit of 0 would block for ever.",
            )
    return {str(name): slots for name, slots in given.items()}


@contextmanager
def run_slot() -> Iterator[None]:
    """Hold one of the slots of `RUN_LIMIT` during a deployment's run; other runs go without.

    Raises:
        prefect.concurrency._asyncio.ConcurrencySlotAcquisitionError: The limit does not exist: a limit
            that does not exist would not be enforced.
    """
    if deployment.id is None:
        yield
        return
    with concurrency(
        RUN_LIMIT,
        strict=True,
        lease_duration=LEASE_SECONDS,
        raise_on_lease_renewal_failure=False,  # a restart of the server must not end a run
    ):
        yield
