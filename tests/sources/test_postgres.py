"""Extractions from a real PostgreSQL: what the server is asked, and the sources of the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from pyspark.sql import SparkSession

from storage.errors import LakehouseError
from storage.secrets import reference
from tasks.domain.spec import DomainSpec, PartitionsSpec, SourceSpec, WatermarkSpec
from tasks.ingest.sources.jdbc.reader import JdbcReader
from tasks.records.decisions import Decision
from tests.services.postgres import Postgres
from tests.sources.conftest import MakeShop
from tests.sources.shop_database import asked, put, source


def test_the_server_is_asked_for_what_is_new(
    make_shop: MakeShop, shop_db: Postgres, format_name: str
) -> None:
    shop = make_shop(source(shop_db), format_name)
    put(shop_db, (1, 1.5, "10:00"), (2, 2, "10:05"))
    shop.run()
    assert shop.rows() == [
        ("1", "1.5000", "2026-03-01 10:00:00"), ("2", "2.0000", "2026-03-01 10:05:00"),
    ]  # fmt: skip

    shop_db.run("select 'second run'")
    put(shop_db, (3, 3, "10:30"))
    shop.run()

    assert [row[0] for row in shop.rows()] == ["1", "2", "3"]
    (statement,) = asked(shop_db, "second run", "FROM sale  WHERE")
    assert '"changed_at" >= \'2026-03-01 09:55:00' in statement
    assert shop.run() is None


def test_an_empty_answer_is_no_delivery(make_shop: MakeShop, shop_db: Postgres) -> None:
    shop = make_shop(source(shop_db))
    assert shop.run() is None
    put(shop_db, (1, 1, "10:00"))
    assert shop.run() is not None
    shop_db.run("delete from sale")
    assert shop.run() is None


@pytest.mark.parametrize(
    ("watermark", "read"),
    [(WatermarkSpec("changed_at", "10 minutes"), {"table": "sale"}),
     (None, {"table": None, "query": "select * from sale"})],
)  # fmt: skip
def test_an_extraction_through_several_connections_has_every_row_once(
    make_shop: MakeShop, shop_db: Postgres, watermark: WatermarkSpec | None, read: dict[str, Any]
) -> None:
    shop = make_shop(
        source(shop_db, watermark=watermark, partitions=PartitionsSpec("ID", 4), **read)
    )
    assert (shop.run() is None) == (watermark is not None)  # an empty table has no bounds
    shop_db.run(
        "select 'parted run'",
        "insert into sale select n, n, timestamptz '2026-03-01 10:00:00+00' + n * interval '1 s' "
        "from generate_series(1, 1000) n",
    )
    shop.run()

    assert sorted(int(row[0]) for row in shop.rows()) == list(range(1, 1001))
    statements = asked(shop_db, "parted run", '"changed_at" FROM')
    assert len(statements) == 4
    assert all('"id"' in s.partition(" WHERE ")[2] for s in statements)

    put(shop_db, (1001, 1, "11:00"), (-5, 1, "11:00"))
    shop.run()
    assert len({row[0] for row in shop.rows()}) == 1002


@pytest.mark.parametrize(
    ("column", "complaint"),
    [("colour", "partitions.column colour is none of id, amount, changed_at, note"),
     ("note", "partitions.column note is string")],
)  # fmt: skip
def test_a_column_that_cannot_part_is_refused(
    make_shop: MakeShop, shop_db: Postgres, column: str, complaint: str
) -> None:
    shop_db.run("alter table sale add note text")
    with pytest.raises(LakehouseError, match=complaint):
        make_shop(source(shop_db, partitions=PartitionsSpec(column, 2))).stage()


@pytest.mark.parametrize(
    "query",
    ["select * from sale -- all of it", "select * from sale;", "select * from sale; -- all\n;\n",
     "select id, amount, '--;' note, changed_at from sale /* all */ ;",
     "-- first\nwith s as (select * from sale) select * from s --"],
)  # fmt: skip
@pytest.mark.parametrize("parts", [None, PartitionsSpec("id", 2)])
def test_a_query_may_end_in_a_comment_or_semicolon(
    spark: SparkSession, shop_db: Postgres, query: str, parts: PartitionsSpec | None
) -> None:
    put(shop_db, (1, 1, "10:00"), (2, 2, "10:01"))
    spec = source(shop_db, table=None, query=query, partitions=parts)
    rows = JdbcReader(spec).extraction(spark, "2026-03-01 10:00:30").rows.collect()
    assert [row["id"] for row in rows if row["id"] != "1"] == ["2"]


@pytest.mark.slow
def test_a_new_column_is_kept_and_a_lost_or_narrowed_one_blocks(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    shop.run()
    shop_db.run("alter table sale add channel text default 'web'")
    put(shop_db, (2, 2, "10:10"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "_rescued") == [("1", None), ("2", '{"channel":"web"}')]

    shop_db.run("alter table sale alter amount type numeric(9,4), drop channel")
    put(shop_db, (3, 3, "10:20"))
    attempt = shop.stage()
    assert attempt is not None
    (problem,) = attempt.problems
    assert "amount is decimal(9,4), was decimal(18,4), which is narrower" in problem.message
    shop.resolve(problem.batch_id, Decision.accepted)
    shop.run()

    shop_db.run("alter table sale drop amount")
    put_without_amount = "insert into sale values (4, '2026-03-01 10:30+00')"
    shop_db.run(put_without_amount)
    attempt = shop.stage()
    assert attempt is not None
    assert "the table lacks amount" in attempt.problems[0].message
    shop.resolve(attempt.problems[0].batch_id, Decision.accepted)
    shop.run()
    assert [row[0] for row in shop.rows()][-1] == "4"


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-jdbc.md"
TABLES = """create table payments (payment_id int, order_id int, amount numeric, updated_at timestamptz);
    create table purchases (order_id int, customer_id int, status text, changed timestamptz);
    create table members (member_id int, name text, changed timestamptz);
    insert into payments values (1, 1, 1.10, now()), (2, 1, 2, now());
    insert into purchases values (1, 7, 'new', now()), (2, 7, 'paid', now()), (3, 8, 'new', now());
    insert into members values (7, 'Ada', now())"""


def test_the_sources_of_the_page_read_a_database(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB_HOST", f"{shop_db.host}:{shop_db.port}")
    monkeypatch.setenv("SHOP_DB_USER", shop_db.user)
    monkeypatch.setenv("SHOP_DB_PASSWORD", shop_db.password)
    OmegaConf.register_resolver("secret", reference, replace=True)  # as composing does
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    parts = [OmegaConf.create(block) for block in blocks]
    merged = OmegaConf.merge(OmegaConf.structured(DomainSpec), *parts)
    shop_db.run(*TABLES.split(";"))

    found = {}
    for name in ("payments", "purchases", "members"):
        one = OmegaConf.to_object(merged.bronze[name])
        assert isinstance(one, SourceSpec)
        attempt = make_shop(one).stage()
        assert attempt is not None
        found[name] = attempt.rows["ingested"]

    assert found == {"payments": 2, "purchases": 3, "members": 1}
