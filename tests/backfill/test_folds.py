"""What is folded from rows that a backfill took in, its parts staged side by side."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, Fold, GoldSpec, PartitionSpec, SilverSpec
from tasks.ingest import bronze
from tasks.manage import backfill
from tasks.manage.backfill import Request
from tasks.records import decisions
from tasks.records.decisions import Decision
from tasks.rows.partitions import Unit
from tasks.run_table import check, publish
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf

TOTALS = "select who, count(*) as items, sum(n) as total from silver.item group by who"
START, END = dt.date(2025, 1, 1), dt.date(2025, 3, 1)


def item() -> SilverSpec:
    columns = {
        "id": ColumnSpec(),
        "who": ColumnSpec(),
        "n": ColumnSpec("decimal(18,2)"),
        "day": ColumnSpec("date"),
    }
    return SilverSpec(key=["id"], columns=columns, partition=PartitionSpec("day", "day"))


def totals() -> GoldSpec:
    return GoldSpec(
        key=["who"],
        inputs=["silver.item"],
        sql="totals.sql",
        groups={"silver.item": "who"},
        fold={"total": Fold.sum, "items": Fold.sum},
        columns={
            "who": ColumnSpec(),
            "items": ColumnSpec("bigint"),
            "total": ColumnSpec("decimal(28,2)"),
        },
    )


def arrive(made: Shelf, decision: Decision) -> None:
    """Resolve the newest delivery, which bronze alone has taken in."""
    ref = made.domain.ref("bronze.item")
    head = made.store.head(ref).record
    assert head is not None
    decisions.resolve(
        made.store, made.domain.name, batch_id=head.files[-1].batch_id, table_name=ref.label,
        decision=decision, reason="by mistake", by="test",
    )  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
def test_a_key_in_two_parts_of_a_backfill_is_counted_once(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "totals.sql").write_text(TOTALS)
    lake = make_lake(name, tmp_path / "lake")
    columns = ["id", "who", "n", "day"]
    made = Shelf(spark, lake, tmp_path, columns, item(), {"totals": totals()})
    made.deliver("1", ("old", "a", 1, "2025-01-05"), ("other", "b", 2, "2025-02-05"))
    made.run()

    made.deliver("2", ("k", "a", 10, "2025-01-10"), ("k", "b", 100, "2025-02-10"))
    context = made.context()()
    arrived = bronze.stage(context, made.domain.ref("bronze.item"))
    assert arrived is not None
    publish(context, arrived, check(context, arrived))
    arrive(made, Decision.rejected)
    made.run()
    assert made.rows("id") == [("old",), ("other",)]

    arrive(made, Decision.accepted)
    make = made.context()
    planned = backfill.planned(make(), Request(("item",), START, END, Unit.month))
    (table,) = planned.tables
    parts = [backfill.stage(make(), table, planned.part(p)) for p in planned.partitions]
    assert [part.rows["published"] for part in parts] == [1, 1], "neither knows of the other"
    for part in parts:
        context = make()
        publish(context, part, check(context, part))
    assert made.rows("id", "who") == [("k", "b"), ("old", "a"), ("other", "b")]

    made.run()
    expected = [("a", 1, Decimal("1.00")), ("b", 2, Decimal("102.00"))]
    assert made.rows("who", "items", "total", label="gold.totals") == expected
