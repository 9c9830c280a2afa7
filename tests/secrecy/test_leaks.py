"""After runs with known secrets, good ones and failures, everything that was left behind is searched."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
import pytest
import yaml

from tests.secrecy.domain import Place, page_blocks
from tests.services.postgres import Postgres
from tests.services.s3 import S3

WRONG = "Wr0ng+pass/w&rd= of the shop"
COLUMNS = ["payment_id", "order_id", "amount"]


def forms(secret: str) -> set[bytes]:
    """How a secret can be written."""
    texts = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    encoded = {base64.b64encode(secret.encode()).decode().rstrip("=")}
    for before in (
        "a",
        "ab",
    ):  # as within `user:password`, at the other two places of its group of bytes
        encoded.add(base64.b64encode((before + secret).encode()).decode()[4:-4])
    return {text.encode() for text in texts | encoded}


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and what is inside of databases and Parquet files."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        name = str(file.relative_to(folder))
        content = file.read_bytes()
        yield name, content
        if content[:16] == b"SQLite format 3\0":
            with sqlite3.connect(file) as database:
                yield f"{name} (dump)", "\n".join(database.iterdump()).encode()
            database.close()
        elif name.endswith(".parquet"):
            yield f"{name} (rows)", str(pq.ParquetFile(file).read().to_pylist()).encode()
        elif content[:2] == b"\x1f\x8b":
            yield f"{name} (plain)", zlib.decompress(content, wbits=31)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Postgres:
    """A table of payments, and a user whose password has signs that are written in several ways."""
    made = postgres.database("secrecy")
    made.run(
        "CREATE TABLE payments (payment_id bigint, order_id bigint, amount numeric(18,2))",
        "INSERT INTO payments VALUES (1, 7, 1.50), (2, 8, 2.50)",
        "DROP ROLE IF EXISTS shop_reader",
        "CREATE ROLE shop_reader LOGIN PASSWORD 'S3cret+pass/w&rd= of the shop'",
        "GRANT SELECT ON payments TO shop_reader",
    )
    return replace(made, user="shop_reader", password="S3cret+pass/w&rd= of the shop")


@pytest.fixture(scope="module")
def secrets_of(database: Postgres, s3: S3) -> Mapping[str, str]:
    """Every secret of the runs, by its variable."""
    return {
        "SHOP_DB_PASSWORD": database.password,
        "SHOP_DB_WRONG": WRONG,
        "SHOP_S3_SECRET": s3.secret,
        "SHOP_S3_WRONG": WRONG[::-1],
    }


def sources(database: Postgres) -> dict[str, Any]:
    """Good sources, and one for each way to fail."""
    good: dict[str, Any] = yaml.safe_load(page_blocks("secrets.md", "yaml")[0])["bronze"][
        "payments"
    ]
    host = f"{database.host}:{database.port}"
    in_url = f"?user={database.user}&password=${{secret:SHOP_DB_WRONG}}"
    wrong = {**good["options"], "password": "${secret:SHOP_DB_WRONG}"}
    return {
        "payments": good,
        "wrong_password": {**good, "options": wrong},
        "wrong_in_url": {**good, "options": {}, "url": f"jdbc:postgresql://{host}/secrecy{in_url}"},
        "no_url": {**good, "url": f"jdbc:nothing://{host}/secrecy{in_url}"},
        "unreachable": {**good, "url": "jdbc:postgresql://127.0.0.1:9/secrecy?connectTimeout=2"},
        "bad_query": {**good, "table": None, "query": "select nothing from payments"},
        "files": {"pattern": "*.csv", "columns": COLUMNS},
        "blocked": {"pattern": "*.txt", "columns": COLUMNS},
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(
    database: Postgres, s3: S3, secrets_of: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:  # fmt: skip
    """Where all commands ran: a run with failures of databases, one with failures of a bucket, print-outs."""
    root = tmp_path_factory.mktemp("secrecy")
    environment = {
        **secrets_of, "SHOP_DB_URL": database.jdbc, "SHOP_DB_USER": database.user,
        "SHOP_S3_KEY": s3.key,
    }  # fmt: skip
    made = Place(root, environment)
    made.declare({"bronze": sources(database)})
    s3.make_bucket("secrecy")
    s3.put("secrecy", "in/payments.csv", "payment_id,order_id,amount\n3,9,3.50\n")
    s3.put("secrecy", "in/empty.txt", "")
    landing = [
        "paths.landing=s3://secrecy/in", f"paths.landing_options.client_kwargs.endpoint_url={s3.endpoint}",
        "paths.landing_options.key=${secret:SHOP_S3_KEY}",
    ]  # fmt: skip
    right = [*landing, "paths.landing_options.secret=${secret:SHOP_S3_SECRET}"]
    wrong = [*landing, "paths.landing_options.secret=${secret:SHOP_S3_WRONG}"]
    made.command("run", overrides=[*right, "spark=small"])
    made.command("run", "--json", overrides=[*wrong, "spark=small", "tables=[bronze.files]"])
    made.command("config", overrides=right)
    made.command("status", overrides=right)
    return made


@pytest.mark.slow
def test_each_source_came_to_its_end(place: Place) -> None:
    report = json.loads((place.root / "lake/_reports/shop/delta/quality_report.json").read_text())
    assert report["status"] == "failed"
    printed = "".join(place.printed)
    for part in (
        "2 tables published", "bronze.payments", "bronze.wrong_password failed", "bronze.no_url failed",
        "password authentication failed", "bronze.unreachable failed", "bronze.bad_query failed",
        "bronze.blocked blocked",
        "access is refused", "${secret:SHOP_DB_PASSWORD}", "${secret:SHOP_S3_SECRET}",
    ):  # fmt: skip
        assert part in printed


@pytest.mark.slow
def test_no_secret_is_in_anything_that_was_left_behind(
    place: Place, secrets_of: Mapping[str, str]
) -> None:
    searched = {f"printed {n}": text.encode() for n, text in enumerate(place.printed)}
    searched |= dict(contents(place.root))
    found = [
        (variable, name)
        for name, content in searched.items()
        for variable, secret in secrets_of.items()
        for form in forms(secret)
        if form in content
    ]
    assert found == []
    # what was not written cannot leak: each kind of place must have been searched
    kinds = {
        "prefect.db (dump)", "spark.log", "_delta_log", "/ops/", "attempt.json",
        "quality_report.json", ".parquet (rows)", "shop.yaml",
    }  # fmt: skip
    assert {kind for kind in kinds if any(kind in name for name in searched)} == kinds
    records = next(text for name, text in searched.items() if name.endswith("prefect.db (dump)"))
    assert b"password authentication failed" in records
    assert b"${secret:SHOP_S3_SECRET}" in records


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    secret = "S3cret+pass/w&rd= of the shop"
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", [f"said {secret}"])
    database.close()
    (tmp_path / "b.txt").write_text(quote_plus(secret))
    (tmp_path / "c.txt").write_text(base64.b64encode(f"user:{secret}".encode()).decode())
    (tmp_path / "d.txt").write_text(base64.b64encode(f"users:{secret}:x".encode()).decode())
    named = {
        name for name, content in contents(tmp_path) if any(f in content for f in forms(secret))
    }
    assert {"a.db (dump)", "b.txt", "c.txt", "d.txt"} <= named
    assert os.sep not in "".join(named)
