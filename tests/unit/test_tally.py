"""A tally survives whatever ends the process that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tally import Tally


def test_a_tally_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tally.jsonl"
    Tally(path).add("kill", seed=1, format="delta")
    again = Tally(path)
    again.add("kill", seed=2, format="delta")
    again.add("batch", seed=2, format="delta")
    assert Tally(path).of("kill") == [
        {"kind": "kill", "seed": 1, "format": "delta"},
        {"kind": "kill", "seed": 2, "format": "delta"},
    ]
    assert [entry["kind"] for entry in Tally(path).of("batch", seed=2)] == ["batch"]
    assert not Tally(path).of("kill", seed=3)


@pytest.mark.parametrize("entries", [0, 2])
def test_a_line_that_was_torn_by_a_kill_is_dropped(tmp_path: Path, entries: int) -> None:
    path = tmp_path / "tally.jsonl"
    for number in range(entries):
        Tally(path).add("kill", number=number)
    with path.open("a") as file:
        file.write('{"kind": "ki')
    Tally(path).add("kill", number=9)
    assert [entry["number"] for entry in Tally(path).of("kill")] == [*range(entries), 9]
