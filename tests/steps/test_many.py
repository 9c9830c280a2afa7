"""Many files and many columns: plans are as deep as those of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.metrics import scans
from tasks import bronze, changes
from tasks.gate import check
from tasks.publish import publish
from tasks.spec import ColumnSpec, DomainSpec, GoldSpec, SilverSpec, SourceSpec
from tests.conftest import MakeLake
from tests.property.driver import stage
from tests.sources.shop import Shop
from tests.steps.shelf import Shelf

FILES, COLUMNS = 60, 800


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
    staged = shop.stage()
    assert staged is not None
    bench = shop.bench()
    with scans(bench.store.session) as found:
        bronze.staged_rows(bench, staged)
    assert len([scan for scan in found if "parquet" in scan.what.lower()]) == 1

    report = shop.check(staged)
    assert not report.verdict.blocked, report.verdict.reasons
    with scans(bench.store.session) as found:
        shop.publish(staged, report)
    assert sum(scan.rows for scan in found if "_ingested_at" in scan.what) == 2 * FILES
    rows = shop.rows("bronze.sale", "id", "_source_file", "_delivery", "_record_number")
    assert rows[2 * 7] == ("7", "sale_007.csv", 8, 1)
    assert len(rows) == 2 * FILES
    assert shop.record().rows["published"] == 2 * FILES


class Wide(Shop):
    """A table of many typed columns."""

    @property
    def domain(self) -> DomainSpec:
        spec = super().domain
        typed = {c: ColumnSpec(type="int") for c in self.source.columns if c != "id"}
        columns = {"id": ColumnSpec(), **typed}
        spec.silver["sale"] = SilverSpec(source="bronze.sale", key=["id"], columns=columns)
        return spec


def test_a_file_of_many_typed_columns_reaches_bronze(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    names = [f"c{n}" for n in range(COLUMNS)]
    source = SourceSpec(pattern="sale_*.csv", columns=["id", *names])
    shop = Wide(tmp_path, make_lake(format_name), spark, source)
    shop.write("sale_1.csv", ",".join(["id", *names]), ",".join(["a", *map(str, range(COLUMNS))]))
    shop.write("sale_2.csv", ",".join(["id", *names]), ",".join(["b", *["x"] * COLUMNS]))
    shop.run()
    rows = shop.rows("bronze.sale", "id", f"c{COLUMNS - 1}", "_quality_flag")
    assert rows == [("a", str(COLUMNS - 1), "ok"), ("b", "x", "suspect")]


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
    bench, ref = shelf.bench()(), shelf.domain.ref("silver.item")
    first = str(shelf.store.head(ref).version)
    scanned = []
    for number in (1, 2, 3):
        shelf.deliver(str(number), ("a", number), (f"b{number}", number))
        for label in ("bronze.item", "silver.item"):
            staged = stage(bench := shelf.bench()(), shelf.domain.ref(label))
            assert staged is not None
            publish(bench, staged, check(bench, staged))
        found = changes.sides(bench, ref, first, str(shelf.store.head(ref).version))
        assert found is not None
        with scans(bench.store.session) as read:
            old, new = (sorted(r["n"] for r in rows.collect()) for rows in found)
        scanned.append(len(read))
    assert old == [0, 1, 2]
    assert new == [1, 1, 2, 2, 3, 3]
    assert scanned[0] == scanned[-1]
