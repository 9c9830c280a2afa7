"""Values at the ends of their types."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flows.api.record_validation import RecordValidator, _python
from tasks.domain.spec import ColumnSpec, Rounding
from tasks.ingest.sources.json_text import parse
from tasks.rows.parsing import FORMS
from tests.api.conftest import MakeConfig, transaction


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("bigint", 2**63 - 1, True),
        ("bigint", 2**63, False),
        ("int", -(2**31), True),
        ("int", "2147483648", False),
        ("decimal(4,2)", "99.990", True),
        ("decimal(4,2)", "99.994", False),
        ("decimal(38,2)", "9" * 36 + ".99", True),
        ("decimal(18,2)", "1e-999999999", False),
        ("decimal(18,2)", "1e999999999", False),
        ("date", "2026-03-01", True),
        ("date", "1772359200", False),
        ("double", "1e3", True),
        ("double", "1_000.5", False),
        ("int", "5.0", True),
        ("int", "5.5", False),
        ("double", "1e400", False),
        ("double", "1e-400", False),
        ("bigint", " 5", False),
        ("decimal(4,2)", "5 ", False),
        ("date", "2026-03-01T00:00:00Z", False),
    ],
)
def test_a_value_is_held_or_refused(kind: str, value: Any, held: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(_python(ColumnSpec(kind)))
    if held:
        adapter.validate_python(value)
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_a_decimal_that_is_rounded_is_rounded_as_silver_does_it() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(
        _python(ColumnSpec("decimal(18,2)", rounds=Rounding.half_up))
    )
    found = [str(adapter.validate_python(text)) for text in ("0.004", "0.005", "-0.005", "1e3")]
    assert found == ["0.00", "0.01", "-0.01", "1000.00"]


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00"),
        ("2026-03-01 10:00:00+02:00", "2026-03-01T08:00:00"),
        ("2026-03-01T10:00:00.1234567-0130", "2026-03-01T11:30:00.123456"),
        ("2026-03-01T10:00:00.123456789123Z", "2026-03-01T10:00:00.123456"),
        ("2026-03-01 10:00:00+02", "2026-03-01T08:00:00"),
        ("2026-03-01T10:00", "2026-03-01T10:00:00"),
        ("2026-03-01", "2026-03-01T00:00:00"),
    ],
)
def test_an_instant_is_written_as_silver_reads_it(
    make_config: MakeConfig, sent: str, written: str
) -> None:
    validator = RecordValidator(make_config().domain, "transactions")
    value = parse(json.dumps(transaction(1, transaction_ts=sent)))
    ((record,), problems) = validator.judge([value], batch=False)
    assert problems == []
    assert json.loads(record.line) == transaction(1, transaction_ts=written)
    assert re.fullmatch(FORMS["timestamp"], written)
