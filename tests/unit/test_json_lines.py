from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import InputError
from tasks.domain.spec import Envelope, FileFormat, SourceSpec
from tasks.ingest.sources import json_lines
from tasks.ingest.sources.json_lines import stage_json_lines
from tasks.ingest.sources.json_text import parse
from tasks.ingest.sources.reader import StagedFile
from tasks.landing.content import file_sha256

SOURCE = SourceSpec("things*.jsonl", ["id", "name", "note"], format=FileFormat.jsonl)
EVENTS = SourceSpec(
    "things*.jsonl",
    ["id", "name", "__op", "__deleted", "__source_lsn", "__source_ts_ms", "__ts_ms", "__table"],
    format=FileFormat.jsonl,
    envelope=Envelope.debezium,
)
Rows = list[dict[str, Any]]


def stage(
    folder: Path, content: bytes | str, source: SourceSpec = SOURCE
) -> tuple[StagedFile, Rows]:
    file = folder / "things.jsonl"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    staged = stage_json_lines(
        file, source, folder / "out.parquet", expected_sha256=file_sha256(file)
    )
    rows = pq.read_table(staged.parquet).to_pylist()
    assert staged.rows == len(rows)
    return staged, rows


def malformed(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["_rescued"])["_malformed"]
    return found


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('"plain"', "plain"),
        ('""', ""),
        ('"1.10"', "1.10"),
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("-0", "-0"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        ("false", "false"),
        ("null", None),
        ('{"a": 1.10, "b": [true, null, "x y"]}', '{"a":1.10,"b":[true,null,"x y"]}'),
        ("[ ]", "[]"),
        ('"S\u00e3o \\u00e3 \\ud83d\\ude00"', "S\u00e3o \u00e3 \U0001f600"),
        ('"a\\u0000b\\nc"', "a\x00b\nc"),
        ('"\u2028"', "\u2028"),
    ],
)
def test_a_value_is_kept_as_it_was_written(tmp_path: Path, written: str, kept: str | None) -> None:
    staged, rows = stage(tmp_path, f'{{"id": 1, "note": {written}}}\r\n{{"note":"last"}}')
    assert [row["note"] for row in rows] == [kept, "last"]
    assert [row["_record_number"] for row in rows] == [1, 2]
    assert [row["_rescued"] for row in rows] == [None, None]
    assert (staged.malformed, staged.missing, staged.unknown) == (0, (), ())


def test_missing_keys_are_null_and_unknown_ones_are_kept_as_json(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, '{"id":"1","size":1.10,"tags":["a"]}\n{"name":"n"}\n')
    assert rows[0] == {
        "id": "1", "name": None, "note": None, "_record_number": 1,
        "_rescued": '{"size":"1.10","tags":"[\\"a\\"]"}',
    }  # fmt: skip
    assert rows[1]["_rescued"] is None
    assert staged.unknown == ("size", "tags")
    assert staged.missing == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": 2, "na', "it is not JSON: Unterminated string"),
        ("id,name,note", "it is not JSON: Expecting value"),
        ("[1, 2]", "it is not a JSON object"),
        ('[{"id": 2}]', "it is not a JSON object"),
        ('{"id": 2, "na,', "it is not JSON"),
        ("1,Ann,", "it is not JSON"),
        ('"text"', "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        ('{"id": NaN}', "it holds NaN, which is not JSON"),
        ('{"id": 1, "id": 2}', "it names 'id' more than once"),
        ('{"id": "\\ud800"}', "it holds half of a surrogate pair"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"id": ' + "[" * 450 + "]" * 450 + "}", "it is nested too deeply"),
        ('{"id": 1} {"id": 2}', "it is not JSON: Extra data"),
    ],
)
def test_a_line_that_is_no_object_is_kept_as_it_is(tmp_path: Path, line: str, says: str) -> None:
    staged, rows = stage(tmp_path, f'{{"id":1}}\n{line}\n\n{{"id":3}}\n')
    assert [row["id"] for row in rows] == ["1", None, "3"]
    assert [row["_record_number"] for row in rows] == [1, 2, 3]
    assert staged.malformed == 1
    assert malformed(rows[1])["says"].startswith(says)
    assert malformed(rows[1])["line"] == line


@pytest.mark.parametrize("records", [0, 1, 2, 3, 4, 5])
def test_chunks_lose_and_repeat_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    monkeypatch.setattr(json_lines, "CHUNK_RECORDS", 2)
    lines = "".join(f'{{"id":{n}}}\n' for n in range(records + 1))
    _, rows = stage(tmp_path, lines)
    assert [row["id"] for row in rows] == [str(n) for n in range(records + 1)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\n \r\n", "the file is empty"),
        (b"id,name\n1,n\n", "no line is a JSON object with any of the columns id, name, note"),
        (b'{"nr":1}\n', "no line is a JSON object with any of the columns id, name, note"),
        ('{"id":1}\n{"id":"São"}\n'.encode("latin-1"), "byte 0xe3 is not utf-8"),
        (
            '{"id":1}'.encode("utf-16"),
            "the file is UTF-16, as its byte order mark says, and the source declares utf-8",
        ),
        (b'{"id":1},\n{"id":2},\n{"id":3}\n', "record 1 is part of a JSON array"),
        (b'{"id":1}\n,{"id":2}\n', "record 2 is part of a JSON array"),
        (b'[{"id":1},\n{"id":2}]\n', "record 1 is part of a JSON array"),
        (b'[\n  {"id":1},\n  {"id":2}\n]\n', "record 1 is part of a JSON array"),
        (b'[{"id":1},{"id":2}]', "record 1 is part of a JSON array"),
        (b'{"data": [\n{"id":1},\n{"id":2}\n]}', "record 2 is part of a JSON array"),
        (b'[\n  {\n    "id": 1\n  }\n]\n', "record 1 is part of a JSON array"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_by_name(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(InputError, match=rf"^things\.jsonl: .*{complaint}") as refused:
        stage(tmp_path, content)
    assert refused.value.advice


def test_a_first_line_that_is_a_list_of_no_objects_is_one_bad_line(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, '[1, 2]\n{"id":1}\n')
    assert ([row["id"] for row in rows], staged.malformed) == ([None, "1"], 1)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LINE_LIMIT_CHARACTERS", 20)
    with pytest.raises(InputError, match="record 2 is longer than 20 characters"):
        stage(tmp_path, '{"id":1}\n{"id":"' + "x" * 30 + '"}\n')


def test_a_file_that_changed_since_it_was_found_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "things.jsonl"
    file.write_text('{"id":1}\n')
    found = file_sha256(file)
    file.write_text('{"id":1}\n{"id":2}\n')
    with pytest.raises(InputError, match="changed while it was read"):
        stage_json_lines(file, SOURCE, tmp_path / "out.parquet", expected_sha256=found)


def test_a_byte_order_mark_and_another_encoding_are_understood(tmp_path: Path) -> None:
    _, rows = stage(tmp_path, b'\xef\xbb\xbf{"id":1}\n\xef\xbb\xbf{"id":2}\n')  # two files in one
    assert [row["id"] for row in rows] == ["1", "2"]
    latin = SourceSpec("x", ["id"], encoding="latin-1", format=FileFormat.jsonl)
    _, rows = stage(tmp_path, '{"id":"São"}'.encode("latin-1"), latin)
    assert rows[0]["id"] == "São"


SOURCE_BLOCK = {
    "connector": "postgresql", "ts_ms": 1700000000000, "ts_us": 1700000000000123,
    "snapshot": "false", "table": "things", "lsn": 24023128,
}  # fmt: skip


def event(op: str, before: object = None, after: object = None, **more: object) -> str:
    return json.dumps(
        {"before": before, "after": after, "source": SOURCE_BLOCK, "op": op,
         "ts_ms": 1700000000999, **more}
    )  # fmt: skip


def with_schema(payload: str) -> str:
    return f'{{"schema": {{"type": "struct", "name": "things.Envelope"}}, "payload": {payload}}}'


@pytest.mark.parametrize("wrap", [str, with_schema], ids=["without schema", "with schema"])
@pytest.mark.parametrize("op", ["c", "r", "u", "d"])
def test_an_event_is_flattened_with_its_metadata(tmp_path: Path, op: str, wrap: Any) -> None:
    now, then = {"id": 1, "name": "now"}, {"id": 1, "name": "then"}
    before, after = {"c": (None, now), "r": (None, now), "u": (then, now), "d": (then, None)}[op]
    staged, rows = stage(tmp_path, wrap(event(op, before, after)), EVENTS)
    assert rows == [
        {
            "id": "1",
            "name": "then" if op == "d" else "now",
            "__op": op,
            "__deleted": "true" if op == "d" else "false",
            "__source_lsn": "24023128",
            "__source_ts_ms": "1700000000000",
            "__ts_ms": "1700000000999",
            "__table": "things",
            "_record_number": 1,
            "_rescued": None,
        }
    ]
    assert (staged.malformed, staged.skipped) == (0, 0)


def test_values_stay_as_debezium_encoded_them(tmp_path: Path) -> None:
    source = SourceSpec("x", ["id", "at", "price", "day", "geo"], format=FileFormat.jsonl,
                        envelope=Envelope.debezium)  # fmt: skip
    after = '{"id":1,"at":1700000000123456,"price":"AMg=","day":19675,"geo":{"x":1.50}}'
    _, (row,) = stage(tmp_path, f'{{"op":"c","after":{after}}}', source)
    assert [row[c] for c in source.columns] == [
        "1", "1700000000123456", "AMg=", "19675", '{"x":1.50}',
    ]  # fmt: skip


def test_columns_of_the_row_that_the_source_does_not_know_are_kept(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, event("c", None, {"id": 1, "size": 2}), EVENTS)
    assert rows[0]["_rescued"] == '{"size":"2"}'
    assert staged.unknown == ("size",)


def test_tombstones_are_skipped_and_counted(tmp_path: Path) -> None:
    delete = event("d", {"id": 1}, None)
    lines = [delete, "null", with_schema(delete), with_schema("null"), event("c", None, {"id": 1})]
    staged, rows = stage(tmp_path, "\n".join(lines), EVENTS)
    assert staged.skipped == 2
    assert [(row["_record_number"], row["__op"]) for row in rows] == [(1, "d"), (3, "d"), (5, "c")]
    assert staged.malformed == 0


def test_tombstones_alone_are_a_delivery_without_rows(tmp_path: Path) -> None:
    staged, rows = stage(tmp_path, "null\nnull\n", EVENTS)
    assert (staged.rows, staged.skipped, rows) == (0, 2, [])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (event("t"), "op 't' (truncate) names no row: load the table again"),
        (event("x", None, {"id": 1}), "op 'x' is none of c, r, u, d"),
        ('{"op": {"c": 1}, "after": {"id": 1}}', "op {'c': '1'} is none of c, r, u, d"),
        ('{"op": ["c"], "after": {"id": 1}}', "op ['c'] is none of c, r, u, d"),
        (event("u", {"id": 1}, None), "op 'u' comes without `after`"),
        (event("d"), "op 'd' comes without `before`: the database must log it (REPLICA IDENTITY)"),
        ('{"id": 1}', "it is not a Debezium event: op is missing"),
        ("[1]", "it is not a Debezium event"),
        (with_schema("3"), "it is not a Debezium event"),
        ("{", "it is not JSON: "),
    ],
)
def test_what_is_no_change_of_a_row_is_kept_with_the_reason(
    tmp_path: Path, line: str, says: str
) -> None:
    staged, rows = stage(tmp_path, event("c", None, {"id": 1}) + "\n" + line, EVENTS)
    assert staged.malformed == 1
    assert malformed(rows[1])["says"].startswith(says)
    assert malformed(rows[1])["line"] == line


def test_many_names_that_are_there_twice_are_found_at_once() -> None:
    line = "{" + ",".join(f'"n{n}":1' for n in [*range(20_000)] * 2) + "}"
    begun = time.process_time()
    with pytest.raises(ValueError, match="more than once"):
        parse(line)
    assert time.process_time() - begun < 2
