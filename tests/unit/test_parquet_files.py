from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import InputError
from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.files import parquet_files
from tasks.ingest.sources.files.parquet_files import stage_parquet
from tasks.ingest.sources.files.reader import FileReader
from tasks.ingest.sources.reader import Offer, StagedFile
from tasks.landing.content import file_sha256

SOURCE = SourceSpec("things*.parquet", ["id", "amount", "at"], format=FileFormat.parquet)
AT = dt.datetime(2024, 1, 2, 3, 4, 5)


def stage(folder: Path, table: pa.Table) -> tuple[StagedFile, list[dict[str, Any]]]:
    path = folder / "things.parquet"
    pq.write_table(table, path)
    staged = stage_parquet(path, SOURCE, folder / "out.parquet", expected_sha256=file_sha256(path))
    return staged, pq.read_table(staged.parquet).to_pylist()


def test_records_are_numbered_over_chunks_and_unknown_columns_rescued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "CHUNK_RECORDS", 2)
    table = pa.table(
        {"id": ["a", "b", "c"], "note": [1.5, None, 2.0], "amount": pa.array([1, 2, 3], pa.int32())}
    )
    staged, rows = stage(tmp_path, table)
    assert (staged.rows, staged.missing, staged.unknown) == (3, ("at",), ("note",))
    assert staged.types == {"id": "string", "note": "double", "amount": "int"}
    assert [(r["id"], r["amount"], r["at"], r["_record_number"]) for r in rows] == [
        ("a", "1", None, 1), ("b", "2", None, 2), ("c", "3", None, 3),
    ]  # fmt: skip
    assert [json.loads(r["_rescued"]) for r in rows] == [
        {"note": "1.5"},
        {"note": None},
        {"note": "2"},
    ]


def test_a_string_that_is_not_utf8_leaves_the_other_records_as_they_are(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff", b"c"])
    ids = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    notes = pa.Array.from_buffers(pa.string(), 3, pa.array([b"\xfe", b"b", b"c"]).buffers())
    staged, rows = stage(tmp_path, pa.table({"id": ids, "note": notes, "amount": [1, 2, 3]}))
    assert staged.rows == 3
    assert [(r["id"], r["amount"]) for r in rows] == [("a", "1"), (None, "2"), ("c", "3")]
    assert [json.loads(r["_rescued"]) for r in rows] == [
        {"note": None, "_unreadable": {"note": "/g=="}},
        {"note": "b", "_unreadable": {"id": "/w=="}},
        {"note": "c"},
    ]


@pytest.mark.parametrize(
    ("amounts", "plain"),
    [
        (pa.array([1, None, -7]), True),
        (pa.array([1.0, None, 1.5]), True),
        (pa.array([float("nan"), float("inf")]), True),
        (pa.array([1e15]), False),
        (pa.array([1, 10**15]), False),
        (pa.array(["1"]), False),
    ],
    ids=str,
)
def test_numbers_are_plain_while_their_text_does_not_tell_the_type(
    tmp_path: Path, amounts: pa.Array, plain: bool
) -> None:
    staged, rows = stage(tmp_path, pa.table({"id": ["a"] * len(amounts), "amount": amounts}))
    assert staged.plain == (("amount",) if plain else ())
    if amounts.type == pa.float64() and plain:
        assert "e" not in "".join(r["amount"] or "" for r in rows)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,amount\n1,2\n", "things.parquet: cannot be read as Parquet"),
        (b"", "things.parquet: cannot be read as Parquet"),
    ],
)
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "things.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        stage_parquet(path, SOURCE, tmp_path / "out.parquet", expected_sha256=file_sha256(path))


def test_other_columns_and_another_content_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the columns \['x'\] are none of id, amount, at"):
        stage(tmp_path, pa.table({"x": [1]}))
    doubled = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
    with pytest.raises(InputError, match="'id' more than once"):
        stage(tmp_path, doubled)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "things.parquet")
    with pytest.raises(InputError, match="the file changed while it was read"):
        stage_parquet(
            tmp_path / "things.parquet", SOURCE, tmp_path / "out.parquet", expected_sha256="other"
        )


def test_the_ending_of_a_name_tells_the_format(tmp_path: Path) -> None:
    source = SourceSpec("things*.*", ["id", "amount", "at"], format=FileFormat.by_ending)
    pq.write_table(pa.table({"id": ["a"], "amount": [1], "at": [AT]}), tmp_path / "1.parquet")
    (tmp_path / "2.CSV").write_text("id,amount,at\na,1,2024-01-02 03:04:05\n")
    (tmp_path / "3.jsonl").write_text('{"id": "a", "amount": 1, "at": "2024-01-02 03:04:05"}\n')
    found = []
    for name in ("1.parquet", "2.CSV", "3.jsonl"):
        offer = Offer(tmp_path / name, name, file_sha256(tmp_path / name))
        staged = FileReader(source).stage(offer, tmp_path / "out.parquet")
        assert staged.types == {}, "else a typed file after a text file would be a narrower type"
        found.append(pq.read_table(staged.parquet).to_pylist())
    assert found[0] == found[1] == found[2]
    offer = Offer(tmp_path / "4.txt", "4.txt", "")
    with pytest.raises(InputError, match=r"4.txt: its name ends in none of .csv, .jsonl, .parquet"):
        FileReader(source).stage(offer, tmp_path / "out.parquet")


def test_a_page_that_does_not_have_its_checksum_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "things.parquet"
    rows = pa.table({"id": [100_500 + n for n in range(50)]})
    pq.write_table(rows, file, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(file.read_bytes())
    content[content.index((100_520).to_bytes(8, "little"))] ^= 64
    file.write_bytes(content)
    source = SourceSpec(pattern="things*", columns=["id"], format=FileFormat.parquet)
    with pytest.raises(InputError, match=r"things\.parquet"):
        stage_parquet(file, source, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
