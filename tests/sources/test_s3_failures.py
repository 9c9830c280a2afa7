"""Objects that change while they are read, full disks, and stores that refuse or do not answer."""

from __future__ import annotations

import errno
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, current_thread
from typing import IO, Any

import pytest

from storage import masking
from storage.errors import InputError, StorageFullError, TerminalError, TransientError
from tasks.domain.spec import FileFormat
from tasks.ingest.sources.files.reader import PARSERS, FileReader
from tasks.ingest.sources.reader import Request
from tasks.landing.folders import RemoteFolder, StoredObject, landing_of
from tests.sources.buckets import CSV, Bucket, csv
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop


@pytest.fixture
def shop(make_shop: MakeShop, bucket: Bucket, format_name: str) -> Shop:
    """The shop whose deliveries arrive in the bucket."""
    return replace(make_shop(CSV, format_name), landing=bucket.landing())


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
