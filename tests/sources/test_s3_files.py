"""Files of a bucket: each object is read once, in every format, wherever it is stored."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from storage.errors import InputError
from storage.types import CommitRecord, SourceFile
from tasks.domain.spec import DriftMode, FileFormat, SourceSpec
from tasks.ingest.sources.files.seen import Seen
from tasks.landing.folders import RemoteFolder, StoredObject
from tasks.landing.names import files_below
from tasks.records.decisions import Decision
from tests.sources.buckets import CSV, Bucket, csv
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop


@pytest.fixture
def shop(make_shop: MakeShop, bucket: Bucket, format_name: str) -> Shop:
    """The shop whose deliveries arrive in the bucket."""
    return replace(make_shop(CSV, format_name), landing=bucket.landing())


def parquet(**columns: list[Any]) -> bytes:
    out = BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_each_object_is_read_once_over_several_runs(shop: Shop, bucket: Bucket) -> None:
    assert shop.run() is None
    bucket.put("2026/sale_1.csv", csv("a,1", "b,2"))
    bucket.put("other.csv", csv("x,9"))
    first = shop.run()
    assert first is not None
    assert [(f.name, f.bytes, f.rows) for f in first.files] == [("2026/sale_1.csv", 18, 2)]
    assert first.files[0].mark
    assert shop.run() is None

    bucket.put("2026/sale_2.csv", csv("c,3"))
    bucket.put("sale_0.csv", csv("a,1", "b,2"))  # the content of the first
    second = shop.run()
    assert second is not None
    assert [f.name for f in second.files] == ["2026/sale_2.csv"]
    assert shop.run() is None
    assert shop.rows("bronze.sale", "id", "_source_file") == [
        ("a", "2026/sale_1.csv"), ("b", "2026/sale_1.csv"), ("c", "2026/sale_2.csv"),
    ]  # fmt: skip
    assert bucket.reads() == ["2026/sale_1.csv", "2026/sale_2.csv", "sale_0.csv"]
    assert shop.record().files[0].mark == second.files[0].mark


def test_what_a_machine_remembers_may_be_lost(shop: Shop, bucket: Bucket) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    bucket.put("sale_2.csv", csv("a,1"))
    shop.run()
    read = len(bucket.reads())
    for file in (shop.root / "staging" / "_seen").rglob("*.json"):
        file.write_text("{broken")
    assert shop.run() is None
    assert bucket.reads()[read:] == ["sale_2.csv"]  # the first one is in the table's own ledger


def test_a_replaced_object_is_a_new_delivery_and_an_old_content_is_known(
    shop: Shop, bucket: Bucket
) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    shop.run()
    bucket.put("sale_1.csv", csv("a,2"))  # as long as before, in the same second
    attempt = shop.run()
    assert attempt is not None
    assert shop.rows("bronze.sale", "id", "amount") == [("a", "1"), ("a", "2")]
    bucket.put("sale_1.csv", csv("a,1"))
    assert shop.run() is None


def test_a_run_that_ends_between_stage_and_publish_is_repeated(shop: Shop, bucket: Bucket) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    attempt = shop.stage()
    assert attempt is not None
    again = shop.run()
    assert again is not None
    assert again.token == attempt.token
    assert shop.rows() == [("a", "1")]
    assert shop.run() is None
    assert list((shop.root / "staging").rglob("objects/*/*")) == []


@pytest.mark.parametrize(
    ("source", "name", "content"),
    [
        (replace(CSV, pattern="sale*"), "sale_1.csv.gz", gzip.compress(csv("a,1.10").encode())),
        (
            replace(CSV, pattern="sale*", format=FileFormat.jsonl),
            "sale_1.jsonl", '{"id": "a", "amount": 1.10}\n',
        ),
        (
            replace(CSV, pattern="sale*", format=FileFormat.parquet),
            "sale_1.parquet", parquet(id=["a"], amount=["1.10"]),
        ),
        (
            replace(CSV, pattern="**/day=1/*", format=FileFormat.by_ending),
            "2026/day=1/sale.jsonl.gz", gzip.compress(b'{"id": "a", "amount": 1.10}\n'),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)  # fmt: skip
def test_every_format_comes_from_a_bucket(
    make_shop: MakeShop, bucket: Bucket, source: SourceSpec, name: str, content: bytes | str
) -> None:
    shop = replace(make_shop(source), landing=bucket.landing())
    bucket.put(name, content)
    assert shop.run() is not None
    assert shop.rows("bronze.sale", "id", "amount", "_source_file") == [("a", "1.10", name)]


def test_a_schema_change_blocks_until_it_is_accepted(make_shop: MakeShop, bucket: Bucket) -> None:
    source = replace(CSV, drift=DriftMode.freeze)
    shop = replace(make_shop(source), landing=bucket.landing())
    bucket.put("sale_1.csv", csv("a,1"))
    shop.run()
    bucket.put("sale_2.csv", "id,amount,size\nb,2,L\n")
    attempt = shop.stage()
    assert attempt is not None
    assert shop.check(attempt).verdict.blocked
    assert "sale_2.csv" in attempt.problems[0].message
    shop.resolve(attempt.batches[0].batch_id, Decision.accepted)
    assert shop.run() is not None
    assert shop.rows("bronze.sale", "id", "_rescued") == [("a", None), ("b", '{"size": "L"}')]


def test_an_empty_object_is_a_problem_of_its_own_and_a_later_run_goes_on(
    make_shop: MakeShop, bucket: Bucket
) -> None:
    shop = replace(make_shop(CSV), landing=bucket.landing())
    bucket.put("sale_1.csv", "")
    attempt = shop.stage()
    assert attempt is not None
    assert [p.message.splitlines()[0] for p in attempt.problems] == [
        "sale_1.csv: the file is empty"
    ]
    bucket.put("sale_1.csv", csv("a,1"))
    assert shop.run() is not None
    assert shop.rows() == [("a", "1")]


def test_a_required_source_without_a_file_says_where_it_looks(
    make_shop: MakeShop, bucket: Bucket
) -> None:
    shop = replace(make_shop(replace(CSV, required=True)), landing=bucket.landing())
    with pytest.raises(InputError, match=rf"no file sale\*\.csv in s3://{bucket.name}/in"):
        shop.stage()


@pytest.mark.parametrize("content", ["[1]", '{"sale_1.csv": ["x"]}', '{"sale_1.csv": null}', "{"])
def test_notes_of_another_shape_are_no_notes(tmp_path: Path, content: str) -> None:
    file = tmp_path / "seen.json"
    file.write_text(content)
    one = StoredObject("b/in/sale_1.csv", "sale_1.csv", 7, "m")
    assert Seen(file).sha256(one) is None


def test_what_two_processes_remember_is_kept_of_both(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    objects = [StoredObject(f"b/{n}", n, 7, "m") for n in ("a.csv", "b.csv")]
    first, second = Seen(file), Seen(file)
    first.remember(objects[0], "1")
    second.remember(objects[1], "2")
    first.save(objects)
    second.save(objects)
    assert [Seen(file).sha256(one) for one in objects] == ["1", "2"]
    Seen(file).save(objects[:1])
    assert [Seen(file).sha256(one) for one in objects] == ["1", None]


def test_a_name_that_is_longer_than_a_local_one_may_be_is_read(shop: Shop, bucket: Bucket) -> None:
    name = f"sale_{'x' * 400}.csv"
    bucket.put(name, csv("a,1"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "_source_file") == [("a", name)]


@pytest.mark.parametrize(
    "pattern", ["sale*.csv", "2026/*.csv", "*/sale_?.csv", "**/sale_1.csv", "2026/**/*.csv", "[!x]*.csv"]
)  # fmt: skip
def test_a_pattern_means_the_same_in_a_folder_and_in_a_store(tmp_path: Path, pattern: str) -> None:
    names = ["sale_1.csv", "2026/sale_1.csv", "2026/07/sale_2.csv", "2026/07/x.csv", "resale_1.csv",
             "2026/sale_10.csv", "sale_1.csv.bak", "old/2026/sale_3.csv"]  # fmt: skip
    folder, store = f"/{uuid4().hex}", MemoryFileSystem()
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        store.pipe(f"{folder}/{name}", b"")
    found = files_below(tmp_path, pattern, hidden=False)
    assert set(found) == {*tmp_path.rglob(pattern)}
    stored = RemoteFolder(f"memory:/{folder}").find(pattern)
    assert [o.name for o in stored] == [str(p.relative_to(tmp_path)) for p in found]
    assert found


def test_a_store_without_marks_of_content_is_read_in_each_run(make_shop: MakeShop) -> None:
    folder, store = f"/{uuid4().hex}", MemoryFileSystem()
    shop = replace(make_shop(CSV), landing=RemoteFolder(f"memory:/{folder}"))
    store.pipe(f"{folder}/sale_1.csv", csv("a,1").encode())
    shop.run()
    store.pipe(f"{folder}/sale_1.csv", csv("a,2").encode())  # the size and second are the same
    assert shop.run() is not None
    assert shop.rows() == [("a", "1"), ("a", "2")]


def test_commit_records_of_before_have_no_mark() -> None:
    record = CommitRecord("r", "t", files=(SourceFile("a.csv", "0", 1, 1, "b", 1),))
    raw = json.loads(record.to_json())
    del raw["files"][0]["mark"]
    assert CommitRecord.from_json(json.dumps(raw)) == record
