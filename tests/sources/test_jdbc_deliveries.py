"""Extractions as deliveries: repeated, decided on, whole tables, and columns that are lacking."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.errors import InputError, TransientError
from tasks.domain.spec import WatermarkSpec
from tasks.ingest import bronze
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.sources.conftest import MakeShop
from tests.sources.shop import Database
from tests.sources.sqlite_sale import COLUMNS, at, snapshots, source


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


def test_a_locked_database_is_tried_again(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(source(database)).with_source(url=f"{database.url}?busy_timeout=10")
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("begin exclusive")
        with pytest.raises(TransientError, match="locked"):
            shop.stage()
