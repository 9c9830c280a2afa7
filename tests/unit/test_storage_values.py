from __future__ import annotations

import json

import pytest

from storage.types import CommitRecord, SourceFile, TableRef

FILE = SourceFile("a/x.csv", "ab" * 32, 10, 2, "orders-abab", 1)
FULL = CommitRecord(
    run_id="20240101T000000-ab",
    token="t1",
    inputs={"silver.orders": "12", "bronze.orders": "empty"},
    files=(FILE, SourceFile("é ${x} \"q\".csv", "cd" * 32, 0, 0, "orders-cdcd", 2)),
    code="1.2.3",
    contract="c0ffee",
    rows={"ingested": 4, "published": 3},
    as_of="2018-10-17 23:59:59",
    notes={"batches": ["a", "b"], "mark": True, "limit": None, "nested": {"n": 1.5}},
)  # fmt: skip


@pytest.mark.parametrize("record", [FULL, CommitRecord("r", "t")], ids=["full", "least"])
def test_a_record_comes_back_from_its_json(record: CommitRecord) -> None:
    assert CommitRecord.from_json(record.to_json()) == record


def test_the_json_of_equal_records_is_equal() -> None:
    one = CommitRecord("r", "t", inputs={"a": "1", "b": "2"})
    other = CommitRecord("r", "t", inputs={"b": "2", "a": "1"})
    assert one.to_json() == other.to_json()
    assert "\n" not in FULL.to_json()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not json",
        "{",
        "null",
        "3",
        '"text"',
        "[]",
        "{}",
        '{"run_id": "r"}',
        '{"run_id": "r", "token": "t", "files": [{"name": "x"}]}',
        '{"run_id": "r", "token": "t", "files": 3}',
        json.dumps({"operation": "WRITE", "user": "somebody"}),
    ],
)
def test_metadata_of_another_writer_is_no_record(text: str | None) -> None:
    assert CommitRecord.from_json(text) is None


def test_a_table_has_one_name_for_each_reader() -> None:
    ref = TableRef.parse("shop", "silver.orders")
    assert ref == TableRef("shop", "silver", "orders")
    assert (ref.database, ref.path) == ("shop_silver", "shop_silver/orders")
    assert (ref.label, ref.view) == ("silver.orders", "silver_orders")


def test_operational_tables_are_shared_by_the_domains() -> None:
    refs = {TableRef(domain, "ops", "runs").path for domain in ("shop", "taxi")}
    assert refs == {"ops/runs"}


@pytest.mark.parametrize("label", ["orders", "silver.", ".orders", "", ".", "a.b.c", "silver..a"])
def test_what_is_no_table_name_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=r"write layer\.table") as refused:
        TableRef.parse("shop", label)
    assert repr(label) in str(refused.value)


def test_a_record_of_a_newer_version_keeps_its_position() -> None:
    raw = json.loads(CommitRecord("run", "token", inputs={"bronze.a": "3"}).to_json())
    read = CommitRecord.from_json(json.dumps(raw | {"added_later": 1}))
    assert read is not None
    assert read.inputs == {"bronze.a": "3"}
