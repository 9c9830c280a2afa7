"""The search finds what it is for; a small run with a failure is searched by default."""

from __future__ import annotations

import base64
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote_plus

import pyarrow as pa
from pyiceberg.catalog.memory import InMemoryCatalog

from tests.secrecy import sources
from tests.secrecy.domain import Place
from tests.secrecy.search import contents, found
from tests.services.hubspot import HubSpot

SECRET = "S3cret+pass/w&rd= of the shop"


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", [f"said {SECRET}"])
    database.close()
    (tmp_path / "b.txt").write_text(quote_plus(SECRET))
    (tmp_path / "c.txt").write_text(base64.b64encode(f"user:{SECRET}".encode()).decode())
    (tmp_path / "d.txt").write_text(base64.b64encode(f"users:{SECRET}:x".encode()).decode())
    named = {place for _, place in found(contents(tmp_path), {"SECRET": SECRET})}
    assert {"a.db (dump)", "b.txt", "c.txt", "d.txt"} <= named
    assert os.sep not in "".join(named)


def test_the_search_reads_the_manifests_of_iceberg(tmp_path: Path) -> None:
    catalog = InMemoryCatalog("lake", warehouse=str(tmp_path))
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.notes", pa.schema([("text", pa.string())]))
    table.append(pa.table({"text": ["a value"]}))
    places = {place for _, place in found(contents(tmp_path), {"value": "a value"})}
    assert any(place.endswith(".avro (plain)") for place in places)


def test_a_run_that_fails_leaves_no_secret(hubspot: HubSpot, tmp_path: Path) -> None:
    """The whole of it is among the slow tests."""
    hubspot.objects.put("contacts", "1", email="a@example.com")
    secrets = {"SHOP_REST_TOKEN": hubspot.token, "SHOP_WRONG": SECRET}
    place = Place(tmp_path, secrets)
    chosen = ("contacts", "contacts_wrong", "keyed_in_url")
    of_api = sources.of_api(hubspot)
    place.declare({"bronze": {name: of_api[name] for name in chosen}})
    with place.recording():
        done = place.command("run", overrides=["spark=small", f"paths.landing={place.landing}"])
    assert done.returncode == 1
    printed = "".join(place.printed)
    assert "1 table published" in printed
    assert "bronze.keyed_in_url failed" in printed
    searched = {**dict(contents(tmp_path)), "printed": printed.encode()}
    assert any(name.endswith("prefect.db (dump)") for name in searched)
    assert found(searched.items(), secrets) == []
