"""A backfill that is killed in the middle goes on with what is missing; a daily run gets its turn."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.generate.olist.generator import generate
from tests.e2e.lakehouse import Lakehouse
from tests.oracle.olist import compute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
WATCH_SECONDS = 600
SPAN = ("tables=[orders]", "start=2017-01-01", "end=2018-01-01")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, rows=400, seed=11, defects=0.02)
    return folder


@pytest.fixture
def loaded(lakehouse: Lakehouse, generated: Path) -> Lakehouse:
    shutil.copytree(generated, lakehouse.landing)
    assert lakehouse.run().status == 0
    return lakehouse


def ledger(lake: Lakehouse, *options: str) -> list[dict[str, Any]]:
    """The partitions with their state."""
    status, out, err = lake.command("backfill", "--dry-run", "--json", *options, *SPAN)
    assert status == 0, err
    found: list[dict[str, Any]] = json.loads(out)["partitions"]
    return found


def states(partitions: list[dict[str, Any]]) -> list[str]:
    return [p["state"] for p in partitions]


def begin(lake: Lakehouse, *options: str) -> subprocess.Popen[bytes]:
    """A backfill in a process of its own, partition by partition."""
    program = [sys.executable, "-c", "from flows.cli import main; main()", "backfill"]
    overrides = [*lake.overrides, f"locking.run_seconds={WATCH_SECONDS}"]
    with (lake.root / "backfill.log").open("ab") as log:
        return subprocess.Popen(
            [*program, "--parallelism", "1", *options, *SPAN, *overrides],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def wait_until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WATCH_SECONDS
    while not condition():
        assert process.poll() is None, "the backfill ended before the point"
        assert time.monotonic() < deadline, "the point was not reached"
        time.sleep(0.2)


def kill(process: subprocess.Popen[bytes]) -> None:
    victims = [
        psutil.Process(process.pid),
        *psutil.Process(process.pid).children(recursive=True),
    ]
    for victim in victims:
        victim.kill()
    process.wait()
    psutil.wait_procs(victims, timeout=60)


def test_a_killed_backfill_goes_on_with_what_is_missing(loaded: Lakehouse, generated: Path) -> None:
    assert states(ledger(loaded)) == ["missing"] * 12
    process = begin(loaded)
    wait_until(process, lambda: states(ledger(loaded)).count("done") >= 3)
    kill(process)
    stopped = ledger(loaded)
    done = [p for p in stopped if p["state"] == "done"]
    assert 3 <= len(done) < 12
    assert {"running"}.isdisjoint(states(stopped))

    status, out, err = loaded.command("backfill", "--json", *SPAN)

    assert status == 0, err
    finished = json.loads(out)["partitions"]
    assert states(finished) == ["done"] * 12
    assert [p for p in finished if p in done] == done
    resumed = {p["run_id"] for p in finished if p not in done}
    assert len(resumed) == 1
    assert resumed.isdisjoint({p["run_id"] for p in done})
    loaded.assert_equals(compute([sorted(generated.glob("*.csv"))]))
    versions = loaded.versions()
    assert loaded.command("backfill", "--json", *SPAN)[0] == 0
    assert loaded.versions() == versions


def test_a_daily_run_gets_its_turn_between_two_waves(
    loaded: Lakehouse, generated: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    generate(more, rows=120, seed=12, defects=0.02)
    process = begin(loaded)
    wait_until(process, lambda: states(ledger(loaded)).count("done") >= 1)
    for file in more.glob("*.csv"):
        shutil.copy(file, loaded.landing / file.name.replace(".csv", "_2.csv"))
    result = loaded.run()
    assert result.status == 0, result.summary["message"]
    assert process.poll() is None, "the backfill had ended before the daily run"
    assert process.wait(WATCH_SECONDS) == 0, (loaded.root / "backfill.log").read_text()
    assert states(ledger(loaded)) == ["done"] * 12
    first = sorted(generated.glob("*.csv"))
    second = sorted(loaded.landing.glob("*_2.csv"))
    loaded.assert_equals(compute([first, second]))
    assert loaded.run().summary["message"].startswith("nothing new")
