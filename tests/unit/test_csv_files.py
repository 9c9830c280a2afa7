from __future__ import annotations

import codecs
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import InputError
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.files import csv_files
from tasks.ingest.sources.files.csv_files import stage_csv
from tasks.ingest.sources.reader import StagedFile
from tasks.landing.content import file_sha256

SOURCE = SourceSpec(pattern="things*.csv", columns=["id", "name", "note"])
HEADER = b"id,name,note\n"


def stage(
    folder: Path, content: bytes, source: SourceSpec = SOURCE
) -> tuple[StagedFile, list[dict[str, Any]]]:
    file = folder / "things.csv"
    file.write_bytes(content)
    staged = stage_csv(file, source, folder / "out.parquet", expected_sha256=file_sha256(file))
    rows = pq.read_table(staged.parquet).to_pylist()
    assert staged.rows == len(rows)
    return staged, sorted(rows, key=lambda row: row["_record_number"])


def notes(rows: list[dict[str, Any]]) -> list[object]:
    return [row["note"] for row in rows]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b'""', ""),
        (b'"a, b"', "a, b"),
        (b'"first\nsecond"', "first\nsecond"),
        (b'"first\r\nsecond"', "first\r\nsecond"),
        (b'"\nstarts and ends with one\n"', "\nstarts and ends with one\n"),
        (b'"she said ""yes"""', 'she said "yes"'),
        (b'""""', '"'),
        (b"5\" wide", '5" wide'),
        (b" spaces kept ", " spaces kept "),
        ("S\u00e3o Paulo \U0001f600".encode(), "S\u00e3o Paulo \U0001f600"),
        (b"a\x00b", "a\x00b"),
        (rb"back\slash\"", r"back\slash\""),
        (b'"line\x0btab\x0cfeed\xe2\x80\xa8end"', "line\x0btab\x0cfeed\u2028end"),
    ],
    ids=[
        "plain", "empty", "quoted empty", "delimiter in quotes", "newline in quotes",
        "CRLF in quotes", "newlines at the ends", "doubled quotes", "one quote alone",
        "quote inside an unquoted field", "spaces", "UTF-8", "NUL", "backslashes",
        "other line separators",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_field_is_kept_as_it_was_written(
    tmp_path: Path, field: bytes, value: str, end: bytes
) -> None:
    records = [b"id,name,note", b"1,Ann," + field, b"2,Bob,last", b""]
    staged, rows = stage(tmp_path, end.join(records))
    assert notes(rows) == [value, "last"]
    assert [row["_record_number"] for row in rows] == [1, 2]
    assert [row["_rescued"] for row in rows] == [None, None]
    assert (staged.rows, staged.malformed, staged.missing, staged.unknown) == (2, 0, (), ())


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEADER + b"1,Ann,n\n",
        HEADER + b"1,Ann,n",
        b" id , name,note\t\n1,Ann,n\n",
        b'"id","name","note"\n"1","Ann","n"\n',
        b"note,id,name\nn,1,Ann\n",
        b"\xef\xbb\xbf" + b'"id",name,note\r\n1,Ann,n\r\n',
    ],
    ids=[
        "BOM",
        "no last newline",
        "spaces in header",
        "all quoted",
        "other order",
        "BOM and quote",
    ],
)
def test_a_header_is_understood_however_it_is_written(tmp_path: Path, content: bytes) -> None:
    _, rows = stage(tmp_path, content)
    assert rows == [{"id": "1", "name": "Ann", "note": "n", "_record_number": 1, "_rescued": None}]


def test_columns_that_the_source_does_not_know_are_kept_as_json(tmp_path: Path) -> None:
    content = 'id,colour,name,note,"a ""size"""\n1,blå,Ann,n,"1,\n2"\n2,,Bob,m,\n'.encode()
    staged, rows = stage(tmp_path, content)
    assert staged.unknown == ("colour", 'a "size"')
    assert [json.loads(row["_rescued"]) for row in rows] == [
        {"colour": "blå", 'a "size"': "1,\n2"},
        {"colour": "", 'a "size"': ""},
    ]
    assert [row["name"] for row in rows] == ["Ann", "Bob"]


def test_a_missing_column_is_null_and_named(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, b"note,id\nn,1\n")
    assert staged.missing == ("name",)
    assert rows[0]["name"] is None
    assert (rows[0]["id"], rows[0]["note"]) == ("1", "n")


def test_short_and_long_records_are_kept_with_their_fields_and_numbers(tmp_path: Path) -> None:
    content = HEADER + b"1,Ann,n\n2,Bob\n3,Cy,n,more,yet\n4,Di,n\n,\n"
    staged, rows = stage(tmp_path, content)
    assert (staged.rows, staged.malformed) == (5, 3)
    assert [row["_record_number"] for row in rows] == [1, 2, 3, 4, 5]
    malformed = [row["_rescued"] and json.loads(row["_rescued"])["_malformed"] for row in rows]
    assert malformed == [
        None,
        {"expected": 3, "found": 2, "fields": ["2", "Bob"]},
        {"expected": 3, "found": 5, "fields": ["3", "Cy", "n", "more", "yet"]},
        None,
        {"expected": 3, "found": 2, "fields": ["", ""]},
    ]
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", ""]
    assert notes(rows) == ["n", None, "n", "n", None]


def test_blank_lines_are_no_records(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, HEADER + b"\n1,Ann,n\n\n\r\n2,Bob,m\n\n")
    assert staged.rows == 2
    assert [(row["_record_number"], row["id"]) for row in rows] == [(1, "1"), (2, "2")]


@pytest.mark.parametrize("records", [0, 1, 2, 3, 4, 5, 7])
def test_chunks_lose_and_repeat_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    monkeypatch.setattr(csv_files, "CHUNK_RECORDS", 2)
    lines = b"".join(b"%d,N,%s\n" % (n, b'"a\nb"' if n % 3 else b"x,y") for n in range(records))
    staged, rows = stage(tmp_path, HEADER + lines)
    assert [row["id"] for row in rows] == [str(n) for n in range(records)]
    assert [row["_record_number"] for row in rows] == list(range(1, records + 1))
    assert staged.malformed == len(range(0, records, 3))


def test_a_header_alone_is_a_delivery_without_rows(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, HEADER)
    assert (staged.rows, rows) == (0, [])
    assert pq.read_schema(staged.parquet).names == ["id", "name", "note", "_record_number",
                                                    "_rescued"]  # fmt: skip


def test_another_delimiter_and_encoding_are_declared(tmp_path: Path) -> None:
    source = SourceSpec("x", columns=["id", "note"], delimiter=";", encoding="latin-1")
    _, rows = stage(tmp_path, "id;note\n1;São, Paulo\n".encode("latin-1"), source)
    assert rows[0]["note"] == "São, Paulo"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"id,name,note,id\n1,A,n,1\n", "the header names 'id' more than once"),
        (b"id,name,note,,\n1,A,n,,\n", r"no name for the fields 4, 5 of 5.*without the ',' at the end"),
        (b"sep=,\r\nid,name,note\r\n1,A,n\r\n", "first line is Excel's 'sep=,', not the header"),
        (b'"sep=;"\r\nid;name;note\r\n', "first line is Excel's 'sep=;', not the header.*`delimiter`"),
        (b"id;name;note\n1;A;n\n", r"none of the columns id, name, note.*delimiter"),
        (b"1,A,n\n2,B,m\n", "none of the columns id, name, note"),
        (HEADER + b'1,Ann,"open\n2,Bob,n\n', r"record 1 \(ends in line 3\)"),
        (HEADER + b'1,A,n\n2,B,"say "yes" now"\n3,C,n\n', r"record 2 \(ends in line 3\)"),
        (HEADER + b'1,A,"a\nb"\n2,B,"x"y\n', r"record 2 \(ends in line 4\)"),
        (b'id,"name,note\n1,A,n\n', r"record 1 .*quote is not closed"),
        (HEADER + "1,São,n\n".encode("latin-1"), r"near record 1: byte 0xe3 is not utf-8"),
        (HEADER.decode().encode("utf-16"),
         "the file is UTF-16, as its byte order mark says, .*declares utf-8.*`encoding: utf-16`"),
        (codecs.BOM_UTF16_BE + HEADER.decode().encode("utf-16-be"), "the file is UTF-16"),
        (HEADER.decode().encode("utf-32"), "the file is UTF-32"),
        (HEADER.decode().encode("utf-16-le"), "none of the columns.*NUL.*`encoding: utf-16-le`"),
    ],
    ids=[
        "empty", "BOM alone", "column twice", "unnamed columns", "Excel's line", "Excel's line in quotes",
        "wrong delimiter", "no header",
        "unclosed quote", "undoubled quote", "text after a quote", "unclosed quote in header",
        "Latin-1", "UTF-16", "UTF-16 BE", "UTF-32", "UTF-16 without BOM",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_taken_is_refused_by_name(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(InputError, match=rf"(?s)^things\.csv: .*{complaint}") as refused:
        stage(tmp_path, content)
    assert refused.value.advice


@pytest.mark.parametrize(
    ("declared", "written"),
    [("utf-16", "utf-16"), ("UTF_16", "utf-16"), ("utf-16-le", "utf-16"), ("utf-16-le", "utf-16-le"),
     ("utf-32", "utf-32"), ("utf8", "utf-8-sig"), ("utf-8-sig", "utf-8"), ("cp1252", "cp1252")],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_header(
    tmp_path: Path, declared: str, written: str, compressed: bool
) -> None:
    source = SourceSpec("x", columns=["id", "note"], encoding=declared)
    content = "id,note\n1,São\n".encode(written)
    file = tmp_path / ("things.csv.gz" if compressed else "things.csv")
    file.write_bytes(gzip.compress(content) if compressed else content)
    staged = stage_csv(file, source, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
    assert pq.read_table(staged.parquet)["note"].to_pylist() == ["São"]
    assert (staged.missing, staged.unknown) == ((), ())


def test_blanks_around_a_declared_name_are_no_part_of_it(tmp_path: Path) -> None:
    source = SourceSpec(columns=["id", "name"], header={" Item No. ": "id", "Name\t": "name"})
    staged, [row] = stage(tmp_path, b"Item No. , Name\n1,a\n", source)
    assert (row["id"], row["name"], staged.missing, staged.unknown) == ("1", "a", (), ())


def test_names_that_differ_in_case_only_are_two_columns(tmp_path: Path) -> None:
    source = SourceSpec(columns=["id", "note"])
    staged, [row] = stage(tmp_path, b"ID,id,note,Note\n9,1,a,b\n", source)
    assert (row["id"], row["note"], row["_rescued"]) == ("1", "a", '{"ID": "9", "Note": "b"}')
    assert staged.unknown == ("ID", "Note")


def test_a_byte_order_mark_of_another_encoding_is_told(tmp_path: Path) -> None:
    source = SourceSpec("x", columns=["id", "note"], encoding="latin-1")
    with pytest.raises(InputError, match=r"things\.csv: the file is UTF-8, as its byte order mark"):
        stage(tmp_path, "id,note\n1,São\n".encode("utf-8-sig"), source)


def test_a_wrong_byte_far_into_the_file_is_found(tmp_path: Path) -> None:
    content = HEADER + b"1,Ann,n\n" * 20_000 + b"2,S\xe3o,n\n"
    with pytest.raises(InputError, match="byte 0xe3"):
        stage(tmp_path, content)


def test_a_file_that_changed_since_it_was_found_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "things.csv"
    file.write_bytes(HEADER + b"1,Ann,n\n")
    found = file_sha256(file)
    with file.open("ab") as more:
        more.write(b"2,Bob,m\n")
    with pytest.raises(InputError, match="changed while it was read"):
        stage_csv(file, SOURCE, tmp_path / "out.parquet", expected_sha256=found)


def test_a_file_that_grows_behind_the_last_read_record_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "things.csv"
    file.write_bytes(HEADER + b"1,Ann,n\n")
    chunks = csv_files._Records.chunks

    def slow(records: csv_files._Records) -> Iterator[list[tuple[int, list[str]]]]:
        yield from chunks(records)
        with file.open("ab") as more:
            more.write(b"2,Bob,m\n")

    monkeypatch.setattr(csv_files._Records, "chunks", slow)
    with pytest.raises(InputError, match="changed while it was read"):
        stage_csv(file, SOURCE, tmp_path / "o.parquet", expected_sha256=file_sha256(file))


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + HEADER + b'1,A,"x\r\ny"\r\n' + b"2,B,m\n" * 300_000
    staged, _ = stage(tmp_path, content)
    assert staged.sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_that_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    gone = tmp_path / "gone.csv"
    complaint = r"^gone\.csv: cannot be read: No such file"
    with pytest.raises(InputError, match=complaint):
        file_sha256(gone)
    with pytest.raises(InputError, match=complaint):
        stage_csv(gone, SOURCE, tmp_path / "out.parquet", expected_sha256="")


def test_a_header_may_name_a_column_otherwise(tmp_path: Path) -> None:
    source = SourceSpec(columns=["id", "name"], header={"Item No.": "id", "Gone": "x"})
    staged, [row] = stage(tmp_path, b"Item No.,name,more\n1,a,b\n", source)
    assert (row["id"], row["name"], staged.missing, staged.unknown) == ("1", "a", (), ("more",))
    staged, _ = stage(
        tmp_path, b"id,name\n1,a\n", source
    )  # the name that it is called here is fine too
    assert (staged.missing, staged.unknown) == ((), ())


def test_a_file_without_the_mark_that_its_encoding_needs_is_named(tmp_path: Path) -> None:
    file = tmp_path / "things_1.csv"
    file.write_bytes("id,name\n1,A\n".encode("utf-16-le"))
    source = SourceSpec(pattern="things*", columns=["id", "name"], encoding="utf-16")
    with pytest.raises(InputError, match=r"things_1\.csv: near record .*utf-16: .* BOM"):
        stage_csv(file, source, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
