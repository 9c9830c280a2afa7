"""Rows that break a rule of their table go to quarantine, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, JoinSpec, Rounding, SilverSpec
from tests.conftest import MakeLake
from tests.property.driver import rows_of
from tests.sessions import BOTH
from tests.steps.shelf import Shelf


@pytest.mark.parametrize("format_name", BOTH)
def test_a_required_column_is_required_as_typed_and_as_computed(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(
        key=["id"],
        columns={
            "id": ColumnSpec(),
            "size": ColumnSpec("int", required=True),
            "parts": ColumnSpec("int"),
            "share": ColumnSpec("int", expr="try_divide(size, parts)", required=True),
        },
    )
    shelf = Shelf(
        spark, make_lake(format_name, tmp_path / "lake"), tmp_path, ["id", "size", "parts"], spec
    )
    shelf.deliver("1", ("a", 6, 3), ("b", 6, 0), ("c", "", 3), ("d", 6, "x"))
    attempt, _ = shelf.run()["silver.item"]
    assert attempt.rows["quarantined"] == 3
    assert shelf.rows("id", "share") == [("a", 2)]
    kept_out = rows_of(shelf.store, shelf.domain.ref("silver.item__quarantine"))
    assert sorted((row["_rule"], row["_reason"]) for row in kept_out) == [
        ("not_parseable", "parts: 'x' is not a int (record 4 of item_1.csv)"),
        ("required_missing", "share: required, but empty (record 2 of item_1.csv)"),
        ("required_missing", "size: required, but empty (record 3 of item_1.csv)"),
    ]


@pytest.mark.parametrize("format_name", BOTH)
def test_what_a_type_does_not_hold_exactly_is_kept_out_unless_its_column_rounds(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(
        key=["id"],
        columns={
            "id": ColumnSpec(),
            "amount": ColumnSpec("decimal(18,2)"),
            "rate": ColumnSpec("decimal(18,2)", rounds=Rounding.half_up),
            "at": ColumnSpec("timestamp"),
            "half": ColumnSpec("decimal(18,2)", expr="amount / 2"),
            "near": ColumnSpec("decimal(18,2)", expr="amount / 3", rounds=Rounding.half_up),
            "parts": ColumnSpec("int", expr="amount * 10"),
            "month": ColumnSpec("date", expr="date_trunc('month', at)"),
            "since": ColumnSpec("bigint", expr="if(id = 'g', at, date_trunc('hour', at))"),
        },
    )
    shelf = Shelf(
        spark, make_lake(format_name, tmp_path / "lake"), tmp_path,
        ["id", "amount", "rate", "at"], spec,
    )  # fmt: skip
    shelf.deliver(
        "1",
        ("a", "1.005", "1", ""),
        ("b", "1e-7", "1", ""),
        ("c", "1.10000", "1.005", "2026-03-01T00:30:00.1234567+02:00"),
        ("d", "0.01", "1", ""),
        ("e", "1.02", "1", ""),
        ("f", "400000000", "1", ""),
        ("g", "1.10", "1", "2026-03-01T10:00:00.5"),
    )
    attempt, _ = shelf.run()["silver.item"]
    assert (attempt.rows["published"], attempt.rows["quarantined"]) == (1, 6)
    ((*values, at, month),) = shelf.rows(
        "id", "amount", "rate", "half", "near", "parts", "since", "at", "month"
    )
    assert [str(v) for v in values] == ["c", "1.10", "1.01", "0.55", "0.37", "11", "1772316000"]
    assert (str(at.replace(tzinfo=None)), str(month)) == (
        "2026-02-28 22:30:00.123456",
        "2026-02-01",
    )
    kept_out = rows_of(shelf.store, shelf.domain.ref("silver.item__quarantine"))
    assert {row["_rule"] for row in kept_out} == {"not_parseable"}
    assert sorted(row["_reason"].split(" (record")[0] for row in kept_out) == [
        "amount: '1.005' does not fit a decimal(18,2) exactly",
        "amount: '1e-7' does not fit a decimal(18,2) exactly",
        "half: '0.005000' does not fit a decimal(18,2) exactly",
        "parts: '10.20' does not fit a int exactly",
        "parts: '4000000000.00' does not fit a int exactly",
        "since: '2026-03-01 10:00:00.5' is not a bigint",
    ]


@pytest.mark.parametrize("format_name", BOTH)
def test_a_row_that_refers_to_nothing_says_so(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    shop = SilverSpec(key=["shop"], columns={"shop": ColumnSpec("int")})
    spec = SilverSpec(
        key=["id"],
        columns={"id": ColumnSpec(), "shop": ColumnSpec("int")},
        references={"shops": JoinSpec("silver.shop", {"shop": "shop"})},
    )
    spec.quarantine.waiting_share = 1.0
    lake = make_lake(format_name, tmp_path / "lake")
    shelf = Shelf(spark, lake, tmp_path, ["id", "shop"], spec, beside={"shop": shop})
    shelf.deliver("1", (1,), source="shop")
    shelf.deliver("1", ("a", 1), ("b", ""), ("c", 2))
    shelf.run()
    assert shelf.rows("id") == [("a",)]
    kept_out = rows_of(shelf.store, shelf.domain.ref("silver.item__quarantine"))
    assert sorted(row["_reason"] for row in kept_out) == [
        "shop: '' is not in silver.shop yet (record 2 of item_1.csv)",
        "shop: '2' is not in silver.shop yet (record 3 of item_1.csv)",
    ]
