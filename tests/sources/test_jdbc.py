"""Extractions from a database through Spark's JDBC reader: SQLite, and Derby for typed columns."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from storage.errors import InputError, LakehouseError, TransientError
from tasks.domain.spec import SourceKind, SourceSpec, WatermarkSpec
from tasks.ingest import bronze
from tasks.ingest.sources import position
from tasks.ingest.sources.jdbc.reader import JdbcReader
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.sources.conftest import MakeShop, SetClock
from tests.sources.shop import Database

COLUMNS = ["id", "amount", "at"]


def source(database: Database, overlap: str = "10 minutes", **more: Any) -> SourceSpec:
    return SourceSpec(
        columns=COLUMNS, kind=SourceKind.jdbc, url=database.url, table="sale",
        watermark=WatermarkSpec("at", overlap, **more),
    )  # fmt: skip


def snapshots(database: Database) -> SourceSpec:
    return SourceSpec(columns=COLUMNS, kind=SourceKind.jdbc, url=database.url, table="sale")


def at(clock: str) -> str:
    return f"2026-03-01 {clock}"


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


@pytest.mark.parametrize("published", [False, True], ids=["before the commit", "after the commit"])
def test_a_repeat_after_a_kill_appends_once(
    make_shop: MakeShop, database: Database, *, published: bool
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    database.put(("b", 2, at("10:10:00")))
    attempt = shop.stage()
    assert attempt is not None
    report = shop.check(attempt)
    if published:
        handle = Path(attempt.folder)
        kept = {p: p.read_bytes() for p in handle.rglob("*") if p.is_file()}
        shop.publish(attempt, report)
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shop.publish(attempt, report)  # the same attempt again
    again = shop.stage()
    if published:
        assert again is None
    else:
        assert again is not None
        assert (again.token, again.files, again.notes) == (
            attempt.token, attempt.files, attempt.notes,
        )  # fmt: skip
        shop.publish(again, shop.check(again))
    assert shop.rows() == [("a", "1", at("10:00:00")), ("b", "2", at("10:10:00"))]


def test_what_was_checked_is_published_though_the_database_goes_on(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    attempt = shop.stage()
    assert attempt is not None
    report = shop.check(attempt)
    database.put(("a", 2, at("10:01:00")), ("b", 2, at("10:01:00")))
    shop.publish(attempt, report)
    assert shop.rows() == [("a", "1", at("10:00:00"))]
    shop.run()
    assert [row[:2] for row in shop.rows()] == [("a", "1"), ("a", "2"), ("b", "2")]


@pytest.mark.parametrize("decision", list(Decision))
def test_a_blocked_extraction_is_settled_as_it_was_seen(
    make_shop: MakeShop, database: Database, decision: Decision
) -> None:
    shop = make_shop(source(database))
    database.put(("bad", 1, at("10:00:00")))
    blocked = shop.stage()
    assert blocked is not None
    report = shop.check(blocked)
    assert report.verdict.blocked
    database.put(("good", 2, at("10:01:00")))  # the database does not wait for the decision
    (batch,) = report.batches
    shop.resolve(batch, decision)
    settled = shop.run()
    assert settled is not None
    assert [f.batch_id for f in settled.files] == [batch]
    shop.run()
    assert [row[0] for row in shop.rows()] == ["bad", "good"]
    taken = shop.run("silver.sale")
    assert taken is not None
    rejected = decision is Decision.rejected
    assert taken.rows["rejected"] == (1 if rejected else 0)
    assert taken.rows["ingested"] == 2
    ids = sorted(row[0] for row in shop.rows("silver.sale", "id"))
    assert ids == (["good"] if rejected else ["bad", "good"])


def test_without_a_watermark_the_whole_table_is_delivered_when_it_changed(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(snapshots(database))
    states = [
        [("a", 1, None), ("b", 2, None)],
        [("a", 1, None)],
        [("a", 1, None), ("b", 2, None)],  # as it was before: a delivery all the same
    ]
    ids = []
    for rows in states:
        database.execute("delete from sale")
        database.put(*rows)
        attempt = shop.run()
        assert attempt is not None
        ids += [f.batch_id for f in attempt.files]
        database.execute("vacuum")
        assert shop.run() is None
    assert [(r[0], r[1]) for r in shop.rows("bronze.sale", "_delivery", "id")] == [
        (1, "a"), (1, "b"), (2, "a"), (3, "a"), (3, "b"),
    ]  # fmt: skip
    assert ids[2] == f"{ids[0]}-again1"
    assert "watermark" not in shop.record().notes
    database.execute("delete from sale")
    emptied = shop.run()
    assert emptied is not None
    assert [f.rows for f in emptied.files] == [0]
    assert shop.run() is None


def test_a_rejected_snapshot_stays_outside_bronze(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(snapshots(database))
    database.put(("bad", 1, None))
    blocked = shop.stage()
    assert blocked is not None
    shop.resolve(blocked.files[0].batch_id, Decision.rejected)
    assert shop.run() is None
    database.execute("update sale set id = 'good'")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["good"]


def test_whether_a_database_has_news_is_not_known_without_spark(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    context = shop.context(spark=False)
    assert has_news(context, context.domain.ref("bronze.sale"))
    assert bronze.offered(context, context.domain.ref("bronze.sale")) is None


def test_the_database_evaluates_the_condition(spark: SparkSession, database: Database) -> None:
    read = JdbcReader(source(database)).extraction(spark.newSession(), at("10:00:00"))
    plan = read.rows._jdf.queryExecution().executedPlan().toString()
    assert "PushedFilters: [*Or(GreaterThanOrEqual(at,2026-03-01 09:50:00),IsNull(at))]" in plan
    assert "Filter (" not in plan


def test_columns_that_the_table_lacks_are_for_a_person_to_accept(
    make_shop: MakeShop, database: Database
) -> None:
    shop = make_shop(source(database)).with_source(columns=["id", "colour", "at"])
    database.put(("a", 1, at("10:00:00")))
    attempt = shop.stage()
    assert attempt is not None
    (problem,) = attempt.problems
    assert problem.message.endswith("the table lacks colour (was it renamed to amount?)")
    shop.resolve(problem.batch_id, Decision.accepted)
    shop.run()
    assert shop.rows() == [("a", None, at("10:00:00"))]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"columns": ["x", "y"], "watermark": None}, "it has no column x, y; it has id, amount, at"),
        ({"watermark": WatermarkSpec("seen"), "columns": [*COLUMNS, "seen"]},
         "it has no column seen"),
    ],
)  # fmt: skip
def test_a_table_without_the_columns_is_refused(
    make_shop: MakeShop, database: Database, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        make_shop(source(database)).with_source(**changes).stage()


def test_an_overlap_that_does_not_fit_is_refused(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(source(database))
    database.put(("a", 1, at("10:00:00")))
    shop.run()
    with pytest.raises(InputError, match="an overlap of 5 does not fit values of type string"):
        shop.with_source(watermark=WatermarkSpec("at", "5")).stage()


TYPED = """create table typed (id int, large bigint, amount decimal(18,4), ratio double, flag boolean,
    moment timestamp, day date, raw varchar(10) for bit data, txt varchar(40))"""
TYPED_COLUMNS = ["id", "large", "amount", "ratio", "flag", "moment", "day", "raw", "txt"]
USER, PASSWORD = "clerk", "gehe1m"


class Derby:
    """An in-memory database with typed columns inside Spark's own JVM, behind a password."""

    driver = "org.apache.derby.iapi.jdbc.AutoloadedDriver"

    def __init__(self, spark: SparkSession, name: str) -> None:
        assert spark._jvm is not None
        self._jvm: Any = spark._jvm
        for key, value in (  # Derby reads them when its first database is opened
            ("stream.error.file", os.devnull),
            ("connection.requireAuthentication", "true"),
            ("authentication.provider", "BUILTIN"),
            (f"user.{USER}", PASSWORD),
        ):
            self._jvm.java.lang.System.setProperty(f"derby.{key}", value)
        self.url = f"jdbc:derby:memory:{name}"
        self._connection = self._connected(
            f"{self.url};create=true;user={USER};password={PASSWORD}"
        )

    def _connected(self, url: str) -> Any:
        driver = self._jvm.org.apache.derby.iapi.jdbc.AutoloadedDriver()
        return driver.connect(url, self._jvm.java.util.Properties())

    def execute(self, sql: str) -> None:
        self._connection.createStatement().execute(sql)

    def source(self, **changes: Any) -> SourceSpec:
        options = {"driver": self.driver, "user": USER, "password": PASSWORD}
        values: dict[str, Any] = {
            "columns": TYPED_COLUMNS, "kind": SourceKind.jdbc, "url": self.url, "table": "typed",
            "options": options, "watermark": WatermarkSpec("moment", "1 hour"),
        }  # fmt: skip
        return SourceSpec(**values | changes)


@pytest.fixture
def derby(spark: SparkSession, tmp_path: Path) -> Iterator[Derby]:
    made = Derby(spark, tmp_path.name.replace("-", "_"))
    made.execute(TYPED)
    yield made
    made.execute("drop table typed")


def test_typed_values_become_exact_text(make_shop: MakeShop, derby: Derby) -> None:
    shop = make_shop(derby.source())
    derby.execute(
        "insert into typed values (1, 9007199254740993, 1.1000, 0.1, true, "
        "timestamp('2026-03-29 02:30:00.123456'), date('2026-03-29'), x'00ff', ' x ')"
    )
    shop.run()
    assert shop.rows() == [
        ("1", "9007199254740993", "1.1000", "0.1", "true", "2026-03-29 02:30:00.123456",
         "2026-03-29", "00FF", " x "),
    ]  # fmt: skip
    assert shop.record().notes["watermark"]["value"] == "2026-03-29 02:30:00.123456"
    derby.execute(
        "insert into typed (id, moment) values "
        "(2, timestamp('2026-03-29 01:45:00')), (3, timestamp('2026-03-29 01:15:00'))"
    )
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_wrong_password_is_said_without_it(make_shop: MakeShop, derby: Derby) -> None:
    wrong = "s3same"
    with_url = derby.source(url=f"{derby.url};user={USER};password={wrong}",
                            options={"driver": derby.driver})  # fmt: skip
    with_options = derby.source(options={"driver": derby.driver, "user": USER, "password": wrong})
    for spec in (with_url, with_options):
        with pytest.raises(LakehouseError) as refused:
            make_shop(spec).stage()
        assert "authentication" in str(refused.value).lower()
        assert refused.value.advice
        assert not isinstance(refused.value, TransientError)
        assert wrong not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None


def test_a_url_that_is_repeated_is_repeated_without_its_password(make_shop: MakeShop) -> None:
    spec = SourceSpec(
        columns=["id"], kind=SourceKind.jdbc, table="t", options={"driver": "org.sqlite.JDBC"},
        url="jdbc:postgresql://clerk:s3same@localhost/shop?password=gehe1m",
    )  # fmt: skip
    with pytest.raises(LakehouseError, match="Check the URL") as refused:
        make_shop(spec).stage()
    assert "s3same" not in str(refused.value)
    assert "gehe1m" not in str(refused.value)


def test_a_locked_database_is_tried_again(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(source(database)).with_source(url=f"{database.url}?busy_timeout=10")
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("begin exclusive")
        with pytest.raises(TransientError, match="locked"):
            shop.stage()


def test_no_credential_is_written_down(make_shop: MakeShop, derby: Derby, tmp_path: Path) -> None:
    shop = make_shop(derby.source())
    derby.execute("insert into typed (id, moment) values (1, current_timestamp)")
    attempt = shop.stage()
    assert attempt is not None
    assert PASSWORD not in json.dumps(attempt.__dict__, default=str)
    shop.publish(attempt, shop.check(attempt))
    assert PASSWORD not in shop.record().to_json()
    found = subprocess.run(
        ["grep", "-rl", PASSWORD, str(tmp_path)], capture_output=True, check=False
    )
    assert found.stdout == b""
