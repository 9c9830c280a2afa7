"""A real run of the page's configuration, killed while it pages, and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.load import load_config
from flows.reading import Reader
from tests.services.hubspot import Fault, HubSpot
from tests.sources.rest_page import PAGE, YAML

COUNT = 900
PAGES_BEFORE_KILL = 3
START_SECONDS = 240.0
CHECKS = """
checks for staged:
  - row_count = ${expected_rows}:
      name: files are complete
"""


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_pages_loses_and_doubles_nothing(
    hubspot: HubSpot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hubspot.environment.items():
        monkeypatch.setenv(name, value)
    overrides = domain(tmp_path)
    for number in range(1, COUNT + 1):
        minute, second = divmod(number // 3, 60)
        hubspot.objects.put("contacts", str(number), f"2026-03-01T10:{minute:02d}:{second:02d}Z")
    hubspot.objects.put("deals", "1", "2026-03-01T10:00:00Z", amount="1.50")
    program = [sys.executable, "-c", "from flows.cli import main; main()", "ingest", *overrides]

    hubspot.arm(Fault(at=PAGES_BEFORE_KILL, times=10**6, seconds=2.0))
    log = (tmp_path / "killed.log").open("wb")
    with log, subprocess.Popen(
        program, stdout=log, stderr=log, start_new_session=True
    ) as running:  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while len(hubspot.pages()) <= PAGES_BEFORE_KILL:
            assert running.poll() is None, (tmp_path / "killed.log").read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    assert sum("contacts" in page.path for page in hubspot.pages()) <= COUNT // 200
    hubspot.disarm()

    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ids(overrides) == list(range(1, COUNT + 1))
    hubspot.objects.put("contacts", "7", "2026-03-01T12:00:00Z", email="seven@x.org")
    assert subprocess.run(program, capture_output=True, check=False).returncode == 0
    assert ids(overrides) == sorted([*range(1, COUNT + 1), 7])


def ids(overrides: list[str]) -> list[int]:
    config = load_config(overrides)
    table = Reader(config, lambda text: None).table(config.domain.ref("bronze.contacts"))
    return sorted(int(value) for value in table["id"].to_pylist())


def domain(root: Path) -> list[str]:
    """Write the page's sources as a domain of their own; the settings that choose it."""
    [sources, *_] = YAML.findall(PAGE.read_text("utf-8"))
    (root / "domain").mkdir()
    (root / "landing").mkdir()
    head = "name: hub\nroots: {sql: sql, checks: ../checks}\nas_of: select 1\n"
    (root / "domain" / "hub.yaml").write_text(head + sources, "utf-8")
    for name in ("contacts", "deals"):
        file = root / "checks" / "bronze" / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CHECKS, "utf-8")
    return [
        "domain=hub", f"domains={root}", "env=test", f"paths.lake={root / 'lake'}",
        f"paths.landing={root / 'landing'}",
    ]  # fmt: skip
