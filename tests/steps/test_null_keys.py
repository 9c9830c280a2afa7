"""A null in the key of a derived table is a value like any other: one row, kept up to date, in each kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from checks.model import Outcome
from storage.types import Version
from tasks.domain.spec import ColumnSpec, Fold, GoldSpec, SilverSpec, Strategy
from tasks.table.checks import UNIQUE
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf

COLUMNS = ["id", "country", "city", "amount"]
TOTALS = """
select country, city, count(*) as n, cast(sum(amount) as bigint) as total
from silver.item group by country, city
"""
EVENTS = "select country, city, at, amount from silver.item"
KINDS = ("full", "groups", "fold")
FIRST = [("1", "DE", "B", 10), ("2", "", "", 5), ("3", "FR", "", 1)]
LATER = [("4", "DE", "B", 1), ("5", "", "", 7), ("2", "", "", 6), ("6", "FR", "", 2)]
AFTER_FIRST = [("DE", "B", 1, 10), ("FR", None, 1, 1), (None, None, 1, 5)]
AFTER_LATER = [("DE", "B", 2, 11), ("FR", None, 2, 3), (None, None, 2, 13)]


def totals(kind: str) -> GoldSpec:
    return GoldSpec(
        key=["country", "city"],
        inputs=["silver.item"],
        sql="totals.sql",
        full="few rows" if kind == "full" else "",
        groups={} if kind == "full" else {"silver.item": "country, city"},
        fold={"n": Fold.sum, "total": Fold.sum} if kind == "fold" else {},
        columns={
            "country": ColumnSpec(personal=["address"]),
            "city": ColumnSpec(),
            "n": ColumnSpec("bigint"),
            "total": ColumnSpec("bigint"),
        },
    )


@pytest.fixture(params=BOTH)
def made(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Shelf:
    """Items, and their totals by country and city: computed whole, by groups, and folded."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "totals.sql").write_text(TOTALS)
    columns = {name: ColumnSpec() for name in COLUMNS[:3]} | {"amount": ColumnSpec("int")}
    spec = SilverSpec(key=["id"], columns=columns)
    lake = make_lake(request.param, tmp_path / "lake")
    return Shelf(spark, lake, tmp_path, COLUMNS, spec, {kind: totals(kind) for kind in KINDS})


def in_each(made: Shelf) -> dict[str, list[tuple[Any, ...]]]:
    return {kind: found(made, kind) for kind in KINDS}


def found(made: Shelf, kind: str) -> list[tuple[Any, ...]]:
    return made.rows("country", "city", "n", "total", label=f"gold.{kind}")


def test_a_null_group_is_one_row_that_follows_its_input(made: Shelf) -> None:
    made.deliver("1", *FIRST)
    made.run()
    assert in_each(made) == dict.fromkeys(KINDS, AFTER_FIRST)
    heads = {kind: made.store.head(made.domain.ref(f"gold.{kind}")) for kind in KINDS}

    made.deliver("2", *LATER)
    made.run()
    assert in_each(made) == dict.fromkeys(KINDS, AFTER_LATER)

    for kind, head in heads.items():
        assert head.record is not None
        record = replace(head.record, token=f"undo-{kind}")
        made.store.rollback(made.domain.ref(f"gold.{kind}"), Version(head.version), record)
    assert in_each(made) == dict.fromkeys(KINDS, AFTER_FIRST)
    made.run()
    assert in_each(made) == dict.fromkeys(KINDS, AFTER_LATER), "after a rollback"

    made.deliver("3", ("2", "DE", "B", 6), ("5", "DE", "B", 7), ("6", "DE", "B", 2))
    made.run()
    left = [("DE", "B", 5, 26), ("FR", None, 1, 1)]
    assert in_each(made) == dict.fromkeys(KINDS, left), "a null group goes with its last row"


def as_earlier_versions_wrote(made: Shelf, kind: str, *rows: tuple[Any, ...]) -> None:
    """Give a table the rows that it would have, with a record that knows nothing of nulls."""
    ref, store = made.domain.ref(f"gold.{kind}"), made.store
    record, kept = store.head(ref).record, store.read(ref)
    assert record is not None
    notes = {name: note for name, note in record.notes.items() if name != "null_keys"}
    values = store.session.createDataFrame(
        [(*row, "batch", "merge", None) for row in rows], kept.schema
    )
    old = replace(record, token=f"old-{kind}", notes=notes)
    store.overwrite(ref, values, old)


@pytest.mark.slow
def test_a_null_group_that_an_earlier_version_left_stale_is_caught_up(made: Shelf) -> None:
    kinds = KINDS[1:]
    made.deliver("1", *FIRST)
    made.deliver("2", *LATER)
    made.run()
    stale = [("DE", "B", 2, 11), ("FR", None, 1, 1), (None, None, 1, 5), (None, "gone", 1, 1)]
    for kind in kinds:
        as_earlier_versions_wrote(made, kind, *stale)

    made.deliver("3", ("8", "DE", "B", 1))
    made.run()
    expected = [("DE", "B", 3, 12), *AFTER_LATER[1:]]
    assert [found(made, kind) for kind in kinds] == [expected, expected]

    made.deliver("4", ("9", "", "", 1))
    run = made.run()
    for kind in kinds:
        assert found(made, kind) == [*expected[:-1], (None, None, 3, 14)]
        attempt, _ = run[f"gold.{kind}"]
        assert attempt.rows["groups"] == 1, "what was caught up is not computed again"


@pytest.mark.parametrize("kind", [KINDS[0], pytest.param(KINDS[2], marks=pytest.mark.slow)])
def test_a_null_group_that_an_earlier_version_doubled_blocks_until_it_is_rebuilt(
    made: Shelf, kind: str
) -> None:
    for other in {*KINDS} - {kind}:
        del made.domain.gold[other]
    made.deliver("1", *FIRST)
    made.run()
    as_earlier_versions_wrote(made, kind, *AFTER_FIRST, (None, None, 2, 13))
    made.deliver("2", *LATER)
    said = refused(made, kind)
    assert said.startswith("1 keys are in more than one row, for example country=null, city=null (")
    assert said.endswith(f"lakehouse rebuild domain=shelf 'tables=[gold.{kind}]'")
    made.run(rebuild=True)
    assert found(made, kind) == AFTER_LATER


def test_a_key_that_a_query_gives_twice_blocks_whatever_the_domain_declares(made: Shelf) -> None:
    query = made.root / "sql" / "totals.sql"
    query.write_text(f"{TOTALS} union all select 'DE', 'B', 1L, 1L from silver.item where id = '1'")
    made.deliver("1", *FIRST)
    assert refused(made, KINDS[0]) == (
        "1 keys are in more than one row, for example country=(personal), city='B' (2 rows); "
        "the query returns them: fix its SQL, or name further columns as the key"
    )
    assert found(made, KINDS[0]) == []


def refused(made: Shelf, kind: str) -> str:
    """What the gate says of a table that it blocks for its key alone."""
    _, gate = made.run()[f"gold.{kind}"]
    assert gate.verdict.blocked
    [failed] = [result for result in gate.results if result.outcome is Outcome.FAIL]
    assert failed.name == UNIQUE
    return failed.message


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_history_of_keys_with_nulls(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    """Events of a query: null keys, null tracked values, an unknown instant, nulls that break ties."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "spans.sql").write_text("select who, at, n, v from silver.item")
    columns = {
        "id": ColumnSpec(),
        "who": ColumnSpec(),
        "at": ColumnSpec("timestamp"),
        "n": ColumnSpec("int"),
        "v": ColumnSpec(),
    }
    history = SilverSpec(
        strategy=Strategy.scd2,
        events="spans.sql",
        inputs=["silver.item"],
        groups={"silver.item": "who"},
        key=["who"],
        sequence_by=["at", "n"],
        track=["v"],
        columns={"who": ColumnSpec(), "v": ColumnSpec()},
    )
    events = [
        ("1", "", "", "", "early"), ("2", "", "2024-01-02 00:00:00", "", "x"),
        ("3", "", "2024-01-02 00:00:00", "1", ""), ("4", "a", "2024-01-01 00:00:00", "", "v"),
        ("5", "a", "2024-01-03 00:00:00", "", ""),
    ]  # fmt: skip
    spec = SilverSpec(key=["id"], columns=columns)
    lake = make_lake(name, tmp_path / "lake")
    made = Shelf(spark, lake, tmp_path, list(columns), spec, beside={})
    made.domain.silver["spans"] = history
    (tmp_path / "checks" / "silver" / "spans.yml").write_text(
        "checks for result:\n  - row_count >= 0:\n      name: rows\n"
    )
    for event in reversed(events):
        made.deliver(event[0], event)
        made.run()

    def day(number: int) -> str:
        return f"2024-01-{number:02}"

    rows = [
        (who, v, *(str(at.date()) if at else None for at in spans), current)
        for who, v, *spans, current in made.rows(
            "who", "v", "valid_from", "valid_to", "is_current", label="silver.spans"
        )
    ]
    assert sorted(rows, key=repr) == sorted(
        [
            (None, "early", None, day(2), False),
            (None, None, day(2), None, True),
            ("a", "v", day(1), day(3), False),
            ("a", None, day(3), None, True),
        ],
        key=repr,
    )
