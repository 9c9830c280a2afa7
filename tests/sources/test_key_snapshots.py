"""Deletes found by comparing keys, against a real PostgreSQL."""

from __future__ import annotations

import random
from typing import Any

import pytest

from storage.errors import InputError
from storage.secrets import reference
from tasks.domain.spec import (
    ColumnSpec,
    Deletes,
    DomainSpec,
    KeySnapshotSpec,
    SilverSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.ingest.sources.jdbc.reader import JdbcReader
from tasks.records.decisions import Decision
from tests.services.postgres import Postgres
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

COLUMNS = ["id", "amount", "changed", "__deleted"]


@pytest.fixture
def shop_db(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    made = postgres.database("keys")
    made.run("create table sale (id bigint primary key, amount numeric, changed bigint)")
    monkeypatch.setenv("SHOP_PASSWORD", made.password)
    return made


@pytest.fixture(autouse=True)
def silver_that_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The silver table applies the deletes."""
    plain = Shop.domain.fget  # type: ignore[attr-defined]

    def domain(shop: Shop) -> DomainSpec:
        made: DomainSpec = plain(shop)
        made.silver["sale"] = SilverSpec(
            source="bronze.sale",
            key=["id"],
            columns={
                "id": ColumnSpec("bigint"),
                "amount": ColumnSpec("decimal(18,2)"),
                "gone": ColumnSpec("boolean", source="__deleted"),
            },
            delete_when="gone",
            deletes=Deletes.hard,
        )
        return made

    monkeypatch.setattr(Shop, "domain", property(domain))


def source(database: Postgres, **snapshot: Any) -> SourceSpec:
    return SourceSpec(
        columns=COLUMNS, kind=SourceKind.jdbc, url=database.jdbc, table="sale",
        options={"user": database.user, "password": reference("SHOP_PASSWORD")},
        watermark=WatermarkSpec("changed", "0"),
        key_snapshot=KeySnapshotSpec(**{"key": ["id"]} | snapshot),
    )  # fmt: skip


def put(database: Postgres, *rows: tuple[int, object, int]) -> None:
    listed = ", ".join(str(row) for row in rows)
    database.run(
        f"insert into sale values {listed} on conflict (id) do update "
        "set amount = excluded.amount, changed = excluded.changed"
    )


def alive(shop: Shop) -> list[int]:
    shop.run("silver.sale")
    return sorted(row[0] for row in shop.rows("silver.sale", "id"))


def test_deletes_reach_silver_and_a_row_that_comes_back_is_alive(
    make_shop: MakeShop, shop_db: Postgres, format_name: str
) -> None:
    shop = make_shop(source(shop_db), format_name)
    put(shop_db, (1, 1, 1), (2, 2, 2), (3, 3, 3))
    shop.run()
    assert shop.run() is None
    assert alive(shop) == [1, 2, 3]

    shop_db.run("delete from sale where id in (1, 2)")
    put(shop_db, (4, 4, 4))
    attempt = shop.run()
    assert attempt is not None
    assert [f.rows for f in attempt.files] == [1, 2]  # the row, then the deletes
    assert shop.rows()[-2:] == [("1", "1", "1", "true"), ("2", "2", "2", "true")]
    assert shop.record().notes["watermark"]["value"] == "4"
    assert shop.run() is None
    assert alive(shop) == [3, 4]

    put(shop_db, (1, 1, 5))
    shop.run()
    assert alive(shop) == [1, 3, 4]
    shop_db.run("delete from sale where id = 1")
    shop.run()
    assert alive(shop) == [3, 4]
    assert shop.record().notes["watermark"]["value"] == "5"  # no new row, and still known
    assert shop.run() is None


@pytest.mark.slow
def test_a_row_that_comes_back_with_an_old_watermark_is_alive(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, 1), (2, 2, 2), (3, 3, 9))
    shop.run()
    shop_db.run("delete from sale where id in (1, 2)")
    shop.run()
    assert alive(shop) == [3]
    put(shop_db, (1, 1, 1))  # of a backup
    shop.run()
    assert shop.rows()[5:] == [("1", "1", "1", "false")]
    assert shop.record().notes["watermark"]["value"] == "9"
    assert alive(shop) == [1, 3]
    assert shop.run() is None


def test_a_row_inserted_between_the_two_reads_is_not_deleted(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, 1), (2, 2, 2))
    shop.run()
    reads: list[str] = []

    def followed(name: str) -> Any:
        read = getattr(JdbcReader, name)

        def wrapped(*arguments: Any) -> Any:
            result = read(*arguments)
            reads.append(name)
            if len(reads) == 1:  # between the two, whichever comes first
                put(shop_db, (3, 3, 3), (1, 9, 4))
                shop_db.run("delete from sale where id = 2")
            return result

        return wrapped

    for name in ("_frozen", "_keys"):
        monkeypatch.setattr(JdbcReader, name, followed(name))
    shop.run()
    assert len(reads) == 2
    assert shop.rows("bronze.sale", "id", "__deleted")[2:] == [("2", "true")]
    shop.run()
    assert shop.rows("bronze.sale", "id", "amount", "__deleted")[3:] == [
        ("3", "3", "false"), ("1", "9", "false"),
    ]  # fmt: skip


@pytest.mark.parametrize("decision", list(Decision))
def test_a_snapshot_that_would_delete_too_much_waits_for_a_decision(
    make_shop: MakeShop, shop_db: Postgres, decision: Decision
) -> None:
    shop = make_shop(source(shop_db, share=0.5, rows=2))
    put(shop_db, *((n, n, n) for n in range(1, 6)))
    shop.run()
    shop_db.run("delete from sale where id > 3")
    assert shop.run() is not None  # two rows may be gone
    shop_db.run("delete from sale where id > 0")
    attempt = shop.stage()
    assert attempt is not None
    (problem,) = attempt.problems
    assert problem.message.endswith("found no key; it would delete all 3 rows")
    shop.resolve(problem.batch_id, decision)
    taken = shop.run()
    assert (taken is None) == (decision is Decision.rejected)
    assert alive(shop) == ([1, 2, 3] if decision is Decision.rejected else [])
    assert shop.run() is None  # the same keys are not asked about again


@pytest.mark.slow
def test_keys_are_compared_at_most_so_often(make_shop: MakeShop, shop_db: Postgres) -> None:
    shop = make_shop(source(shop_db, every="6 hours"))
    put(shop_db, (1, 1, 1), (2, 2, 2), (3, 3, 3))
    shop.run()
    shop_db.run("delete from sale where id = 1")
    shop.run()
    shop_db.run("delete from sale where id = 2")
    assert shop.run() is None
    put(shop_db, (4, 4, 4))
    shop.run()  # a commit without a comparison carries the instant on
    assert alive(shop) == [2, 3, 4]
    often = shop.with_source(key_snapshot=KeySnapshotSpec(["id"]))
    often.run()
    assert alive(often) == [3, 4]


def test_a_key_that_the_table_lacks_is_refused(make_shop: MakeShop, shop_db: Postgres) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, 1))
    shop.run()
    shop_db.run("alter table sale rename id to number")
    with pytest.raises(InputError, match="it has no column id of"):
        shop.stage()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_silver_is_what_the_database_holds_whatever_happens_to_it(
    make_shop: MakeShop, shop_db: Postgres, seed: int
) -> None:
    shop = make_shop(source(shop_db, share=1.0))
    chance = random.Random(seed)
    clock = 0
    for _ in range(8):
        for _ in range(chance.randrange(6)):
            clock += 1
            key = chance.randrange(6)
            if chance.random() < 0.4:
                shop_db.run(f"delete from sale where id = {key}")
            else:
                put(shop_db, (key, clock, clock))
        with shop_db.connect() as connection:
            expected = connection.execute("select id from sale order by id").fetchall()
        attempt = shop.stage()
        if attempt is not None:
            for problem in attempt.problems:
                shop.resolve(problem.batch_id, Decision.accepted)
            shop.run()
        if shop.commits() > 1:
            assert alive(shop) == [key for (key,) in expected]
