"""A part of the suite once more, on machines east and west of the change to summer time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ZONES = ("Asia/Tokyo", "Europe/Berlin")
AGAIN = (
    "tests/zones/test_process.py::test_the_jvm_is_utc_and_rows_leave_it_so",
    "tests/conformance/test_far_instants.py",
    "tests/e2e/test_far_instants.py",
    "tests/sources/test_postgres_types.py::test_types_become_exact_text",
    "tests/sources/test_postgres_types.py::test_instants_of_every_calendar_and_offset",
    "tests/checks/test_soda_scanner.py::test_freshness_is_against_the_given_time_in_utc",
)
"""Tests whose values a machine's time zone once moved."""
LATER = (
    "tests/conformance/test_far_instants.py",
    "tests/e2e/test_far_instants.py",
    "tests/property/test_engine.py::test_a_small_delivery_gives_the_tables_of_the_sorted_log",
)
"""What the slow test runs: those that have a leg on Iceberg, and random deliveries."""
QUICK = ("-k", "not iceberg", "-m", "not slow", *AGAIN)


@pytest.mark.spark
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("options", "least"),
    [
        pytest.param(QUICK, len(AGAIN), id="quick"),
        pytest.param(
            ("-k", "iceberg or small_delivery", *LATER), 6, id="iceberg", marks=pytest.mark.slow
        ),
    ],
)
def test_nothing_depends_on_the_zone_of_the_machine(
    zone: str, options: tuple[str, ...], least: int, tmp_path: Path
) -> None:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST")} | {"TZ": zone}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"--basetemp={tmp_path / 'again'}", *options],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least
    assert "skipped" not in done.stdout
