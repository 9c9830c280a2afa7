"""SIGKILL at each named point of a run, then a plain re-run: the tables end the same.

The run is a process of its own; an outside watcher of the lake's files decides when it dies, so the
engine has no code for it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tasks.generate.olist.generator import generate
from tests.e2e.lakehouse import Lakehouse
from tests.oracle.olist import compute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
WATCH_SECONDS = 400

Condition = Callable[[Path], bool]


def staged(lake: Path) -> bool:
    """After staging, before the gate is done: the handle stands beside the staged rows."""
    return any(lake.glob("_staging/*/olist_silver/customers/*/attempt.json"))


def data_without_commit(lake: Path) -> bool:
    """Data files of the table exist, and the commit does not."""
    delta = lake / "delta/olist_silver/customers"
    iceberg = lake / "iceberg/olist_silver/customers"
    written = any(delta.glob("*.parquet")) or any(iceberg.glob("data/**/*.parquet"))
    return written and not committed(lake)


def committed(lake: Path) -> bool:
    """After the commit, before anything else of the table."""
    delta = lake / "delta/olist_silver/customers/_delta_log/00000000000000000001.json"
    iceberg = lake / "iceberg/olist_silver/customers/metadata"
    return delta.exists() or any(iceberg.glob("00001-*.metadata.json"))


def between_layers(lake: Path) -> bool:
    """All of silver is committed, gold is not: its first table is being staged."""
    return any(lake.glob("_staging/*/olist_gold/*"))


POINTS = [
    pytest.param(staged, True, id="after staging"),
    pytest.param(data_without_commit, True, id="between data and commit"),
    pytest.param(data_without_commit, False, id="between data and commit, the JVM lives on"),
    pytest.param(committed, True, id="after the commit"),
    pytest.param(between_layers, True, id="between layers"),
]


def kill_when(
    lake: Lakehouse, condition: Condition, *, whole: bool, command: Sequence[str] = ("run",)
) -> None:
    """Run a command, by default the pipeline, in a process and kill it once the condition holds.

    Args:
        lake: What it runs on.
        condition: What the watcher waits for.
        whole: Kill its JVM with it; else that ends some time after it finds itself alone, and may
            commit while the next run is at work.
        command: The command and its own arguments.
    """
    with (lake.root / "killed.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from flows.cli import main; main()", *command, *lake.overrides],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + WATCH_SECONDS
    while not condition(lake.root / "lake"):
        assert process.poll() is None, f"ended before the point: {log.name}"
        assert time.monotonic() < deadline, f"the point was not reached: {log.name}"
        time.sleep(0.002)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    victims = [p for p in family if whole or p.name() != "java"]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            victim.kill()
    process.wait()
    psutil.wait_procs(victims, timeout=60)
    assert not whole or condition(lake.root / "lake"), "the point had passed before the kill"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, rows=400, seed=11, defects=0.02)
    return folder


@pytest.mark.parametrize(("point", "whole"), POINTS)
def test_a_killed_run_is_completed_by_the_next(
    lakehouse: Lakehouse, generated: Path, point: Condition, whole: bool
) -> None:
    shutil.copytree(generated, lakehouse.landing)
    kill_when(lakehouse, point, whole=whole)
    result = lakehouse.run()
    assert result.status == 0, result.summary["message"]
    lakehouse.assert_equals(compute([sorted(generated.glob("*.csv"))]))
    for name in ("orders", "order_items", "customers"):
        bronze = lakehouse.table(f"bronze.{name}")
        keys = list(
            zip(bronze["_file_hash"].to_pylist(), bronze["_record_number"].to_pylist(), strict=True)
        )
        assert len(keys) == len(set(keys)), f"bronze.{name} holds a record twice"
    assert lakehouse.run().summary["message"].startswith("nothing new")
