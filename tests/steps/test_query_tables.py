"""Queries kept up to date by what changed: folded columns, groups other than the key, sorted files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.errors import ConfigurationError
from storage.spark.metrics import scans, scans_of
from storage.types import TableRef
from tasks.aggregate import groups
from tasks.domain.spec import ColumnSpec, Fold, GoldSpec, Rounding, SilverSpec, Strategy
from tasks.rows.computed import with_computed
from tasks.table import layout
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf

COLUMNS = ["id", "who", "n", "op"]
TOTALS = """
select who, count(*) as items, sum(n) as total, min(n) as least, max(n) as most
from silver.item where who is not null group by who
"""
LARGEST = """
select id, who, n from (select *, max(n) over (partition by who) as largest from silver.item)
where n = largest
"""
ITEM = {
    "id": ColumnSpec(),
    "who": ColumnSpec(),
    "n": ColumnSpec("decimal(18,2)"),
    "op": ColumnSpec(),
}
Row = tuple[Any, ...]


def totals() -> GoldSpec:
    return GoldSpec(
        key=["who"],
        inputs=["silver.item"],
        sql="totals.sql",
        groups={"silver.item": "who"},
        fold={"items": Fold.sum, "total": Fold.sum, "least": Fold.min, "most": Fold.max},
        columns={
            "who": ColumnSpec(),
            "mean": ColumnSpec("double", expr="cast(total as double) / items"),
            "items": ColumnSpec("bigint"),
            "total": ColumnSpec("decimal(28,2)"),
            "least": ColumnSpec("decimal(18,2)"),
            "most": ColumnSpec("decimal(18,2)"),
        },
    )


def largest() -> GoldSpec:
    return GoldSpec(
        key=["id"],
        inputs=["silver.item"],
        sql="largest.sql",
        group_by=["who"],
        groups={"silver.item": "who"},
        columns={"id": ColumnSpec(), "who": ColumnSpec(), "n": ColumnSpec("decimal(18,2)")},
    )


def shelf(
    spark: SparkSession, make_lake: MakeLake, root: Path, name: str, spec: SilverSpec, **gold: GoldSpec
) -> Shelf:  # fmt: skip
    (root / "sql").mkdir()
    (root / "sql" / "totals.sql").write_text(TOTALS)
    (root / "sql" / "largest.sql").write_text(LARGEST)
    return Shelf(spark, make_lake(name, root / "lake"), root, COLUMNS, spec, gold)


def upserted() -> SilverSpec:
    return SilverSpec(key=["id"], columns=dict(ITEM), delete_when="op = 'd'")


class Items:
    """The items as they are after the deliveries."""

    def __init__(self) -> None:
        self.now: dict[str, Row] = {}

    def take(self, *rows: Row) -> tuple[Row, ...]:
        for row in rows:
            self.now.pop(row[0], None)
            if row[3] != "d":
                self.now[row[0]] = row
        return rows

    def totals(self) -> list[Row]:
        found: dict[str, list[Decimal]] = defaultdict(list)
        for _, who, n, _ in self.now.values():
            if who:
                found[who].append(Decimal(f"{n}.00"))
        return sorted(
            (who, len(n), sum(n), min(n), max(n), float(sum(n)) / len(n))
            for who, n in found.items()
        )

    def largest(self) -> list[str]:
        most: dict[str, int] = defaultdict(int)
        for _, who, n, _ in self.now.values():
            most[who] = max(most[who], n)
        return sorted(id_ for id_, who, n, _ in self.now.values() if n == most[who])


@pytest.mark.parametrize("name", BOTH)
def test_what_is_folded_is_what_the_query_gives(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, upserted(), totals=totals(), largest=largest())
    items = Items()

    def check(text: str) -> dict[str, int]:
        attempt, _ = made.run()["gold.totals"]
        columns = ("who", "items", "total", "least", "most", "mean")
        assert made.rows(*columns, label="gold.totals") == items.totals(), text
        found = [row[0] for row in made.rows("id", label="gold.largest")]
        assert found == items.largest(), text
        return dict(attempt.rows)

    made.deliver(
        "1",
        *items.take(("a1", "a", 5, ""), ("a2", "a", 7, ""), ("b1", "b", 1, ""), ("x", "", 3, "")),
    )
    check("first load")
    made.deliver("2", *items.take(("a3", "a", 9, ""), ("c1", "c", 4, ""), ("y", "", 8, "")))
    rows = check("only new rows, also without a group")
    assert rows["scanned"] == 0, "new rows are added to the stored ones, others are not read again"
    made.deliver("3", *items.take(("a1", "a", 100, ""), ("b2", "b", 3, "")))
    check("one group has a changed row, another a new one")
    made.deliver("4", *items.take(("a3", "a", 9, "d"), ("b1", "c", 1, ""), ("a2", "a", 2, "")))
    check("a row leaves, one moves, a minimum changes")
    made.deliver("5", *items.take(("b2", "b", 3, "d"), ("y", "", 8, "d"), ("z", "", 1, "")))
    check("a group vanishes")
    made.deliver("6", *items.take(("v", "", 2, ""), ("w", "", 3, "")))
    check("no row has a group that counts")
    made.run(rebuild=True)
    assert [r[:2] for r in made.rows("who", "items", label="gold.totals")] == [
        r[:2] for r in items.totals()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_fold_without_computed_columns_in_another_order(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    spec = totals()
    del spec.columns["mean"]
    spec.fold = dict(reversed(spec.fold.items()))
    made, items = shelf(spark, make_lake, tmp_path, name, upserted(), totals=spec), Items()
    made.deliver("1", *items.take(("a1", "a", 5, "")))
    made.run()
    made.deliver("2", *items.take(("a2", "a", 7, ""), ("b1", "b", 1, "")))
    attempt, _ = made.run()["gold.totals"]
    assert attempt.rows["scanned"] == 0
    found = made.rows("who", "items", "total", "least", "most", label="gold.totals")
    assert found == [row[:5] for row in items.totals()]


WRONG_SQL = {
    "a column too many": (
        "select who, count(*) as items, sum(n) as total, min(n) as least, max(n) as most, 1 as more",
        "more int is not wanted",
    ),
    "another order": (
        "select who, sum(n) as total, count(*) as items, min(n) as least, max(n) as most",
        "the order of the columns differs",
    ),
}


@pytest.mark.parametrize(("text", "says"), WRONG_SQL.values(), ids=WRONG_SQL)
def test_other_columns_are_refused_beside_computed_ones(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, text: str, says: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, "delta", upserted(), totals=totals())
    (tmp_path / "sql" / "totals.sql").write_text(f"{text} from silver.item group by who")
    made.deliver("1", ("a1", "a", 5, ""))
    with pytest.raises(ConfigurationError, match=f"gold.totals: the query's columns .*: {says}"):
        made.run()


@pytest.mark.parametrize("name", BOTH)
def test_a_key_that_a_query_gives_twice_is_refused_where_rows_are_only_added(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    twice = "select id, who, n from silver.item lateral view explode(array({})) as copy"
    spec = replace(largest(), group_by=[], groups={"silver.item": "id"})
    made = shelf(spark, make_lake, tmp_path, name, upserted(), largest=spec)
    query = tmp_path / "sql" / "largest.sql"
    query.write_text(twice.format("1"))
    made.deliver("1", ("a", "x", 1, ""))
    made.run()
    query.write_text(twice.format("1, 2"))
    made.deliver("2", ("b", "x", 1, ""))
    for rebuild in (False, True):
        _, gate = made.run(rebuild=rebuild)["gold.largest"]
        assert gate.verdict.blocked
        assert "for example id='" in (text := "; ".join(gate.verdict.reasons))
        assert "(2 rows); the query returns them" in text
        assert made.rows("id", label="gold.largest") == [("a",)]


@pytest.mark.parametrize("name", BOTH)
def test_a_key_in_a_group_that_was_not_named_is_replaced_as_the_gate_saw_it(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    spec = largest()
    made = shelf(spark, make_lake, tmp_path, name, upserted(), largest=spec)
    made.deliver("1", ("a", "x", 1, ""))
    made.run()
    spec.groups = {"silver.item": "case when who <> 'x' then who end"}  # group x is missed
    made.deliver("2", ("a", "y", 2, ""))
    made.run()
    found = made.rows("id", "who", "n", label="gold.largest")
    assert found == [("a", "y", Decimal("2.00"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_null_group_among_the_touched_ones_leaves_files_unread(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:  # fmt: skip
    monkeypatch.setattr(layout, "ROWS_PER_FILE", 20)
    spec = SilverSpec(strategy=Strategy.append, cluster_by=["who"], key=["id"], columns=dict(ITEM))
    made = shelf(spark, make_lake, tmp_path, name, spec, largest=largest())
    items = Items()
    made.deliver("1", *items.take(*((f"i{n:03}", f"w{n % 10}", n, "") for n in range(100))))
    made.run()
    made.deliver("2", *items.take(("new", "w3", 500, ""), ("none", "", 1, "")))
    attempt, _ = made.run()["gold.largest"]
    assert attempt.rows["groups"] == 2
    assert attempt.rows["available"] == 102
    assert attempt.rows["scanned"] <= 22, "one file of the old rows, and the new one"
    assert [row[0] for row in made.rows("id", label="gold.largest")] == items.largest()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_many_groups_are_found_by_the_ranges_that_they_fall_in(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:  # fmt: skip
    monkeypatch.setattr(groups, "FEW", 3)
    monkeypatch.setattr(groups, "RANGES", 2)
    made = shelf(spark, make_lake, tmp_path, name, upserted(), largest=largest())
    items = Items()
    made.deliver("1", *items.take(*((f"i{n:03}", f"w{n % 20:02}", n, "") for n in range(100))))
    made.run()
    assert [row[0] for row in made.rows("id", label="gold.largest")] == items.largest()
    later = [(f"j{n}", f"w{w:02}", 500, "") for n, w in enumerate((0, 2, 4, 15, 17, 19))]
    made.deliver("2", *items.take(*later, ("none", "", 1, "")))
    attempt, _ = made.run()["gold.largest"]
    assert attempt.rows["groups"] == 7
    assert [row[0] for row in made.rows("id", label="gold.largest")] == items.largest()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_first_delivery_wins_and_sorted_files_are_skipped(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:  # fmt: skip
    monkeypatch.setattr(layout, "ROWS_PER_FILE", 20)
    spec = SilverSpec(
        strategy=Strategy.append,
        first_wins=True,
        cluster_by=["who"],
        key=["id"],
        columns=dict(ITEM),
    )
    made = shelf(spark, make_lake, tmp_path, name, spec)
    ref, store = made.domain.ref("silver.item"), made.store
    made.deliver(
        "1", *[(f"i{n:03}", f"w{n % 10}", n, "") for n in range(100)], ("i000", "w9", 999, "")
    )
    made.run()
    assert store.stats(ref).files == 5
    with scans(store.session) as found:
        assert store.read(ref).where("who = 'w3'").count() == 10
    [scan] = scans_of(found, ref.path)
    assert scan.files == 1

    made.deliver(
        "2",
        ("i000", "w0", 1000, ""),
        ("i001", "w1", 1, ""),
        ("new", "w0", 5, ""),
        ("new", "w0", 6, ""),
    )
    attempt, _ = made.run()["silver.item"]
    assert attempt.rows["published"] == 1
    assert attempt.rows["deduplicated"] == 3
    assert store.stats(ref).files == 6, "new rows are added, no file is written again"
    expected = [(f"i{n:03}", Decimal(f"{n}.00")) for n in range(100)] + [("new", Decimal("5.00"))]
    assert made.rows("id", "n") == expected
    made.run(rebuild=True)
    assert made.rows("id", "n") == expected


@pytest.mark.parametrize(
    ("kind", "expr", "gives", "value"),
    [
        ("decimal(18,2)", "n * 1.0BD", "decimal(23,5)", "1.01"),
        ("decimal(18,2)", "cast(n as double)", "double", "1.01"),
        ("decimal(18,2)", "'1.005'", "string", "1.01"),
        ("int", "n", "decimal(20,4)", "1"),
        ("bigint", "cast(n as double)", "double", "1"),
        ("date", "at", "timestamp", "2026-03-01"),
        ("date", "cast(at as timestamp_ntz)", "timestamp_ntz", "2026-03-01"),
        ("date", "cast(at as string)", "string", "2026-03-01"),
        ("bigint", "at", "timestamp", "1772359200"),
    ],
)
def test_an_expr_that_its_column_would_round_is_refused(
    spark: SparkSession, kind: str, expr: str, gives: str, value: str
) -> None:
    rows = spark.sql("select 1.0050BD n, timestamp'2026-03-01 10:00:00.5' at")
    rows = rows.select(rows.n.cast("decimal(20,4)"), "at")
    ref, column = TableRef("shop", "gold", "daily"), ColumnSpec(kind, expr=expr)
    with pytest.raises(ConfigurationError) as caught:
        with_computed(ref, rows, {"share": column})
    assert caught.value.message == (
        f"gold.daily.share: its expr gives {gives}, of which {kind} does not hold every value"
    )
    cast = ColumnSpec(kind, expr=f"cast({expr} as {kind})")
    made = [with_computed(ref, rows, {"share": cast})]
    if kind.startswith("decimal"):
        made += [with_computed(ref, rows, {"share": replace(column, rounds=Rounding.half_up)})]
    for frame in made:
        assert frame.schema["share"].dataType.simpleString() == kind
        assert [str(row.share) for row in frame.collect()] == [value]


def test_an_expr_whose_values_its_column_holds_is_taken(spark: SparkSession) -> None:
    rows = spark.sql("select 7 i, 1.50BD n, date'2026-03-01' d")
    columns = {
        "money": ColumnSpec("decimal(18,2)", expr="i * n"),
        "whole": ColumnSpec("decimal(18,2)", expr="i"),
        "same": ColumnSpec("int", expr="i"),
        "large": ColumnSpec("bigint", expr="i"),
        "ratio": ColumnSpec("double", expr="n / 2"),
        "at": ColumnSpec("timestamp", expr="d"),
        "said": ColumnSpec("string", expr="n"),
        "none": ColumnSpec("int", expr="null"),
    }
    (row,) = with_computed(TableRef("shop", "gold", "daily"), rows, columns).collect()
    assert [str(v) for v in row] == [
        "10.50", "7.00", "7", "7", "0.75", "2026-03-01 00:00:00", "1.50", "None"
    ]  # fmt: skip


def test_a_reduce_that_gives_other_types_stops_its_table(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    """A merge would store them as it can: 0.005 as 0.01."""
    spec = SilverSpec(
        key=["id"],
        reduce="thirds.sql",
        samples={"id": ColumnSpec(), "n": ColumnSpec("decimal(18,3)")},
        columns={"id": ColumnSpec(), "n": ColumnSpec("decimal(18,2)")},
    )
    shelf = Shelf(spark, make_lake("delta", tmp_path / "lake"), tmp_path, ["id", "n"], spec)
    query = tmp_path / "sql" / "thirds.sql"
    query.parent.mkdir()
    text = "select id, max({}) n, max(_sequence) _sequence, max(_batch_id) _batch_id from rows group by id"
    query.write_text(text.format("n"))
    shelf.deliver("1", ("a", "0.005"))
    with pytest.raises(ConfigurationError, match=r"n is decimal\(18,3\), wanted decimal\(18,2\)"):
        shelf.run()
    query.write_text(text.format("cast(n as decimal(18,2))"))
    shelf.run()
    assert shelf.rows("id", "n") == [("a", Decimal("0.01"))]
