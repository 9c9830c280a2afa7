"""The commands on quarantined rows, on tables written without Spark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.cli import invoke
from flows.cli import quarantine as commands
from flows.runtime import lake_of
from storage.base import TableStore
from storage.types import CommitRecord, SourceFile, TableRef
from tasks.domain.schemas import quarantine_of
from tasks.records import releases

ITEMS = TableRef("olist", "silver", "order_items")
SOURCE = TableRef("olist", "bronze", "order_items")
BATCH = "order_items-0123456789ab"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def row(sequence: int, order: str, rule: str) -> dict[str, Any]:
    return {
        "order_id": order, "price": "-1", "_batch_id": BATCH, "_source_file": "items.csv",
        "_record_number": sequence, "_sequence": sequence, "_rule": rule,
        "_reason": f"{rule} (record {sequence})", "_quarantined_at": NOON,
    }  # fmt: skip


@pytest.fixture(params=["delta", "iceberg"])
def store(
    request: pytest.FixtureRequest,
    make_config: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TableStore:
    """A lake with five delivered items: two published, three in quarantine."""
    monkeypatch.setenv("LAKEHOUSE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("COLUMNS", "200")
    config = make_config(request.param, tmp_path)
    monkeypatch.setattr("flows.cli.rows.load_config", lambda _: config)
    store = lake_of(config).store(None)
    held = [row(1, "o1", "negative_amount"), row(2, "o2", "negative_amount")]
    held.append(row(3, "", "key_missing"))
    file = SourceFile("items.csv", "ab" * 32, 9, 5, BATCH, 1)
    store.append_arrow(
        SOURCE, pa.table({"order_id": ["o"] * 5}), CommitRecord("run-1", "t0", files=(file,))
    )
    position = {"bronze.order_items": str(store.head(SOURCE).version)}
    account = {"ingested": 5, "published": 2, "quarantined": 3}
    record = CommitRecord(
        "run-1", "t1", inputs=position, rows=account | {"deduplicated": 0, "rejected": 0},
        notes={"accounts": {BATCH: account}},
    )  # fmt: skip
    store.append_arrow(ITEMS, pa.table({"order_id": ["o4", "o5"]}), record)
    store.append_arrow(
        quarantine_of(ITEMS), pa.Table.from_pylist(held), CommitRecord("run-1", "t1.enter")
    )
    return store


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert invoke(["quarantine", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def release(*arguments: str) -> int:
    words = ["quarantine", "release", "order_items", *arguments]
    return invoke([*words, "--reason", "looked at", "--no-run"])


def test_rows_are_counted_by_rule(store: TableStore, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "list")
    assert [(r["table"], r["rule"], r["rows"], r["batches"]) for r in found] == [
        ("silver.order_items", "key_missing", 1, 1),
        ("silver.order_items", "negative_amount", 2, 1),
    ]
    assert found[0]["oldest"] == found[0]["newest"] == "2024-05-01T12:00:00Z"
    assert invoke(["quarantine", "list"]) == 0
    assert "negative_amount" in capsys.readouterr().out


def test_rows_are_shown_as_delivered_with_their_reason(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = shown(capsys, "show", "silver.order_items", "--key", "order_id=o2")
    assert (found["order_id"], found["price"], found["_rule"]) == ("o2", "-1", "negative_amount")
    assert found["_reason"] == "negative_amount (record 2)"
    assert len(shown(capsys, "show", "order_items", "--rule", "negative_amount")) == 2
    assert len(shown(capsys, "show", "order_items__quarantine", "--limit", "1")) == 1
    assert shown(capsys, "show", "order_items", "--batch", "another") == []
    assert shown(capsys, "show", "order_items", "--released") == []


def test_a_request_names_its_rows_and_who_made_it(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release("--rule", "negative_amount", "--key", "order_id=o2") == 0
    assert "1 row of silver.order_items to be judged again" in capsys.readouterr().out
    (made,) = store.read_arrow(releases.table("olist")).to_pylist()
    assert (made["table_name"], made["sequence"], made["rule"]) == (
        "silver.order_items",
        2,
        "negative_amount",
    )
    assert (made["action"], made["reason"]) == ("judge", "looked at")
    assert made["chosen_by"] == "rule=negative_amount, order_id=o2"
    assert made["requested_by"]
    assert release("--rule", "negative_amount", "--waive") == 0
    assert "2 rows of silver.order_items let in" in capsys.readouterr().out
    first, second = releases.asked(store, ITEMS, None)
    assert releases.asked(store, ITEMS, str(first.version)) == [second]
    assert releases.asked(store, ITEMS, str(second.version)) == []
    assert releases.asked(store, ITEMS, "of another history") == [first, second]
    withdraw = ["quarantine", "withdraw", "order_items", made["request_id"], "--reason", "no"]
    assert invoke(withdraw) == 0
    assert releases.asked(store, ITEMS, None) == [second]
    assert invoke(withdraw) == 2
    assert f"no request '{made['request_id']}' that counts" in capsys.readouterr().err
    assert releases.asked(store, TableRef("olist", "silver", "orders"), None) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rule", "nothing"], "no row in quarantine with rule=nothing"),
        (["--key", "order=o1"], "--key order=o1: not COLUMN=VALUE"),
        (["--waive"], "a waiver names its rows"),
        (["--batch", BATCH, "--waive"], "cannot be published: 1 of rule key_missing"),
    ],
    ids=" ".join,
)
def test_a_request_that_cannot_be_followed_is_refused(
    store: TableStore, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert release(*arguments) == 2
    assert complaint in capsys.readouterr().err
    assert not store.exists(releases.table("olist"))


def test_an_unknown_table_is_refused_with_those_there_are(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["quarantine", "show", "gold.daily_revenue"]) == 2
    err = capsys.readouterr().err
    assert "no table of domain olist with a quarantine" in err
    assert "silver.order_items" in err


def test_a_release_runs_the_table_and_what_is_computed_from_it(
    store: TableStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[list[str]] = []

    def run(overrides: list[str]) -> int:
        runs.append(overrides)
        return 3

    monkeypatch.setattr(commands, "run", run)
    words = ["release", "order_items", "env=test", "tables=[gold.x]", "--reason", "x"]
    assert invoke(["quarantine", *words]) == 3
    ((env, tables, layers),) = runs
    assert (env, layers) == ("env=test", "layers=[silver,gold]")
    assert tables.startswith("tables=[silver.order_items,")
    assert "gold.product_performance" in tables
    assert "silver.orders," not in tables
    out = capsys.readouterr().out
    assert "0 of 3 rows left the quarantine; still there: 2 negative_amount, 1 key_missing" in out


def test_rows_add_up_per_batch_and_in_total(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = shown(capsys, "check")["fed"]
    counts = ("delivered", "published", "quarantined", "released", "in quarantine")
    assert [found[name] for name in counts] == [5, 2, 3, 0, 3]
    assert (found["lost"], found["note"]) == ("", "")


def test_a_row_lost_from_the_quarantine_is_found(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    held = store.read_arrow(quarantine_of(ITEMS))
    store.drop(quarantine_of(ITEMS))
    store.append_arrow(quarantine_of(ITEMS), held.slice(1), CommitRecord("x", "x"))
    assert invoke(["quarantine", "check", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["fed"]
    assert found["lost"] == (
        f"2 of 3 quarantined rows are in quarantine; {BATCH}: 2 of 3 quarantined rows are there"
    )


def test_a_delivery_that_silver_never_counted_is_found(
    store: TableStore, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"ingested": 4, "published": 4}
    position = {"bronze.order_items": str(store.head(SOURCE).version)}
    record = CommitRecord("run-2", "t2", inputs=position, rows=rows)
    store.append_arrow(ITEMS, pa.table({"order_id": ["o6"]}), record)
    assert invoke(["quarantine", "check", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["fed"]
    assert found["lost"] == "9 of 5 delivered rows were ingested"
