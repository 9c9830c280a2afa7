"""Extractions from a database through Spark's JDBC reader: what is new, by watermark."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from storage.errors import InputError
from tasks.domain.spec import WatermarkSpec
from tasks.ingest.sources import position
from tasks.ingest.sources.jdbc.reader import JdbcReader
from tests.sources.conftest import MakeShop, SetClock
from tests.sources.shop import Database
from tests.sources.sqlite_sale import COLUMNS, at, source


def test_only_what_is_new_is_appended(
    make_shop: MakeShop, database: Database, format_name: str
) -> None:
    shop = make_shop(source(database), format_name)
    database.put(("b", 2.5, at("10:05:00")), ("a", 1.25, at("10:00:00")))
    assert shop.run() is not None
    assert shop.rows() == [("a", "1.25", at("10:00:00")), ("b", "2.5", at("10:05:00"))]
    assert shop.record().notes["watermark"].items() >= {
        "column": "at", "value": at("10:05:00"),
    }.items()  # fmt: skip

    commits = shop.commits()
    assert shop.run() is None  # both rows lie in the overlap, bronze holds them
    assert shop.commits() == commits

    database.put(("c", 3, at("10:20:00")))  # new
    database.put(("late", 4, at("09:58:00")))  # committed late: below the watermark, in the overlap
    database.put(("early", 5, at("09:30:00")))  # below the overlap
    database.put(("b", 2.75, at("10:05:00")))  # changed without a new instant
    assert shop.run() is not None
    fresh = shop.rows("bronze.sale", *COLUMNS, "_delivery", "_record_number")[2:]
    assert fresh == [
        ("late", "4", at("09:58:00"), 2, 1),
        ("b", "2.75", at("10:05:00"), 2, 2),
        ("c", "3", at("10:20:00"), 2, 3),
    ]
    record = shop.record()
    assert record.notes["watermark"]["value"] == at("10:20:00")
    (file,) = record.files
    assert file.name == f"jdbc:sale@{at('10:20:00')}"
    assert (file.rows, file.delivery, file.batch_id) == (3, 2, f"sale-{file.sha256[:12]}")
    assert shop.run() is None

    attempt = shop.run("silver.sale")
    assert attempt is not None
    assert attempt.rows["ingested"] == 5
    assert sorted(shop.rows("silver.sale", "id", "amount")) == [
        ("a", "1.25"), ("b", "2.75"), ("c", "3"), ("late", "4"),
    ]  # fmt: skip


def test_the_watermark_does_not_go_back_when_its_row_is_gone(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")), ("b", 2, at("11:00:00")))
    shop.run()
    database.execute("delete from sale where id = 'b'")
    database.put(("c", 3, at("10:55:00")))
    shop.run()
    assert shop.record().notes["watermark"]["value"] == at("11:00:00")


FUTURE = ("infinite", 9, "2099-12-31 00:00:00")


def test_a_row_of_the_future_is_taken_once_and_hides_no_other(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(FUTURE)
    shop.run()
    assert "watermark" not in shop.record().notes  # nothing says how far it has come
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    assert shop.record().notes["watermark"]["value"] == at("10:00:00")
    assert shop.run() is None
    database.put(("b", 2, at("10:01:00")))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["infinite", "a", "b"]


@pytest.mark.parametrize("overlap", ["0", "10 minutes"])
def test_a_text_among_the_dates_is_taken_once_and_hides_no_other(
    make_shop: MakeShop, database: Database, overlap: str
) -> None:
    shop = make_shop(source(database, overlap))
    database.put(("a", 1, at("10:00:00")), ("b", 2, "n/a"), ("c", 3, "9999-99-99"))
    assert shop.run() is not None
    assert shop.record().notes["watermark"]["value"] == at("10:00:00")
    database.put(("d", 4, at("10:05:00")))
    assert shop.run() is not None
    assert sorted(row[0] for row in shop.rows()) == ["a", "b", "c", "d"]
    assert shop.run() is None


def test_a_position_in_the_future_starts_over_and_repeats_nothing(
    make_shop: MakeShop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(source(database))
    database.put(FUTURE, ("a", 1, at("10:00:00")))
    with monkeypatch.context() as patched:
        patched.setattr("tasks.ingest.sources.jdbc.reader.ahead", lambda *_: F.lit(False))
        shop.run()
    assert shop.record().notes["watermark"]["value"] == FUTURE[2]
    database.put(("b", 2, at("09:00:00")))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "infinite", "b"]
    assert shop.record().notes["watermark"]["value"] == at("10:00:00")


def test_an_extraction_longer_than_its_overlap_misses_nothing(
    make_shop: MakeShop, database: Database, set_clock: SetClock
) -> None:
    shop = make_shop(source(database))
    set_clock("10:00:00")
    database.put(("a", 1, at("09:50:00")), ("z", 1, at("10:24:00")))  # z was read last
    shop.run()
    assert shop.record().notes["watermark"]["value"] == at("09:50:00")
    database.put(("b", 1, at("10:05:00")))  # where the first connection had read already
    set_clock("10:30:00")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "z", "b"]
    assert shop.record().notes["watermark"]["value"] == at("10:24:00")


def test_rows_without_a_watermark_are_read_every_time_and_taken_once(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, None), ("b", 2, at("10:00:00")))
    shop.run()
    database.put(("c", 3, None))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "b", "c"]
    assert shop.run() is None


def test_rows_of_the_watermarks_own_instant_are_not_missed_without_an_overlap(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database, "0"))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    database.put(("b", 2, at("10:00:00")))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "b"]


def test_a_row_that_takes_on_an_earlier_content_again_is_an_event_where_the_key_is_known(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database, key=["id"]))
    for amount in (1, 2, 1):
        database.put(("a", amount, at("10:00:00")))
        assert shop.run() is not None
        assert shop.run() is None
    assert [row[1] for row in shop.rows()] == ["1", "2", "1"]


def test_another_watermark_column_starts_over_and_repeats_nothing(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    database.put(("b", 2, at("08:00:00")))
    other = shop.with_source(watermark=WatermarkSpec("id", "0"))
    other.run()
    assert [row[0] for row in other.rows()] == ["a", "b"]
    assert other.record().notes["watermark"].items() >= {"column": "id", "value": "b"}.items()


@pytest.mark.parametrize(
    "read", [{"table": "sold"}, {"table": None, "query": "select * from sold"}]
)
def test_another_table_under_the_same_watermark_starts_over_and_repeats_nothing(
    make_shop: MakeShop, database: Database, read: dict[str, Any]
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    database.execute("create table sold as select * from sale")
    database.execute("insert into sold values ('b', 2, '2026-03-01 09:00:00')")
    other = shop.with_source(**read)
    other.run()
    assert [row[0] for row in other.rows()] == ["a", "b"]
    database.execute("insert into sold values ('c', 3, '2026-03-01 08:00:00')")
    assert other.run() is None  # it is known now, and goes on from its watermark


def test_a_position_of_before_counts_as_one_of_the_same_table(database: Database) -> None:
    old = {"column": "at", "value": at("10:00:00")}
    assert position.known(source(database), old) == old
    new = position.advanced(source(database), at("10:00:00"))
    assert position.known(source(database), new) == new


def test_integers_are_watermarks_too(make_shop: MakeShop, database: Database) -> None:
    database.execute("create table sold (id integer primary key, amount, at)")
    shop = make_shop(source(database)).with_source(
        table=None, query="select * from sold", watermark=WatermarkSpec("id", "5")
    )
    large = 9_007_199_254_740_993
    database.execute("insert into sold values (9, 1, 'x'), (10, 2, 'y')")
    shop.run()
    database.execute(
        f"insert into sold values (8, 3, 'late'), (4, 4, 'too late'), ({large}, 5, 'z')"
    )
    shop.run()
    assert [row[0] for row in shop.rows()] == ["9", "10", "8", str(large)]
    assert shop.record().notes["watermark"]["value"] == str(large)


def test_the_database_evaluates_the_condition(spark: SparkSession, database: Database) -> None:
    read = JdbcReader(source(database)).extraction(spark.newSession(), at("10:00:00"))
    plan = read.rows._jdf.queryExecution().executedPlan().toString()
    assert "PushedFilters: [*Or(GreaterThanOrEqual(at,2026-03-01 09:50:00),IsNull(at))]" in plan
    assert "Filter (" not in plan


def test_an_overlap_that_does_not_fit_is_refused(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    with pytest.raises(InputError, match="an overlap of 5 does not fit values of type string"):
        shop.with_source(watermark=WatermarkSpec("at", "5")).stage()
