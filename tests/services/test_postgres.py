"""The PostgreSQL of the tests: what is committed outlives a kill, and the log has every statement."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.services.postgres import Postgres, postgres_server


def test_a_killed_server_starts_again_with_what_was_committed(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as server:
        shop = server.database("shop")
        shop.run("CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)")

        server.kill()
        assert not server.answers()
        server.start()

        with shop.connect() as connection:
            assert connection.execute("SELECT a FROM t").fetchall() == [(7,)]
    assert not server.data.exists()


def test_the_log_has_every_statement(postgres: Postgres) -> None:
    postgres.database("shop").run("SELECT 'seen in the log'")

    assert "statement: SELECT 'seen in the log'" in postgres.log.read_text()


def test_a_wrong_password_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=postgres.host, port=postgres.port, user=postgres.user, password="wrong",
            dbname=postgres.name,
        )  # fmt: skip
