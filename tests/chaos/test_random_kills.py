"""A few kills at random points; `make test-kills` makes hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.formats import formats_for
from tests.chaos.random_kills import kill_at_random, settled, summary, wrong
from tests.tally import Tally

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("format_name", formats_for())
def test_runs_killed_anywhere_are_completed_by_the_next(tmp_path: Path, format_name: str) -> None:
    tally = Tally(tmp_path / "tally.jsonl")
    kill_at_random(tally, kills=2, formats=[format_name], seconds=1800, first_seed=1)
    assert len(settled(tally)) >= 2, summary(tally)
    assert not wrong(tally), summary(tally)
