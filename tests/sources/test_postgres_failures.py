"""A PostgreSQL that refuses, is away, or is cut off: nothing is lost or doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage.errors import ConfigurationError, TerminalError, TransientError
from storage.secrets import reference
from tests.services.postgres import Postgres, postgres_server
from tests.sessions import slow
from tests.sources.conftest import MakeShop
from tests.sources.shop_database import TABLE, put, source


def test_a_wrong_password_is_terminal_and_a_later_run_continues(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    monkeypatch.setenv("SHOP_PASSWORD", "s3same")
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        shop.stage()
    assert "s3same" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None

    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(ConfigurationError, match="the secret SHOP_PASSWORD is not set"):
        shop.stage()
    monkeypatch.setenv("SHOP_PASSWORD", shop_db.password)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


def test_a_secret_in_the_url_is_revealed_to_the_driver_alone(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{shop_db.jdbc}?user={shop_db.user}&password={reference('SHOP_PASSWORD')}"
    shop = make_shop(source(shop_db, url=url, options={}))
    put(shop_db, (1, 1, "10:00"))
    attempt = shop.run()
    assert attempt is not None
    assert shop_db.password not in shop.record().to_json()

    monkeypatch.setenv("SHOP_PASSWORD", "s3same")
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        shop.stage()
    assert "s3same" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("jdbc:postgresql://127.0.0.1:1/shop", "127.0.0.1:1 refused"),
     ("jdbc:postgresql://nowhere.invalid:5432/shop", "connection attempt failed")],
)  # fmt: skip
def test_a_host_that_does_not_answer_is_tried_again(
    make_shop: MakeShop, shop_db: Postgres, url: str, complaint: str
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    shop.run()
    put(shop_db, (2, 2, "10:01"))
    with pytest.raises(TransientError, match=complaint) as lost:
        shop.with_source(url=url).stage()
    assert shop_db.password not in str(lost.value)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_database_or_table_that_is_not_there_is_terminal(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    with pytest.raises(TerminalError, match='database "elsewhere" does not exist'):
        make_shop(source(shop_db, url=shop_db.jdbc.replace("/shop", "/elsewhere"))).stage()
    with pytest.raises(TerminalError, match='relation "elsewhere" does not exist'):
        make_shop(source(shop_db, table="elsewhere")).stage()


SLOW = """create view slow as
    select s.* from sale s, lateral (select pg_sleep(0.02 * (s.id > 0)::int)) pause"""


def while_reading(database: Postgres, act: Any) -> threading.Thread:
    """Act once the server is in the middle of an extraction from the view `slow`."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        active = "select pid from pg_stat_activity where query like '%FROM slow%changed_at%' " \
            "and state = 'active' and pid <> pg_backend_pid()"  # fmt: skip
        with database.connect() as connection:
            while time.monotonic() < deadline:
                found = connection.execute(active).fetchall()
                if found:
                    break
                time.sleep(0.02)
        time.sleep(0.3)
        act(found)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def cut(database: Postgres) -> Any:
    def act(found: list[tuple[int]]) -> None:
        for (pid,) in found:
            database.run(f"select pg_terminate_backend({pid})")

    return act


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server of the test's own, which it may kill."""
    with postgres_server(tmp_path / "postgres") as server:
        monkeypatch.setenv("SHOP_PASSWORD", server.password)
        made = server.database("shop")
        made.run(TABLE)
        yield made


@pytest.mark.parametrize("how", ["killed", *slow("terminated")])
def test_a_connection_cut_in_the_middle_loses_and_doubles_nothing(
    make_shop: MakeShop, own_server: Postgres, how: str
) -> None:
    shop = make_shop(source(own_server, table="slow", options={
        "user": own_server.user, "password": reference("SHOP_PASSWORD"), "fetchsize": "10",
    }))  # fmt: skip
    own_server.run(SLOW)
    put(own_server, (-1, 1, "10:00"))
    shop.run()
    own_server.run(
        "insert into sale select n, n, timestamptz '2026-03-01 10:00:00+00' + n * interval '1 s' "
        "from generate_series(1, 100) n",
    )
    act = cut(own_server) if how == "terminated" else lambda _: own_server.kill()
    thread = while_reading(own_server, act)
    with pytest.raises(TransientError):
        shop.stage()
    thread.join(60)
    assert [row[0] for row in shop.rows()] == ["-1"]
    if how == "killed":
        with pytest.raises(TransientError):  # the server is down
            shop.stage()
        own_server.start()

    shop.run()

    assert sorted(int(row[0]) for row in shop.rows()) == [-1, *range(1, 101)]
    assert shop.run() is None


def test_a_run_that_is_killed_between_stage_and_publish_takes_everything_once(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    assert shop.stage() is not None  # and no publish
    put(shop_db, (2, 2, "10:01"), (1, 5, "10:02"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "amount") == [("2", "2.0000"), ("1", "5.0000")]
    assert shop.run() is None


def test_a_server_without_a_free_connection_is_tried_again(
    make_shop: MakeShop, own_server: Postgres
) -> None:
    put(own_server, (1, 1, "10:00"))
    own_server.run(
        "create role clerk login password 'pa55' connection limit 1", "grant all on sale to clerk"
    )
    shop = make_shop(source(own_server, options={"user": "clerk", "password": "pa55"}))
    taken = psycopg.connect(
        host=own_server.host, port=own_server.port, user="clerk", password="pa55", dbname="shop"
    )
    with taken, pytest.raises(TransientError, match="too many connections"):
        shop.stage()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]
