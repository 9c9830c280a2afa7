"""The crm generator: reproducible bytes, the cases that the domain copes with, and a true truth file."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tasks.generate.crm.generator import generate
from tasks.generate.generated import Generated
from tests.oracle.crm import compute, read

SOURCES = 7


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Three deliveries with planted defects."""
    return generate(tmp_path_factory.mktemp("crm"), rows=600, seed=3, defects=0.03, deliveries=3)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 11), ("b", 11), ("c", 12)):
        generate(tmp_path / name, rows=100, seed=seed, defects=0.05, deliveries=2)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert len(a) == 2 * SOURCES + 1
    assert [name for name in a if a[name] == c[name]] == []


def test_generating_again_leaves_no_file_of_before(tmp_path: Path) -> None:
    generate(tmp_path, rows=100, seed=1, deliveries=4)
    generate(tmp_path, rows=50, seed=2, deliveries=1)
    assert len(list(tmp_path.iterdir())) == SOURCES + 1


@pytest.mark.parametrize(
    "wrong", [{"rows": 1}, {"seed": -1}, {"defects": 0.6}, {"days": 0}, {"deliveries": 0}]
)
def test_values_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        generate(tmp_path, **wrong)


def test_planted_records_break_their_rules_and_no_others_do(made: Generated) -> None:
    planted = json.loads(made.truth.read_text("utf-8"))["defects"]
    expected = Counter((row["table"], row["rule"]) for row in planted)
    found = compute(read(made.truth.parent / file.name for file in made.files)).broken
    assert found == expected
    assert len(found) == 7


def test_refunds_come_late_but_never_more_than_three_days(made: Generated) -> None:
    """By the newest instant of the deliveries before, which is as far as a run has read."""
    reached, late = datetime.min, timedelta(0)
    for number in (1, 2, 3):
        rows = read([made.truth.parent / f"crm_orders_{number:02}.csv"])["orders"]
        instants = [datetime.fromisoformat(row["updated_at"]) for row in rows]
        if number > 1:
            late = max(late, reached - min(instants))
        reached = max(reached, *instants)
    assert timedelta(days=1) < late <= timedelta(days=3)


def test_the_cases_that_the_domain_has_to_cope_with_are_there(made: Generated) -> None:
    found = read(made.truth.parent / file.name for file in made.files)
    events = Counter(event["event_id"] for event in found["events"])
    assert max(events.values()) > 1, "events that come twice"
    days = {row["date"] for row in found["fx_rates"]}
    assert "2026-01-10" not in days, "a day without a rate"
    facts = compute(found).gold["fct_orders"].to_pylist()
    assert any(fact["customer_sk"] == "unknown" for fact in facts), "orders before their customer"
    spans: dict[str, int] = defaultdict(int)
    for span in compute(found).silver["customers"].to_pylist():
        spans[span["customer_id"]] += 1
    assert max(spans.values()) > 2
