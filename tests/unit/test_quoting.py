"""Names in Spark SQL."""

from __future__ import annotations

import pytest

from storage.sql import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ID", "id"),
        ("adi", "adı"),
        ("µg", "μg"),
        ("STRASSE", "strasse"),
        ("ΟΔΟΣ", "οδος"),
        ("İ", "i"),
    ],  # noqa: RUF001
)
def test_what_spark_takes_for_one_name_is_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("strasse", "straße"), ("a", "á"), ("id", "id_")])
def test_other_names_are_others(one: str, other: str) -> None:
    assert folded(one) != folded(other)
