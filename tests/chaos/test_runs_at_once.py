"""Two runs at once on one lake: of one domain the second waits, of two domains neither does."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from storage.formats import formats_for
from storage.types import Snapshot, TableRef
from tasks.generate.olist.generator import generate
from tests.chaos.supervisor import Worker
from tests.chaos.worker import domain_named
from tests.e2e.lakehouse import Lakehouse
from tests.oracle.olist import compute
from tests.property.delivery import plan_delivery, taken_in, write
from tests.property.engine import assert_committed_once, assert_tables
from tests.property.events import make_log
from tests.sessions import lake_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
WAIT_SECONDS = 900
PROGRAM = [sys.executable, "-c", "from flows.cli import main; main()", "run"]
SALES = ("_order_items_", "_order_payments_", "_order_reviews_")


def run_at_once(lakehouse: Lakehouse, landings: Sequence[Path]) -> None:
    """Start a process on each landing folder and wait for all."""
    runs = []
    for landing in landings:
        overrides = [*lakehouse.overrides, f"paths.landing={landing}", "locking.run_seconds=600"]
        with landing.with_suffix(".log").open("wb") as log:
            runs.append(subprocess.Popen([*PROGRAM, *overrides], stdout=log, stderr=log))
    try:
        statuses = [run.wait(WAIT_SECONDS) for run in runs]
    finally:
        for run in runs:
            run.kill()
    logs = [landing.with_suffix(".log").read_text() for landing in landings]
    assert statuses == [0] * len(runs), "\n\n".join(logs)


def commits(lakehouse: Lakehouse) -> list[tuple[TableRef, Snapshot]]:
    """The commits of all tables, the oldest first."""
    reader = lakehouse.reader
    found = [
        (ref, entry)
        for ref in reader.tables()
        if ref.layer != "ops"
        for entry in reader.store.history(ref)
        if entry.record is not None
    ]
    return sorted(found, key=lambda pair: pair[1].committed_at)


@pytest.mark.parametrize("format_name", formats_for())
def test_the_second_run_of_a_domain_waits(
    format_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One delivers what the other's rows refer to; whichever comes first, the lake is that of both."""
    lakehouse = Lakehouse(format_name, tmp_path, capsys)
    generate(tmp_path / "all", rows=200, seed=11, defects=0.02)
    landings = {True: tmp_path / "sales", False: tmp_path / "rest"}
    for file in sorted((tmp_path / "all").glob("*.csv")):
        landing = landings[any(part in file.name for part in SALES)]
        landing.mkdir(exist_ok=True)
        shutil.copy(file, landing)
    run_at_once(lakehouse, list(landings.values()))

    made = commits(lakehouse)
    runs = [entry.record.run_id for _, entry in made if entry.record is not None]
    assert len(list(itertools.groupby(runs))) == 2, "the runs' commits are mixed"
    sales_first = made[0][0].name in ("order_items", "order_payments", "order_reviews")
    order = [landings[sales_first], landings[not sales_first]]
    lakehouse.assert_equals(compute([sorted(landing.glob("*.csv")) for landing in order]))


@pytest.mark.parametrize("format_name", formats_for())
def test_runs_of_two_domains_do_not_wait(tmp_path: Path, format_name: str) -> None:
    """Both hold their lock before either is done."""
    random = Random(5)
    plan = plan_delivery(random, make_log(random, events=30, keys=8), batches=1)
    write(plan[0], tmp_path / "landing")
    names = ("accounts", "members")
    workers = [Worker(format_name, tmp_path, name) for name in names]
    try:
        for worker in workers:
            assert worker.await_ready().end == "ready"
        for worker in workers:
            worker.start(0)
        for worker in workers:
            assert worker.wait_for("locked", 60).end == "locked"
        assert all(worker.wait_for("done", 0).end == "hung" for worker in workers)
        for worker in workers:
            attempt = worker.wait_for("done", WAIT_SECONDS)
            assert attempt.end == "done", attempt
        assert [worker.stop() for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    store = lake_at(tmp_path / "lake", format_name).store(None)
    for name in names:
        assert_tables(store, domain_named(name), taken_in(plan))
        assert_committed_once(store, domain_named(name), taken_in(plan))
