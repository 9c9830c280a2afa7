"""The independent computation of card transactions against small files worked out by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.oracle.finance import COLUMNS, compute

DELIVERED = dt.datetime(2025, 7, 1, 10, 0, 0, tzinfo=dt.UTC)


def deliver(folder: Path, name: str, *rows: dict[str, str]) -> Path:
    """Write a file of transactions; columns left out are sound."""
    sound = dict.fromkeys(COLUMNS, "x") | {
        "amount": "1.00",
        "transaction_ts": "2025-07-01 09:00:00",
    }
    path = folder / f"transactions_{name}.csv"
    lines = [",".join((sound | row)[column] for column in COLUMNS) for row in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("at", "rules"),
    [
        ("2025-07-02 10:00:00", []),
        ("2025-07-02 10:00:00.000001", ["in_the_future"]),
        ("2025-07-03 09:00:00", ["in_the_future"]),
    ],
)
def test_an_instant_is_in_the_future_by_its_delivery_and_not_by_the_clock(
    tmp_path: Path, at: str, rules: list[str]
) -> None:
    path = deliver(tmp_path, "1", {"transaction_id": "t1", "transaction_ts": at})
    oracle = compute([[path]], {path.name: DELIVERED})
    assert [rule for _, _, rule in oracle.quarantine] == rules
    assert oracle.silver["transactions"].num_rows == 1 - len(rules)


def test_a_row_counts_with_the_first_rule_that_it_breaks(tmp_path: Path) -> None:
    path = deliver(
        tmp_path,
        "1",
        {"transaction_id": "", "amount": "-1"},
        {"transaction_id": "t1", "amount": "1.5x"},
        {"transaction_id": "t2", "amount": "0.00", "transaction_ts": "2999-01-01 00:00:00"},
        {"transaction_id": "t3", "amount": "10000000000000.00"},
        {"transaction_id": "t4", "amount": "9999999999999.99"},
        {"transaction_id": "t5", "transaction_ts": "2999-01-01 00:00:00"},
    )
    oracle = compute([[path]])
    assert oracle.quarantine == [
        (path.name, 1, "key_missing"),
        (path.name, 2, "not_parseable"),
        (path.name, 3, "amount_not_positive"),
        (path.name, 4, "amount_implausible"),
        (path.name, 6, "in_the_future"),
    ]
    assert oracle.silver["transactions"]["transaction_id"].to_pylist() == ["t4"]
