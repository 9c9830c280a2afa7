"""Subscriptions delivered as change events in unkind pieces, against the independent computation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tasks.generate.saas.generator import TRUTH, generate
from tests.e2e.lakehouse import Lakehouse, Result
from tests.oracle.saas import KEYS, compute

MOVEMENTS = ("new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr")
INVOICE = "invoice_id,subscription_id,amount,issued_at,paid_at,status,updated_at"


def changes(folder: Path) -> list[str]:
    """The change events of all deliveries."""
    paths = sorted(folder.glob("saas_subscription_changes_*.jsonl"))
    return [line for path in paths for line in path.read_text("utf-8").splitlines()]


def pieces(lines: Sequence[str], count: int, seed: int) -> Iterator[list[str]]:
    """The lines in another order, in so many pieces."""
    mixed = list(lines)
    Random(seed).shuffle(mixed)
    return (mixed[start::count] for start in range(count))


def write_lines(lake: Lakehouse, name: str, lines: Sequence[str]) -> None:
    lake.write(name, "\n".join(lines) + "\n")


def copy(lake: Lakehouse, paths: Sequence[Path]) -> None:
    lake.landing.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copy(path, lake.landing / path.name)


def published(lake: Lakehouse) -> Result:
    """A run that nothing stops."""
    result = lake.run()
    assert result.status == 0, result.summary["message"]
    return result


def rows_of_gold(lake: Lakehouse) -> dict[str, list[str]]:
    """Every row of every gold table with all its columns, the time of its last change included."""
    tables = [label for label in lake.versions() if label.startswith("gold.")]
    return {label: sorted(map(str, lake.table(label).to_pylist())) for label in tables}


def change(line: str, **values: Any) -> dict[str, Any]:
    """A change event with other values of its row, its operation, or its place in the log."""
    event: dict[str, Any] = json.loads(line)
    row = event["after"] or event["before"]
    event["source"] |= {name: values.pop(name) for name in ("lsn", "ts_us") if name in values}
    event["op"] = values.pop("op", "u")
    row = row | values
    event |= (
        {"before": row, "after": None} if event["op"] == "d" else {"before": None, "after": row}
    )
    return event


def corrections(lines: Sequence[str]) -> list[str]:
    """Late events: into the middle of histories, deletes, and a tie; the source has a new column by now.

    One subscription is deleted twice, and one that never came is deleted last of all.
    """
    wanted = ('"status": "active"', '"op": "u"', '"ts_us": 1')
    sound = [line for line in lines if all(text in line for text in wanted)]
    assert len(sound) > 9
    events = []
    for number, line in enumerate(sound[:9]):
        at, lsn = (json.loads(line)["source"][name] for name in ("ts_us", "lsn"))
        late = [
            {"ts_us": at - 90 * 86_400_000_000, "lsn": lsn - 1, "monthly_price": "77.00"},
            {"ts_us": at + 86_400_000_000, "lsn": lsn + 1, "op": "d"},
            {"ts_us": at, "lsn": lsn + 1, "status": "past_due"},
        ][number % 3]
        events.append(change(line, coupon="SPRING", **late))
    at, lsn = (events[1]["source"][name] for name in ("ts_us", "lsn"))
    again = {"ts_us": at + 86_400_000_000, "lsn": lsn + 1, "op": "d"}
    never = {"subscription_id": "sub_never", "ts_us": 1_739_000_000_000_000, "op": "d"}
    events += [change(json.dumps(events[1]), **late) for late in (again, never)]
    return [json.dumps(event) for event in events]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 months in three deliveries, with every kind of defect."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, rows=300, seed=11, defects=0.02, deliveries=3)
    return folder


def test_two_deliveries_in_an_unkind_order_give_what_the_sorted_log_gives(
    make_lakehouse: Callable[..., Lakehouse], generated: Path
) -> None:
    """The newest third before what it builds on, then everything else, shuffled, with late corrections."""
    lake = make_lakehouse("delta", "domain=saas")
    copy(lake, sorted(generated.glob("saas_*_03.*")))
    published(lake)
    (rest,) = pieces([*changes(generated), *corrections(changes(generated))], 1, seed=3)
    write_lines(lake, "saas_subscription_changes_rest.jsonl", rest)
    copy(lake, [path for path in generated.glob("saas_*_0[12].*") if "changes" not in path.name])
    published(lake)
    lake.assert_equals(compute(sorted(lake.landing.iterdir())), KEYS)
    assert published(lake).summary["message"] == "nothing new: no table was changed"


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_late_shuffled_corrected_and_replayed_changes_give_what_the_sorted_log_gives(
    make_lakehouse: Callable[..., Lakehouse], name: str, generated: Path
) -> None:
    """The deliveries that docs/explanation/domains/saas.md tells of, a run each."""
    lake = make_lakehouse(name, "domain=saas")

    # First load: the newest third of everything, before what it builds on.
    copy(lake, sorted(generated.glob("saas_*_03.*")))
    published(lake)

    # Increments: the rest, split and shuffled; invoices without their subscriptions, no users yet.
    earlier = [generated / f"saas_subscription_changes_{d:02}.jsonl" for d in (1, 2)]
    lines = [line for path in earlier for line in path.read_text("utf-8").splitlines()]
    one, two = pieces(lines, 2, seed=3)
    write_lines(lake, "saas_subscription_changes_one.jsonl", one)
    copy(lake, sorted(generated.glob("saas_invoices_*.csv")))
    published(lake)
    write_lines(lake, "saas_subscription_changes_two.jsonl", two)
    copy(lake, [*generated.glob("saas_users_*.csv"), *generated.glob("saas_events_*.jsonl")])
    published(lake)

    # Late corrections, and a column that the source did not have.
    write_lines(lake, "saas_subscription_changes_late.jsonl", corrections(changes(generated)))
    first = next(generated.glob("saas_invoices_01.csv")).read_text("utf-8").splitlines()[1]
    invoice = first.split(",")[0]
    lake.write(
        "saas_invoices_late.csv",
        f"{INVOICE}\n{invoice},sub_0000001,1.00,2022-03-31 23:59:59.999999,,void,2026-01-01 00:00:00\n"
        f"{invoice},sub_0000001,9.99,2022-03-31 23:59:59.999999,,open,2021-01-01 00:00:00\n",
    )
    published(lake)
    assert set(lake.table("bronze.subscriptions")["coupon"].to_pylist()) == {None, "SPRING"}
    last = max(lake.table("gold.mrr_monthly")["month"].to_pylist())
    assert last == date(2025, 2, 1), "the month of the newest delete, whose subscription never came"
    lake.assert_equals(compute(sorted(lake.landing.iterdir())), KEYS)

    # A replay in another order changes no column of any row.
    gold = rows_of_gold(lake)
    (again,) = pieces(changes(generated), 1, seed=5)
    write_lines(lake, "saas_subscription_changes_again.jsonl", again)
    published(lake)
    assert rows_of_gold(lake) == gold

    bad_day(lake)
    lake.assert_equals(compute(sorted(lake.landing.iterdir())), KEYS)
    before = lake.versions()
    assert published(lake).summary["message"] == "nothing new: no table was changed"
    assert lake.versions() == before


def bad_day(lake: Lakehouse) -> None:
    """Invoices with negative amounts are stopped with what depends on them; the rest is published."""
    before = lake.versions()
    rows = [
        f"bad_{n},sub_0000001,-5.00,2024-12-01 00:00:00,,open,2024-12-01 00:00:00"
        for n in range(30)
    ]
    bad = lake.write("saas_invoices_bad.csv", "\n".join([INVOICE, *rows]) + "\n")
    user = "usr_late,late@example.com,Late,DE,team,2024-12-01 00:00:00,2024-12-01 00:00:00"
    users = "user_id,email,name,country,plan_interest,created_at,updated_at"
    lake.write("saas_users_late.csv", f"{users}\n{user}\n")
    result = lake.run()
    assert result.status == 3
    assert result.statuses()["silver.invoices"] == "blocked"
    assert "30 of 30 rows" in result.table("silver.invoices")["message"]
    assert result.statuses()["silver.users"] == "published"
    after = lake.versions()
    for table in ("silver.invoices", "gold.revenue_monthly", "gold.subscription_lifecycle"):
        assert after[table] == before[table]
    (batch,) = result.table("silver.invoices")["batches"]
    status, _, err = lake.command("batch", "reject", batch, "--reason", "amounts are negative")
    assert status == 0, err
    bad.unlink()
    fixed = [row.replace("-5.00", "5.00") for row in rows]
    lake.write("saas_invoices_mended.csv", "\n".join([INVOICE, *fixed]) + "\n")
    published(lake)


MRR_TABLES = (
    "tables=[bronze.users,bronze.subscriptions,silver.users,silver.subscriptions,"
    "silver.subscriptions_history,"
    "gold.months,gold.user_mrr_monthly,gold.mrr_monthly]"
)


@pytest.mark.slow
def test_movements_reconcile_in_each_of_36_months_after_every_shuffled_piece(
    make_lakehouse: Callable[..., Lakehouse], tmp_path: Path
) -> None:
    """From gold alone. No user ever arrives, and no money is lost for that."""
    generate(tmp_path / "generated", rows=900, seed=23)
    lake = make_lakehouse("delta", "domain=saas")
    for number, piece in enumerate(pieces(changes(tmp_path / "generated"), 3, seed=7)):
        write_lines(lake, f"saas_subscription_changes_{number}.jsonl", piece)
        result = lake.run(MRR_TABLES)
        assert result.status == 0, result.summary["message"]
        months = lake.table("gold.mrr_monthly").sort_by("month").to_pylist()
        before = Decimal(0)
        for month in months:
            assert month["mrr"] == before + sum(month[name] for name in MOVEMENTS), month["month"]
            before = month["mrr"]
    assert len(months) == 36
    assert all(any(month[name] for month in months) for name in MOVEMENTS)
    expected = compute(sorted(lake.landing.iterdir())).gold["mrr_monthly"].sort_by("month")
    assert [m["mrr"] for m in months] == expected["mrr"].to_pylist()


def test_the_truth_file_is_what_the_independent_computation_finds(generated: Path) -> None:
    files = [path for path in generated.iterdir() if path.name != TRUTH]
    found = compute(sorted(files)).quarantine
    truth = json.loads((generated / TRUTH).read_text("utf-8"))["quarantine"]
    for table, held in truth.items():
        expected = sorted((row["file"], row["record"], row["rule"]) for row in held)
        assert sorted(tuple(row.values()) for row in found[table].to_pylist()) == expected, table
