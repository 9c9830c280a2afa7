"""An API of which one answer or one record is at fault: what is sound is taken, and what is not is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from storage.errors import InputError
from tasks.domain.spec import PageKind, PageSpec, RestSpec, SourceKind, SourceSpec, WatermarkSpec
from tasks.ingest.sources.json_faults import Faulty, judged, parse_leniently
from tests.services.web import served
from tests.sources.conftest import MakeShop

ROW = b'{"id":"a","amount":1.10,"at":"2026-03-01T10:00:00Z"}'
NEXT = b'{"id":"b","amount":2,"at":"2026-03-01T10:01:00Z"}'
Answer = tuple[int, bytes]


class Api:
    """Answers page by page, as it is told."""

    def __init__(self) -> None:
        self.answers: Sequence[Answer] = ()
        self.url = ""

    def says(self, *answers: bytes | Answer) -> None:
        self.answers = [a if isinstance(a, tuple) else (200, a) for a in answers]

    def __call__(self, environ: Any, start: Any) -> Any:
        page = int(Request(environ).args.get("page", "1"))
        status, body = (
            self.answers[page - 1] if page <= len(self.answers) else (200, b'{"rows":[]}')
        )
        return Response(body, status, mimetype="application/json")(environ, start)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    with served(made) as made.url:
        yield made


def source(api: Api, **changes: Any) -> SourceSpec:
    pages = PageSpec(PageKind.page, param="page", first=1)
    rest = RestSpec(api.url, "things", records="rows", pages=pages, attempts=1)
    values: dict[str, Any] = {
        "columns": ["id", "amount", "at"], "kind": SourceKind.rest, "rest": rest,
        "watermark": WatermarkSpec("at", "10 minutes", ["id"]),
    }  # fmt: skip
    return SourceSpec(**values | changes)


def page(*records: bytes) -> bytes:
    return b'{"rows":[' + b",".join(records) + b"]}"


FAULTS = {
    "NaN": (b'{"id":"x","amount":NaN}', "amount: it holds NaN, which is not JSON"),
    "infinity inside": (b'{"id":"x","amount":[1,{"b":-Infinity}]}',
                        "amount: it holds -Infinity, which is not JSON"),
    "a key twice": (b'{"id":"x","amount":1,"amount":2}', "it names 'amount' more than once"),
    "a key twice inside": (b'{"id":"x","amount":{"c":1,"c":2}}',
                           "amount: it names 'c' more than once"),
    "half a pair": (b'{"id":"x","amount":"\\ud800"}', "amount: it holds half of a surrogate pair"),
    "half a pair in a key": (b'{"id":"x","\\udfff":1}', "it holds half of a surrogate pair"),
    "not UTF-8": (b'{"id":"x","amount":"\xe9"}', "amount: it holds a byte that is not UTF-8"),
    "too deep": (b'{"id":"x","amount":' + b"[" * 450 + b"]" * 450 + b"}",
                 "amount: it is nested too deeply, more than 200 levels"),
    "null": (b"null", "it is not a JSON object"),
    "a text": (b'"x"', "it is not a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize(("record", "says"), FAULTS.values(), ids=FAULTS)
def test_a_record_at_fault_is_told_from_the_others(record: bytes, says: str) -> None:
    sound, faulty = (
        judged(one, "here")
        for one in parse_leniently(b"\xef\xbb\xbf[" + ROW + b"," + record + b"]")
    )
    assert sound == json.loads(ROW) | {"amount": "1.10"}
    assert isinstance(faulty, Faulty)
    assert (faulty.says, faulty.where) == (says, "here")
    assert faulty.line.isascii()


@pytest.mark.parametrize("value", ["é", "\U0001f600", "\\ud83d\\ude00", "\\u0000", "\\\\ud800"])
def test_a_record_with_any_sound_text_is_no_fault(value: str) -> None:
    (record,) = parse_leniently(f'[{{"{value}": ["{value}"]}}]'.encode())
    assert judged(record, "here") == record


def test_records_at_fault_are_set_aside_once_and_the_others_go_on(
    make_shop: MakeShop, api: Api, format_name: str
) -> None:
    shop = make_shop(source(api), format_name)
    bad = b'{"id":"x","amount":NaN,"at":"2026-03-01T10:02:00Z"}'
    api.says(page(ROW, NEXT), page(bad, b"null", b"7"))
    shop.run()
    assert shop.rows() == [
        ("a", "1.10", "2026-03-01T10:00:00Z"), ("b", "2", "2026-03-01T10:01:00Z"),
        ("x", "NaN", "2026-03-01T10:02:00Z"), (None, None, None), (None, None, None),
    ]  # fmt: skip
    assert shop.record().notes["watermark"]["value"] == "2026-03-01T10:02:00Z"
    kept = json.loads(shop.rows("bronze.sale", "_rescued")[2][0])["_malformed"]
    assert kept == {
        "says": "amount: it holds NaN, which is not JSON",
        "where": "record 1 of page 2",
        "line": bad.decode(),
    }

    shop.run("silver.sale")
    assert sorted(shop.rows("silver.sale", "id")) == [("a",), ("b",)]
    assert sorted(row[0] for row in shop.rows("silver.sale__quarantine", "_reason")) == [
        f"record {n} of page 2 is not a record: {says} (record {n + 2} of "
        "rest:sale@2026-03-01T10:02:00Z)"
        for n, says in [
            (1, kept["says"]),
            (2, "it is not a JSON object"),
            (3, "it is not a JSON object"),
        ]
    ]

    assert shop.run() is None  # all of it is in the overlap, and bronze holds it
    api.says(page(bad, ROW, b"8", b"null"))  # the record of a page has another place now
    shop.run()
    lines = [row[0] for row in shop.rows("bronze.sale", "_rescued")]
    assert [json.loads(line)["_malformed"]["line"] for line in lines[5:]] == ["8"]
    api.says(page(bad.replace(b"NaN", b"3")))
    shop.run()
    assert shop.rows()[6:] == [("x", "3", "2026-03-01T10:02:00Z")]


@pytest.mark.parametrize(
    "last", [(204, b""), b"{}", b'{"rows":null}', b'{"rows":[]}', b'{"total":2}']
)
@pytest.mark.parametrize("watermark", [WatermarkSpec("at", "10 minutes"), None])
def test_an_answer_without_records_is_the_last_page(
    make_shop: MakeShop, api: Api, last: Any, watermark: WatermarkSpec | None
) -> None:
    shop = make_shop(source(api, watermark=watermark))
    api.says(b'{"total":2,"rows":[' + ROW + b"]}", page(NEXT), last)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "b"]


def test_no_content_is_no_record(make_shop: MakeShop, api: Api) -> None:
    shop = make_shop(source(api, watermark=None))
    api.says((204, b""))
    assert shop.run() is None
    api.says(page(ROW))
    shop.run()
    api.says((204, b""))
    attempt = shop.run()
    assert attempt is not None
    assert attempt.rows["ingested"] == 0


@pytest.mark.parametrize("kind", [PageKind.cursor, PageKind.next_link])
def test_no_content_ends_pages_that_lead_on(make_shop: MakeShop, api: Api, kind: PageKind) -> None:
    lead = f'"{api.url}/things?page=2"' if kind is PageKind.next_link else "2"
    pages = PageSpec(kind, "next", param="" if kind is PageKind.next_link else "page")
    rest = RestSpec(api.url, "things", records="rows", pages=pages, attempts=1)
    shop = make_shop(source(api, rest=rest))
    api.says(b'{"next":' + lead.encode() + b',"rows":[' + ROW + b"]}", (204, b""))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a"]


REFUSED = {
    "an error in a sound answer": (b'{"error":"quota"}', "the answer has no `rows`; it has error"),
    "an empty text": (b"", "the answer is not JSON"),
    "a page of a proxy": (b"<html>busy</html>", "the answer is not JSON .* it begins with '<html>busy"),
    "a list without its envelope": (b"[]", "the answer has no `rows`"),
    "half an answer": (b'{"rows":[{"id":"b"', "the answer is not JSON"),
    "deeper than can be read": (page(b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}"),
                                r"the answer is not JSON \(it is nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("second", "complaint"), REFUSED.values(), ids=REFUSED)
def test_an_answer_that_cannot_be_read_is_named_with_its_page(
    make_shop: MakeShop, api: Api, second: bytes, complaint: str
) -> None:
    shop = make_shop(source(api))
    api.says(page(ROW), second)
    named = rf"^bronze\.sale: GET {api.url}/things: page 2: {complaint}"
    with pytest.raises(InputError, match=named) as refused:
        shop.stage()
    assert refused.value.advice
    api.says(page(ROW), page(NEXT))
    shop.run()
    assert [row[0] for row in shop.rows()] == ["a", "b"]


def test_a_first_page_without_any_object_is_refused(make_shop: MakeShop, api: Api) -> None:
    api.says(page(b"1", b"2"))
    with pytest.raises(InputError, match="page 1: record 1 is not a JSON object"):
        make_shop(source(api)).stage()


def test_records_without_any_of_the_columns_are_refused(make_shop: MakeShop, api: Api) -> None:
    api.says(page(b'{"key":1}'))
    attempt = make_shop(source(api, watermark=None)).stage()
    assert attempt is not None
    assert "no record has any of the columns id, amount, at" in attempt.problems[0].message
