"""Card transactions: whatever the batches, and however late, the lake equals the independent computation."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.generate.finance.generator import generate
from tests.e2e.lakehouse import Lakehouse, Result
from tests.oracle.compare import assert_equal
from tests.oracle.finance import COLUMNS, KEYS, compute
from tests.sessions import BOTH

ROWS = 3_000
Record = tuple[str, ...]


def record(number: str, at: str, amount: str = "20.00", account: str = "A00000001") -> Record:
    """A transaction of merchant M000001 on 1 July 2025."""
    return (
        number, account, "M000001", "groceries", amount, "EUR", f"2025-07-01 {at}", "pos", "DE", "approved",
    )  # fmt: skip


def assert_equals(lakehouse: Lakehouse, deliveries: Sequence[Sequence[Path]]) -> None:
    """Silver, gold and quarantine are those of the oracle, which is told when each file was delivered."""
    bronze = lakehouse.table("bronze.transactions").select(["_source_file", "_ingested_at"])
    oracle = compute(
        deliveries,
        {Path(file).name: at for file, at in zip(*bronze.to_pydict().values(), strict=True)},
    )
    for layer, tables in (("silver", oracle.silver), ("gold", oracle.gold)):
        for name, expected in tables.items():
            assert_equal(lakehouse.table(f"{layer}.{name}"), expected, KEYS[name], name=name)
    assert lakehouse.quarantined("transactions") == oracle.quarantine


def run(lakehouse: Lakehouse) -> Result:
    result = lakehouse.run()
    assert result.status == 0, (result.summary["message"], result.summary["tables"])
    return result


def flags(lakehouse: Lakehouse, rule: str) -> set[str]:
    found = lakehouse.table("gold.anomalies").to_pylist()
    return {row["transaction_id"] for row in found if row["rule"] == rule}


def visible(lakehouse: Lakehouse) -> dict[str, str]:
    """The versions of silver and gold."""
    return {t: v for t, v in lakehouse.versions().items() if not t.startswith("bronze.")}


def split(path: Path, to: Path, parts: int) -> list[Path]:
    """The records of a CSV file dealt out to files, so that each has some of every account and minute."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *records = csv.reader(file)
    to.mkdir(parents=True, exist_ok=True)
    made = []
    for part in range(parts):
        made.append(to / f"transactions_part_{part}.csv")
        with made[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *records[part::parts]])
    return made


def deliver(lakehouse: Lakehouse, files: Iterable[Path]) -> None:
    lakehouse.landing.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copy(path, lakehouse.landing / path.name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_late_transactions_duplicates_and_replays_leave_no_trace_of_their_batches(
    make_lakehouse: Callable[..., Lakehouse], name: str, tmp_path: Path
) -> None:
    lakehouse = make_lakehouse(name, "domain=finance")
    generated = generate(
        tmp_path / "made", rows=ROWS, seed=3, defects=0.02, anomalies=0.004, days=20, accounts=25
    )
    [whole] = [tmp_path / "made" / file.name for file in generated.files]
    parts = split(whole, tmp_path / "parts", 2)

    # half of every burst and of every account; the rest of it comes late
    deliver(lakehouse, parts[:1])
    run(lakehouse)
    assert_equals(lakehouse, [parts[:1]])

    deliver(lakehouse, parts[1:])
    second = run(lakehouse)
    assert_equals(lakehouse, [parts[:1], parts[1:]])
    stored = second.table("silver.accounts")["rows"]
    assert stored["scanned"] == 0, "accounts are kept up to date without reading transactions again"

    # a burst over two batches, the middle of it last; and a sent-again transaction with another amount
    burst = [record(f"b{n:02}", f"10:00:{n * 5:02}") for n in range(12)]
    early = lakehouse.deliver("transactions_x1.csv", COLUMNS, *burst[:4], *burst[9:])
    run(lakehouse)
    assert not {t for t in flags(lakehouse, "velocity") if t.startswith("b")}
    again = record("b00", "10:00:00", amount="99999.00")
    late = lakehouse.deliver("transactions_x2.csv", COLUMNS, again, *burst[4:9])
    run(lakehouse)
    deliveries = [parts[:1], parts[1:], [early], [late]]
    assert {t for t in flags(lakehouse, "velocity") if t.startswith("b")} == {"b10", "b11"}
    assert "b00" not in flags(lakehouse, "very_high")
    assert_equals(lakehouse, deliveries)

    # the same files again, under other names, publish nothing
    before = lakehouse.versions()
    shutil.copy(late, lakehouse.landing / "transactions_replayed.csv")
    assert run(lakehouse).summary["message"] == "nothing new: no table was changed"
    assert lakehouse.versions() == before

    # all of it again from bronze is the same
    assert lakehouse.run(command="rebuild").status == 0
    assert_equals(lakehouse, deliveries)


def test_an_instant_up_to_a_day_after_its_delivery_counts(lakehouse: Lakehouse) -> None:
    lakehouse.extra.append("domain=finance")
    now = datetime.now(UTC)
    soon, late = (f"{now + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}" for hours in (23, 25))
    rows = [
        (*record(name, "00:00:00")[:6], at, *record(name, "00:00:00")[7:])
        for name, at in (("soon", soon), ("late", late))
    ]
    file = lakehouse.deliver("transactions_soon.csv", COLUMNS, *rows)
    run(lakehouse)
    assert lakehouse.quarantined("transactions") == [(file.name, 2, "in_the_future")]
    assert_equals(lakehouse, [[file]])


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_new_column_is_taken_and_a_bad_day_is_stopped(
    make_lakehouse: Callable[..., Lakehouse], name: str
) -> None:
    lakehouse = make_lakehouse(name, "domain=finance")
    usual = [record(f"u{n:02}", f"09:00:{n:02}", f"{10 + n}.00") for n in range(40)]
    first = lakehouse.deliver("transactions_1.csv", COLUMNS, *usual)
    run(lakehouse)

    # the source has a new column by now; its rows are judged as the others are
    wider = [(*record(f"w{n}", f"09:01:{n:02}", "12000.00"), "phone") for n in range(2)]
    second = lakehouse.deliver("transactions_2.csv", [*COLUMNS, "device"], *wider)
    run(lakehouse)
    assert flags(lakehouse, "very_high") == {"w0", "w1"}
    assert_equals(lakehouse, [[first], [second]])

    # a bad day: nothing of it becomes visible, and what a person rejects never does
    before, gold = visible(lakehouse), lakehouse.table("gold.anomalies")
    signs = [record(f"s{n:02}", f"09:02:{n:02}", "-5.00") for n in range(30)]
    bad = lakehouse.deliver("transactions_3.csv", COLUMNS, *signs, record("s99", "09:03:00"))
    result = lakehouse.run()
    assert result.status == 3
    blocked = result.table("silver.transactions")
    assert blocked["status"] == "blocked"
    assert "30 of 31 rows" in blocked["message"]
    assert visible(lakehouse) == before
    assert lakehouse.table("gold.anomalies").equals(gold)
    (batch,) = blocked["batches"]
    status, _, err = lakehouse.command("batch", "reject", batch, "--reason", "signs are wrong")
    assert status == 0, err
    bad.unlink()
    fixed = [(*row[:4], row[4].removeprefix("-"), *row[5:]) for row in signs]
    third = lakehouse.deliver("transactions_3_mended.csv", COLUMNS, *fixed)
    run(lakehouse)
    assert_equals(lakehouse, [[first], [second], [third]])
    before = lakehouse.versions()
    assert run(lakehouse).summary["message"] == "nothing new: no table was changed"
    assert lakehouse.versions() == before


@pytest.mark.parametrize("name", BOTH)
def test_what_is_planted_is_found_in_parquet_files(
    make_lakehouse: Callable[..., Lakehouse], name: str, tmp_path: Path
) -> None:
    lakehouse = make_lakehouse(name, "domain=finance")
    generate(
        lakehouse.landing, rows=ROWS, seed=5, defects=0.01, anomalies=0.004, days=10, accounts=20,
        form="parquet",
    )  # fmt: skip
    files = sorted(lakehouse.landing.glob("*.parquet"))
    truth = json.loads((lakehouse.landing / "finance_truth.json").read_text())
    run(lakehouse)
    assert_equals(lakehouse, [files])
    held = [
        (row["file"], row["record"], row["rule"]) for row in truth["quarantine"]["transactions"]
    ]
    assert lakehouse.quarantined("transactions") == sorted(held)
    for rule in ("velocity", "very_high"):
        planted = {row["transaction_id"] for row in truth["anomalies"] if row["rule"] == rule}
        assert planted
        assert planted <= flags(lakehouse, rule)
    planted = {row["transaction_id"] for row in truth["anomalies"] if row["rule"] == "high_amount"}
    assert planted & flags(lakehouse, "high_amount")
