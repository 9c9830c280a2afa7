"""Files of a bucket, from a real S3 server that checks who asks and says in its log what it was asked."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Event, current_thread
from typing import IO, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from storage import masking
from storage.errors import InputError, StorageFullError, TerminalError, TransientError
from storage.types import CommitRecord, SourceFile
from tasks.domain.spec import DriftMode, FileFormat, SourceSpec
from tasks.ingest.sources.files.reader import PARSERS, FileReader
from tasks.ingest.sources.files.seen import Seen
from tasks.ingest.sources.reader import Request
from tasks.landing.folders import RemoteFolder, StoredObject, landing_of
from tasks.landing.names import files_below
from tasks.records.decisions import Decision
from tests.services.s3 import S3
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

CSV = SourceSpec("sale*.csv", ["id", "amount"])
QUICK = {"config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 2}}


@dataclass
class Bucket:
    """A bucket of its own, and what was asked of it."""

    s3: S3
    name: str

    def put(self, name: str, content: bytes | str) -> None:
        self.s3.put(self.name, f"in/{name}", content)

    def landing(self, **options: Any) -> RemoteFolder:
        given = {
            "key": "{secret:SHOP_S3_KEY}", "secret": "{secret:SHOP_S3_SECRET}",
            "client_kwargs": {"endpoint_url": self.s3.endpoint}, **QUICK,
        }  # fmt: skip
        folder = landing_of(f"s3://{self.name}/in/", given | options)
        assert isinstance(folder, RemoteFolder)
        return folder

    def reads(self) -> list[str]:
        """The objects that were read so far, one entry a request."""
        start = f'"GET /{self.name}/in/'
        lines = self.s3.log.read_text().splitlines()
        return [line.split(start)[1].split(" ")[0] for line in lines if start in line]


MakeBucketShop = Callable[..., tuple[Shop, Bucket]]


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("SHOP_S3_KEY", s3.key)
    monkeypatch.setenv("SHOP_S3_SECRET", s3.secret)
    made = Bucket(s3, f"shop-{uuid4().hex[:8]}")
    s3.make_bucket(made.name)
    return made


@pytest.fixture
def shop(make_shop: MakeShop, bucket: Bucket, format_name: str) -> Shop:
    """The shop whose deliveries arrive in the bucket."""
    return replace(make_shop(CSV, format_name), landing=bucket.landing())


def csv(*records: str) -> str:
    return "".join(f"{line}\n" for line in ("id,amount", *records))


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


def test_an_object_that_changes_while_it_is_read_is_told_and_taken_later(
    make_shop: MakeShop, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    landing = bucket.landing()
    [found] = landing.find("sale*.csv")
    bucket.put("sale_1.csv", csv("a,2"))
    with pytest.raises(InputError, match=r"sale_1\.csv: the file changed while it was read"):
        landing.fetch(found, tmp_path / "sale_1.csv")
    assert list(tmp_path.iterdir()) == []
    shop = replace(make_shop(CSV), landing=bucket.landing())
    shop.run()
    assert shop.rows() == [("a", "2")]


def test_two_that_fetch_one_object_at_once_both_have_it_whole(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = csv(*(f"{n},{n}" for n in range(1000)))
    bucket.put("sale_1.csv", content)
    [found] = bucket.landing().find("sale*.csv")
    target, read, began, go_on = tmp_path / "sale_1.csv", RemoteFolder._read, Event(), Event()

    def with_a_pause(landing: RemoteFolder, one: StoredObject, source: IO[bytes]) -> bytes:
        chunk = read(landing, one, source)
        if current_thread().name.startswith("slow"):
            began.set()
            assert go_on.wait(60)
        return chunk

    monkeypatch.setattr("tasks.landing.folders.CHUNK_BYTES", 1000)
    monkeypatch.setattr(RemoteFolder, "_read", with_a_pause)
    with ThreadPoolExecutor(1, "slow") as pool:
        slow = pool.submit(bucket.landing().fetch, found, target)
        assert began.wait(60)
        quick = bucket.landing().fetch(found, target)
        assert target.read_text() == content
        go_on.set()
        assert slow.result(60) == quick == hashlib.sha256(content.encode()).hexdigest()
    assert target.read_text() == content
    assert [*tmp_path.iterdir()] == [target]


def test_an_object_that_was_another_for_a_while_is_not_taken_for_itself(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    landing, read = bucket.landing(), RemoteFolder._read
    [found] = landing.find("sale*.csv")
    bucket.put("sale_1.csv", csv("a,2"))

    def and_put_back(reading: RemoteFolder, one: StoredObject, source: IO[bytes]) -> bytes:
        chunk = read(reading, one, source)
        bucket.put("sale_1.csv", csv("a,1"))
        return chunk

    monkeypatch.setattr(RemoteFolder, "_read", and_put_back)
    with pytest.raises(InputError, match=r"sale_1\.csv: the file changed while it was read"):
        landing.fetch(found, tmp_path / "sale_1.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_another_process_takes_away_is_read_all_the_same(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("sale_1.csv", csv("a,1", "b,2"))
    request = Request("sale", bucket.landing(), tmp_path / "scratch", seen=tmp_path / "seen.json")
    one, other = FileReader(CSV), FileReader(CSV)
    [first], [second] = one.offers(request), other.offers(request)
    parse = PARSERS[FileFormat.csv]
    attempt: list[int | None] = []

    def while_another_looks(path: Path, *rest: Any, **more: Any) -> Any:
        if not attempt:
            attempt.append(None)
            attempt.append(other.stage(second, tmp_path / "second.parquet").rows)
            one.offers(request)
        return parse(path, *rest, **more)

    monkeypatch.setitem(PARSERS, FileFormat.csv, while_another_looks)
    assert one.stage(first, tmp_path / "first.parquet").rows == 2
    assert attempt == [None, 2]


def test_a_hash_that_was_remembered_of_a_mixed_up_copy_does_not_block_for_good(
    shop: Shop, bucket: Bucket
) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    [found] = bucket.landing().find("sale*.csv")
    seen = shop.root / "staging" / "_seen" / "shop_bronze" / "sale.json"
    seen.parent.mkdir(parents=True)
    seen.write_text(json.dumps({"sale_1.csv": [f"{found.bytes}:{found.etag}", "0" * 64]}))
    attempt = shop.stage()
    assert attempt is not None
    assert "sale_1.csv: the file changed" in attempt.problems[0].message
    shop.run()
    assert shop.rows() == [("a", "1")]


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


def test_an_object_that_is_removed_before_it_is_read_is_told_and_the_next_run_goes_on(
    shop: Shop, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sale_1.csv", "sale_2.csv"):
        bucket.put(name, csv(f"{name},1"))
    find = RemoteFolder.find

    def and_remove(
        landing: RemoteFolder, pattern: str, *, hidden: bool = False
    ) -> list[StoredObject]:
        found = find(landing, pattern, hidden=hidden)
        landing._system.rm(found[0].path)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(RemoteFolder, "find", and_remove)
        with pytest.raises(
            InputError, match=r"sale_1\.csv: the file was removed before it was read"
        ):
            shop.stage()
    shop.run()
    assert shop.rows() == [("sale_2.csv", "1")]


class Full:
    """A file on a disk without room."""

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_of_this_machine_is_no_silent_store(
    shop: Shop, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("sale_1.csv", csv("a,1"))
    opened = Path.open
    with monkeypatch.context() as patched:
        patched.setattr(
            Path, "open",
            lambda path, *mode, **more: Full() if path.suffix == ".partial"
            else opened(path, *mode, **more),
        )  # fmt: skip
        with pytest.raises(StorageFullError) as failed:
            shop.stage()
    assert failed.value.advice
    assert not [*shop.root.rglob("*.partial")]
    shop.run()
    assert shop.rows() == [("a", "1")]


def test_wrong_credentials_are_terminal_and_not_told(
    shop: Shop, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "wrong+secret/value"
    monkeypatch.setenv("SHOP_S3_SECRET", wrong)
    denied = replace(shop, landing=bucket.landing())
    with pytest.raises(TerminalError, match=r"access is refused: .*signature") as refused:
        denied.stage()
    assert wrong not in str(refused.value) + repr(denied.landing)
    assert wrong not in masking.hidden(f"it was {wrong}")
    monkeypatch.setenv("SHOP_S3_SECRET", bucket.s3.secret)
    bucket.put("sale_1.csv", csv("a,1"))
    assert shop.run() is not None


def test_no_answer_is_transient_and_a_missing_bucket_is_not(shop: Shop, bucket: Bucket) -> None:
    nobody = bucket.landing(client_kwargs={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(TransientError, match="no answer") as silent:
        replace(shop, landing=nobody).stage()
    assert "endpoint in paths.landing_options" in silent.value.advice
    missing = replace(bucket.landing(), url="s3://shop-nowhere/in")
    with pytest.raises(TerminalError, match=r"bucket does not exist") as refused:
        replace(shop, landing=missing).stage()
    assert not isinstance(refused.value, TransientError)
    bucket.put("sale_1.csv", csv("a,1"))
    shop.run()
    assert shop.rows() == [("a", "1")]


def test_a_store_that_is_not_known_says_what_to_do(make_shop: MakeShop) -> None:
    unknown = replace(make_shop(CSV), landing=landing_of("nowhere://shop/in", {}))
    with pytest.raises(TerminalError, match="Protocol not known: nowhere") as refused:
        unknown.stage()
    assert "its package of fsspec" in refused.value.advice


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
