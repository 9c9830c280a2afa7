"""Names in Spark SQL."""

from __future__ import annotations

import pytest

from storage.sql import folded

ALIKE = {
    "capitals": ("ID", "id"),
    "the dotless i": ("adi", "ad\u0131"),
    "the micro sign": ("\u00b5g", "\u03bcg"),
    "a sigma at the end": ("\u039f\u03a3", "\u03bf\u03c2"),
    "a capital i with a dot": ("\u0130", "i"),
}


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE)
def test_what_spark_takes_for_one_name_is_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("strasse", "straße"), ("a", "á"), ("id", "id_")])
def test_other_names_are_others(one: str, other: str) -> None:
    assert folded(one) != folded(other)
