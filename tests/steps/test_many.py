"""Many files and many columns: plans are as deep as those of one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.spark.metrics import scans
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import ColumnSpec, GoldSpec, SilverSpec, SourceSpec
from tasks.ingest.records import staged_rows
from tasks.records import changes
from tasks.rows.frames import typed, with_broken_rule
from tasks.run_table import check, publish
from tests.conftest import MakeLake
from tests.property.driver import rows_of, stage
from tests.sources.shop import Shop
from tests.steps.shelf import Shelf

FILES = 60


@pytest.fixture(params=("delta", "iceberg"))
def format_name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_the_records_of_many_files_are_read_in_one_scan(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    source = SourceSpec(pattern="sale_*.csv", columns=["id", "amount"])
    shop = Shop(tmp_path, make_lake(format_name), spark, source)
    for number in range(FILES):
        shop.write(f"sale_{number:03}.csv", "id,amount", f"{number},{number}.50", f"x{number},1")
    attempt = shop.stage()
    assert attempt is not None
    context = shop.context()
    with scans(context.store.session) as found:
        staged_rows(context, attempt)
    assert len([scan for scan in found if "parquet" in scan.what.lower()]) == 1

    report = shop.check(attempt)
    assert not report.verdict.blocked, report.verdict.reasons
    with scans(context.store.session) as found:
        shop.publish(attempt, report)
    assert sum(scan.rows for scan in found if "_ingested_at" in scan.what) == 2 * FILES
    rows = shop.rows("bronze.sale", "id", "_source_file", "_delivery", "_record_number")
    assert rows[2 * 7] == ("7", "sale_007.csv", 8, 1)
    assert len(rows) == 2 * FILES
    assert shop.record().rows["published"] == 2 * FILES


def test_no_plan_grows_with_typed_columns(spark: SparkSession) -> None:
    def patterns(count: int) -> int:
        names = [f"c{n}" for n in range(count)]
        spec = SilverSpec(key=["c0"], columns={name: ColumnSpec(type="int") for name in names})
        text = ", ".join(f"{name} string" for name in names)
        rows = spark.createDataFrame(
            [], f"{text}, _rescued string, _record_number int, _source_file string"
        )
        judged_rows = with_broken_rule(typed(rows, spec.columns, names), spec)
        return str(judged_rows._jdf.queryExecution().optimizedPlan()).count("RLIKE")

    limit = "spark.sql.debug.maxToStringFields"
    before = spark.conf.get(limit)
    spark.conf.set(limit, "1000000")
    try:
        assert patterns(2) == patterns(60) > 0
    finally:
        spark.conf.set(limit, before or "25")


@pytest.mark.slow
def test_ten_thousand_files_of_one_record_are_loaded(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(key=["id"], columns={"id": ColumnSpec(type="int"), "n": ColumnSpec("int")})
    shelf = Shelf(spark, make_lake(format_name, tmp_path / "lake"), tmp_path, ["id", "n"], spec)
    for number in range(10_000):
        shelf.deliver(f"{number:05}", (number, number))
    attempt, gate = shelf.run()["silver.item"]
    assert not gate.verdict.blocked, gate.verdict.reasons
    assert attempt.rows["published"] == 10_000
    shelf.deliver("last", (7, 8))
    shelf.run()
    rows = dict(shelf.rows("id", "n"))
    assert (rows[7], rows[8], len(rows)) == (8, 8, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [800, 2000])
def test_a_table_of_many_typed_columns_is_loaded(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path, columns: int
) -> None:
    numbers = [f"c{n}" for n in range(columns)]
    kinds = ("int", "decimal(18,2)")
    typed = {name: ColumnSpec(type=kinds[n % 2]) for n, name in enumerate(numbers)}
    spec = SilverSpec(key=["id"], columns={"id": ColumnSpec(), **typed})
    lake = make_lake(format_name, tmp_path / "lake")
    shelf = Shelf(spark, lake, tmp_path, ["id", *numbers], spec)
    first, last = numbers[0], numbers[-1]
    many = [(f"k{row:02}", *[row] * columns) for row in range(40)]
    shelf.deliver("1", *many, ("bad", *range(columns - 1), "x"))
    attempt, gate = shelf.run()["silver.item"]
    assert not gate.verdict.blocked, gate.verdict.reasons
    assert attempt.rows["quarantined"] == 1
    (kept,) = rows_of(shelf.store, quarantine_of(shelf.domain.ref("silver.item")))
    assert kept["_reason"].startswith(f"{last}: 'x' is not a decimal(18,2) (record 41 of ")
    flags = {row[1] for row in shelf.rows("id", "_quality_flag", label="bronze.item")}
    assert flags == {"ok", "suspect"}

    shelf.deliver("2", ("k07", *[1000] * columns))
    shelf.run()
    rows = shelf.rows("id", first, last)
    assert rows[7] == ("k07", 1000, Decimal("1000.00"))
    assert rows[8] == ("k08", 8, Decimal("8.00"))
    assert len(rows) == len(many)


@pytest.mark.slow
def test_the_changes_of_many_commits_are_read_at_once(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(key=["id"], columns={"id": ColumnSpec(), "n": ColumnSpec("int")})
    # A table that reads the changes, so that they are kept.
    gold = GoldSpec(sql="total.sql", key=["n"], columns={"n": ColumnSpec("int")},
                    groups={"silver.item": "n"})  # fmt: skip
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "total.sql").write_text("select distinct n from silver.item")
    shelf = Shelf(
        spark, make_lake(format_name, tmp_path / "lake"), tmp_path, ["id", "n"], spec,
        gold={"total": gold},
    )  # fmt: skip
    shelf.deliver("0", ("a", 0))
    shelf.run()
    context, ref = shelf.context()(), shelf.domain.ref("silver.item")
    first = str(shelf.store.head(ref).version)
    scanned = []
    for number in (1, 2, 3):
        shelf.deliver(str(number), ("a", number), (f"b{number}", number))
        for label in ("bronze.item", "silver.item"):
            attempt = stage(context := shelf.context()(), shelf.domain.ref(label))
            assert attempt is not None
            publish(context, attempt, check(context, attempt))
        found = changes.sides(context, ref, first, str(shelf.store.head(ref).version))
        assert found is not None
        with scans(context.store.session) as read:
            old, new = (sorted(r["n"] for r in rows.collect()) for rows in found)
        scanned.append(len(read))
    assert old == [0, 1, 2]
    assert new == [1, 1, 2, 2, 3, 3]
    assert scanned[0] == scanned[-1]
