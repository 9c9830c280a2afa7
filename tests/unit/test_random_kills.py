"""What the tally of random kills counts."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.random_kills import kill_at_random, settled, summary, wrong
from tests.tally import Tally


def tally_of_a_stopped_run(path: Path) -> Tally:
    tally = Tally(path)
    what = {"history": 0, "format": "delta", "seed": 1}
    tally.add("start", **what)
    for running in (["silver.accounts_soft publish", "silver.accounts_hard check"], []):
        tally.add("kill", **what, batch=0, delay=1.0, seconds=1.1, running=running)
    tally.add("batch", **what, batch=0, status="same", seconds=9.0, cold=True)
    tally.add("kill", **what, batch=1, delay=1.0, seconds=1.1, running=["gold.plan_totals stage"])
    return tally


def test_only_kills_whose_batch_came_to_an_end_count(tmp_path: Path) -> None:
    tally = tally_of_a_stopped_run(tmp_path / "tally.jsonl")
    assert [kill["batch"] for kill in settled(tally)] == [0, 0]
    lines = summary(tally).splitlines()
    assert lines[1].split() == ["kills", "2", "0"]
    assert lines[2].split() == ["restarts", "finished", "2", "0"]
    assert [line.split() for line in lines[6:]] == [
        ["no", "table", "1", "0"],
        ["silver", "check", "1", "0"],
        ["silver", "publish", "1", "0"],
    ]


def test_a_run_that_does_not_finish_is_no_finished_restart(tmp_path: Path) -> None:
    tally = tally_of_a_stopped_run(tmp_path / "tally.jsonl")
    what = {"history": 0, "format": "delta", "seed": 1, "batch": 1, "seconds": 3.0, "cold": True}
    tally.add("batch", **what, status="wrong", message="run failed in : boom", lake="somewhere")
    assert len(settled(tally)) == 3
    assert [entry["batch"] for entry in wrong(tally)] == [1]
    assert summary(tally).splitlines()[2].split() == ["restarts", "finished", "2", "0"]
    assert "boom" in summary(tally)


def test_with_enough_kills_nothing_is_started(tmp_path: Path) -> None:
    tally = tally_of_a_stopped_run(tmp_path / "tally.jsonl")
    before = list(tally.entries)
    kill_at_random(tally, kills=2, formats=["delta"], seconds=60, first_seed=1)
    assert tally.entries == before
