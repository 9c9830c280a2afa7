from __future__ import annotations

import pytest

from tasks.domain.spec import WatermarkType
from tasks.ingest.sources.rest.extraction import unnested
from tasks.ingest.sources.rest.since import below, compared, filled, parsed, written
from tasks.ingest.sources.watermark import Overlap

INSTANT, NUMBER = WatermarkType.instant, WatermarkType.number


@pytest.mark.parametrize(
    ("text", "overlap", "form", "asked"),
    [
        ("2026-03-01T10:00:00.883Z", "0", "", "2026-03-01T10:00:00.883Z"),
        ("2026-03-01T10:00:00+02:00", "10 minutes", "", "2026-03-01T07:50:00.000Z"),
        ("2026-03-01T10:00:00-05:00", "0", "%Y-%m-%d %H", "2026-03-01 15"),
        ("2026-03-01 10:00:00", "0", "s", "1772359200"),
        ("2026-03-01T10:00:00.1239Z", "0", "ms", "1772359200123"),
        ("1969-12-31T23:59:59.9999Z", "0", "ms", "-1"),
        ("0001-01-01T00:00:00Z", "1 hour", "", "0001-01-01T00:00:00.000Z"),
        ("0001-01-03", "1 day", "%Y-%m-%d", "0001-01-02"),
        ("2026-03-01", "1 day", "%Y-%m-%d", "2026-02-28"),
    ],
)
def test_an_instant_is_asked_for_in_utc_and_never_above_itself(
    text: str, overlap: str, form: str, asked: str
) -> None:
    value = parsed(text, INSTANT)
    assert value is not None
    assert written(below(value, Overlap.parse(overlap)), form) == asked


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999999", "-1e29", "", "x"])
def test_what_cannot_be_compared_is_no_watermark(text: str) -> None:
    assert parsed(text, NUMBER) is None


def test_no_instant_is_before_the_year_1() -> None:
    first = parsed("0001-01-01T00:00:00Z", INSTANT)
    assert first is not None
    assert below(first, Overlap.parse("10 minutes")) == first
    assert written(first) == "0001-01-01T00:00:00.000Z"
    assert compared(first) == "0001-01-01T00:00:00.000000Z"


def test_numbers_are_compared_as_numbers() -> None:
    nine, ten = parsed("9", NUMBER), parsed("10", NUMBER)
    assert nine is not None
    assert ten is not None
    assert nine < ten
    assert written(below(ten, Overlap.parse("2.5"))) == "7.5"
    with pytest.raises(ValueError, match="does not fit values of type number"):
        below(ten, Overlap.parse("1 hour"))


@pytest.mark.parametrize("text", [None, "", "soon", "2026-13-01"])
def test_what_is_no_instant_is_none(text: str | None) -> None:
    assert parsed(text, INSTANT) is None
    assert parsed("NaN", NUMBER) is None


def test_the_text_that_spark_reads_keeps_every_digit() -> None:
    value = parsed("2026-03-01T10:00:00.123456+01:00", INSTANT)
    assert value is not None
    assert compared(value) == "2026-03-01T09:00:00.123456Z"
    early = parsed("0001-01-01", INSTANT)
    assert early is not None
    assert compared(early) == "0001-01-01T00:00:00.000000Z"


def test_a_template_is_filled_wherever_it_has_a_text() -> None:
    value = parsed("2026-03-01T10:00:00Z", INSTANT)
    template = {"q": "{ rows(since: {since:s}) }", "in": [{"from": "{since:%Y}"}, 7], "n": None}
    assert filled(template, value) == {
        "q": "{ rows(since: 1772359200) }", "in": [{"from": "2026"}, 7], "n": None,
    }  # fmt: skip


def test_no_value_is_lost_when_an_object_is_unnested() -> None:
    record = {"id": "1", "properties": {"id": "other", "email": "a"}, "tags": "none"}
    assert unnested(record, ["properties", "tags", "gone"]) == {
        "id": "1", "email": "a", "properties": {"id": "other"}, "tags": "none",
    }  # fmt: skip
