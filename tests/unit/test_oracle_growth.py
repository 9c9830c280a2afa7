"""The independent growth computation against small files worked out by hand."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.oracle.growth import KEYS, SOURCES, Oracle, compute
from tests.oracle.growth_gold import statistics
from tests.oracle.handmade import by_key


def deliver(folder: Path, **sources: Sequence[Sequence[str]]) -> list[Path]:
    """Write one file a source; short rows are filled up with empty fields."""
    folder.mkdir(exist_ok=True)
    paths = []
    for source, rows in sources.items():
        header = list(SOURCES[source].columns)
        path = folder / f"growth_{source}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            writer.writerows([*row, *[""] * (len(header) - len(row))] for row in rows)
        paths.append(path)
    return paths


def held(oracle: Oracle, source: str) -> list[tuple[int, str]]:
    rows = oracle.quarantine[source].to_pylist()
    return sorted((row["record"], row["rule"]) for row in rows)


JANUARY = "2024-01-01 10:00:00"


def test_the_latest_update_wins_and_of_equal_ones_the_greater_values(tmp_path: Path) -> None:
    invoices = [
        ("late", "u", "10", "paid", JANUARY, JANUARY, "2024-01-05 00:00:00"),
        ("late", "u", "10", "open", JANUARY, "", "2024-01-04 00:00:00"),
        ("tied", "u", "10", "paid", JANUARY, JANUARY, JANUARY),
        ("tied", "u", "9.5", "refunded", JANUARY, JANUARY, JANUARY),
    ]
    visits = [("v", "a", "email", "", "1", JANUARY), ("v", "a", "direct", "", "", JANUARY)]
    for order in (1, -1):
        files = deliver(tmp_path, billing=invoices[::order], visits=visits)
        oracle = compute([files])
        rows = by_key(oracle.silver["billing"], "invoice_id")
        assert {key: row["status"] for key, row in rows.items()} == {"late": "paid", "tied": "paid"}
        assert oracle.silver["visits"].to_pylist()[0]["channel"] == "direct"


def test_a_row_is_quarantined_under_the_first_rule_that_it_breaks(tmp_path: Path) -> None:
    files = deliver(
        tmp_path,
        visits=[
            (" ", "a", "", "", "x", JANUARY),
            ("v", "", "", "", "1.2.3", JANUARY),
            ("v", "", "", "", "-1", JANUARY),
            ("v", "a", "", "", "-0.01", JANUARY),
            ("v", "a", "", "", "-0.001", JANUARY),
            ("v", "a", "", "", "1", "2999-01-01 00:00:00"),
        ],
        billing=[
            ("i", "u", "-1", "paid", JANUARY, "", ""),
            ("i", "u", "", "paid", JANUARY, "", JANUARY),
            ("i", "u", "-1", "paid", JANUARY, "", JANUARY),
            ("i", "u", "1", "paid", JANUARY, "", JANUARY),
            ("i", "u", "-1", "disputed", JANUARY, "", JANUARY),
            ("i", "u", "1", "paid", JANUARY, "2999-01-01 00:00:00", JANUARY),
        ],
        support_tickets=[
            ("t", "u", "low", JANUARY, "", "2024-01-01 09:59:59", "6", JANUARY),
            ("t", "u", "low", JANUARY, "", "2024-01-01 09:59:59", "5", JANUARY),
            ("t", "u", "low", JANUARY, "", JANUARY, "", JANUARY),
        ],
    )
    oracle = compute([files])
    assert held(oracle, "visits") == [
        (1, "key_missing"),
        (2, "not_parseable"),
        (3, "required_missing"),
        (4, "negative_amount"),
        (6, "in_the_future"),
    ]
    assert held(oracle, "billing") == [
        (1, "sequence_missing"),
        (2, "required_missing"),
        (3, "negative_amount"),
        (4, "paid_without_date"),
        (5, "unknown_status"),
        (6, "in_the_future"),
    ]
    assert held(oracle, "support_tickets") == [
        (1, "csat_out_of_range"),
        (2, "resolved_before_opened"),
    ]


@pytest.fixture
def product(tmp_path: Path) -> Oracle:
    """Two visitors: one signs up twice, the other never; a gap of days; an event without a signup."""
    return compute(
        [
            deliver(
                tmp_path,
                visits=[
                    ("v2", "a", "", "", "2.00", "2024-01-01 09:00:00"),
                    ("v10", "a", "email", "", "1.00", "2024-01-01 09:00:00"),
                    ("v3", "b", "", "", "", "2024-01-08 00:00:00"),
                ],
                signups=[
                    ("u1", "a", "2024-01-01 10:00:00", "US"),
                    ("u2", "a", "2024-01-02 10:00:00", "US"),
                    ("u3", "ghost", "2024-01-02 10:00:00", "US"),
                ],
                product_events=[
                    ("e1", "u1", "x", "2024-01-08 10:00:00"),
                    ("e2", "u2", "x", "2024-01-09 10:00:01"),
                    ("e3", "stranger", "x", "2024-01-09 11:00:00"),
                ],
                billing=[
                    ("i1", "u2", "10", "paid", "2024-01-31 10:00:00", "2024-02-01 10:00:00",
                     "2024-02-01 10:00:00"),
                    ("i2", "u1", "5", "paid", "2024-02-01 10:00:00", "2024-02-02 10:00:00",
                     "2024-02-02 10:00:00"),
                    ("i3", "u1", "7", "overdue", "2024-01-05 10:00:00", "", "2024-01-20 10:00:00"),
                    ("i4", "u1", "3", "refunded", "2024-01-05 10:00:00", "2024-01-06 10:00:00",
                     "2024-05-01 10:00:00"),
                ],
                support_tickets=[
                    ("t1", "u1", "low", "2024-01-03 10:00:00", "", "", "", "2024-01-03 10:00:00"),
                    ("t2", "u1", "low", "2024-01-03 10:00:00", "", "2024-01-04 10:00:00", "4",
                     "2024-01-04 10:00:00"),
                ],
            )
        ]
    )  # fmt: skip


def test_the_days_reach_from_the_first_to_the_last_event(product: Oracle) -> None:
    days = by_key(product.gold["daily_kpis"], "date")
    assert (min(days), max(days), len(days)) == (date(2024, 1, 1), date(2024, 2, 2), 33)
    assert days[date(2024, 1, 1)]["signup_rate"] == 1.0
    assert days[date(2024, 1, 2)]["signups"] == 2
    assert days[date(2024, 1, 2)]["signup_rate"] is None
    assert days[date(2024, 1, 9)]["active_users"] == 2
    assert days[date(2024, 2, 1)]["revenue"] == Decimal("10.00")
    assert days[date(2024, 1, 6)]["paid_invoices"] == 0


def test_the_funnel_counts_visitors_and_the_channels_users(product: Oracle) -> None:
    first, second = date(2024, 1, 1), date(2024, 1, 8)
    funnel = by_key(product.gold["conversion_funnel"], "channel", "week")
    assert funnel["email", first] == {
        "channel": "email", "week": first, "visitors": 1, "signed_up": 1, "activated": 1, "paid": 1,
        "activated_paid": 0, "signup_rate": 1.0, "activation_rate": 1.0, "paid_rate": 0.0,
    }  # fmt: skip
    assert funnel["unknown", second]["signed_up"] == 0
    assert funnel["unknown", second]["activation_rate"] is None
    channels = by_key(product.gold["channel_performance"], "channel")
    assert channels["email"] == {
        "channel": "email", "visitors": 1, "signups": 2, "customers": 2,
        "revenue": Decimal("15.00"), "cost": Decimal("1.00"), "cac": 0.5, "roas": 15.0,
    }  # fmt: skip
    assert channels["unknown"]["cost"] == Decimal("2.00")
    assert (channels["unknown"]["cac"], channels["unknown"]["roas"]) == (None, 0.0)


def test_health_and_revenue(product: Oracle) -> None:
    health = by_key(product.gold["customer_health"], "user_id")
    assert health["u1"] == {
        "user_id": "u1", "active_days_30": 1, "open_tickets": 1, "avg_csat": 4.0,
        "overdue_invoices": 1, "revenue_90d": Decimal("5.00"), "health_score": 2 + 16 + 15 + 10,
        "risk_band": "medium",
    }  # fmt: skip
    assert health["u3"]["health_score"] == 52
    assert health.keys() == {"u1", "u2", "u3"}
    months = by_key(product.gold["revenue"], "month")
    assert months[date(2024, 1, 1)] == {
        "month": date(2024, 1, 1), "invoices": 3, "invoiced": Decimal("20.00"),
        "collected": Decimal("10.00"), "refunded": Decimal("3.00"), "paying_users": 1, "arpu": 10.0,
    }  # fmt: skip


def test_two_proportions_are_compared_as_the_textbook_does() -> None:
    """120 of 1000 against 100 of 1000, worked out by hand."""
    rows = by_key(
        statistics([("e", "control", 1000, 100), ("e", "new", 1000, 120), ("f", "new", 2, 1)]),
        "experiment",
        "variant",
    )
    new = rows["e", "new"]
    assert new["uplift"] == pytest.approx(0.2)
    assert new["z"] == pytest.approx(1.4293, abs=5e-5)
    assert new["p_value"] == pytest.approx(0.1529, abs=5e-5)
    assert (new["ci_low"], new["ci_high"]) == (
        pytest.approx(-0.0074115, abs=5e-7),
        pytest.approx(0.0474115, abs=5e-7),
    )
    for lonely in (rows["e", "control"], rows["f", "new"]):
        assert [lonely[c] for c in ("uplift", "z", "p_value", "ci_low", "ci_high")] == [None] * 5


def test_known_content_does_not_count_again_and_a_strange_name_is_refused(tmp_path: Path) -> None:
    first = deliver(tmp_path / "1", signups=[("u", "a", JANUARY, "US")])
    second = deliver(tmp_path / "2", signups=[("u", "b", JANUARY, "US")])
    again = deliver(tmp_path / "3", signups=[("u", "a", JANUARY, "US")])
    assert compute([first, second, again]).silver["signups"]["visitor_id"].to_pylist() == ["b"]
    with pytest.raises(ValueError, match="matches no growth source"):
        compute([[tmp_path / "orders.csv"]])


def test_every_table_has_a_key_among_its_columns(product: Oracle) -> None:
    tables = product.silver | product.gold
    assert KEYS.keys() == tables.keys()
    for name, table in tables.items():
        assert set(KEYS[name]) <= set(table.column_names)
