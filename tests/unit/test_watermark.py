from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.ingest.sources.watermark import Overlap, is_ahead


@pytest.mark.parametrize(
    ("overlap", "watermark", "type_name", "since"),
    [
        ("0", "anything", "string", "anything"),
        ("0", "2026-03-01 10:00:00.5", "timestamp", "2026-03-01 10:00:00.5"),
        ("10 minutes", "2026-03-01 00:05:00.123456", "timestamp_ntz", "2026-02-28 23:55:00"),
        ("1 hour", "2026-03-01T10:00:00Z", "string", "2026-03-01T09:00:00"),
        ("90 seconds", "2026-03-01 10:00:00+00", "string", "2026-03-01 09:58:30"),
        ("2 days", "2026-03-01", "date", "2026-02-27"),
        ("1 hour", "2026-03-01", "date", "2026-02-28"),
        ("1 hour", "0001-01-01 00:10:00", "timestamp", "0001-01-01 00:00:00"),
        ("2 days", "0001-01-01", "date", "0001-01-01"),
        ("500", "1200", "bigint", "700"),
        ("500", "20", "int", "-480"),
        ("0.5", "10.25", "decimal(18,2)", "9.75"),
        ("1", "1.0E3", "double", "999"),
        ("10 minutes", "0001-01-01 00:05:00", "timestamp", "0001-01-01 00:00:00"),
        ("1 day", "0001-01-01", "date", "0001-01-01"),
    ],
)  # fmt: skip
def test_rows_are_read_again_from_the_watermark_less_the_overlap(
    overlap: str, watermark: str, type_name: str, since: str
) -> None:
    assert Overlap.parse(overlap).below(watermark, type_name) == since


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("type_name", ["float", "double"])
def test_what_is_no_finite_number_counts_as_ahead(text: str, type_name: str) -> None:
    assert is_ahead(text, type_name, datetime.now(UTC))
    assert not is_ahead("1.0E300", type_name, datetime.now(UTC))
    assert not is_ahead(text, "string", datetime.now(UTC))


def test_the_bound_of_a_text_is_never_above_the_exact_one() -> None:
    exact, bound = "2026-03-01T09:59:00.900Z", "2026-03-01T09:59:00"
    assert Overlap.parse("1 minute").below("2026-03-01T10:00:00.900Z", "string") == bound
    assert bound <= exact


@pytest.mark.parametrize("text", ["", "ten minutes", "10 weeks", "-1", "NaN", "10 minutes ago"])
def test_an_overlap_is_a_number_or_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number nor like '10 minutes'"):
        Overlap.parse(text)


def test_an_overlap_of_a_long_number_is_exact() -> None:
    number = "12345678901234567890123456789999"
    assert Overlap.parse("500").below(number, "decimal(38,0)") == f"{int(number) - 500}"


@pytest.mark.parametrize(
    ("overlap", "watermark", "type_name"),
    [("10 minutes", "5", "bigint"), ("5", "2026-03-01", "date"), ("1 hour", "abc", "string")],
)
def test_an_overlap_that_does_not_fit_is_refused(
    overlap: str, watermark: str, type_name: str
) -> None:
    with pytest.raises(ValueError, match=r"does not fit|Invalid isoformat"):
        Overlap.parse(overlap).below(watermark, type_name)
