"""One rule for text as values: the cases of a domain and the API take and refuse what Spark does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flows.api.record_validation import _python
from tasks.authoring.cases.values import value_of
from tasks.domain.spec import ColumnSpec, Rounding
from tests.oracle.texts import EXACT, ROUNDED, spoken


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(kind, text, value) for kind, held in EXACT.items() for text, value in held.items()],
)
def test_cases_and_the_api_take_the_same(kind: str, text: str, value: str | None) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(_python(ColumnSpec(kind)))
    if value is None:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
        with pytest.raises(ValueError, match="is not a"):
            value_of(text, kind)
        return
    assert spoken(adapter.validate_python(text)) == value
    made = value_of(text, kind)
    if isinstance(made, Decimal):
        assert made == Decimal(value)
    else:
        assert spoken(made) == value


@pytest.mark.parametrize(("text", "value"), ROUNDED.items())
def test_the_api_rounds_where_silver_does(text: str, value: str | None) -> None:
    spec = ColumnSpec("decimal(18,2)", rounds=Rounding.half_up)
    adapter: TypeAdapter[Any] = TypeAdapter(_python(spec))
    if value is None:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
    else:
        assert f"{adapter.validate_python(text):f}" == value
