"""How a delivery's columns differ from those expected, in words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tasks.domain.spec import DriftMode
from tasks.ingest.drift import Drift, compared


def difference(
    last: Mapping[str, str],
    delivered: Mapping[str, str],
    *,
    declared: tuple[str, ...] = ("id", "n"),
    held: tuple[str, ...] = (),
    mode: DriftMode = DriftMode.evolve,
    plain: tuple[str, ...] = (),
) -> Drift:
    missing = [c for c in declared if c not in delivered]
    return compared(
        "b1",
        declared=declared,
        held=held,
        last=last,
        delivered=delivered,
        missing=missing,
        mode=mode,
        plain=plain,
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("int", "bigint", "n widens from int to bigint"),
        ("smallint", "int", "n widens from smallint to int"),
        ("decimal(8,2)", "decimal(18,2)", "n widens from decimal(8,2) to decimal(18,2)"),
        ("timestamp", "string", "n widens from timestamp to string"),
        ("bigint", "int", "n is int, was bigint, which is narrower"),
        ("decimal(18,2)", "decimal(8,2)",
         "n is decimal(8,2), was decimal(18,2), which is narrower"),
        ("string", "date", "n is date, was string, which is narrower"),
        ("date", "bigint", "n is bigint, was date, which is another type"),
    ],
)  # fmt: skip
def test_a_changed_type_is_wider_or_breaks(old: str, new: str, says: str) -> None:
    made = difference({"id": "string", "n": old}, {"id": "string", "n": new})
    assert made.difference == says
    assert bool(made.breaking) is ("widens" not in says)


@pytest.mark.parametrize("mode", list(DriftMode))
@pytest.mark.parametrize(
    ("old", "new"), [("bigint", "double"), ("int", "float"), ("double", "bigint")]
)
def test_plain_whole_numbers_may_be_floating_point_and_back(
    old: str, new: str, mode: DriftMode
) -> None:
    known, delivered = {"id": "string", "n": old}, {"id": "string", "n": new}
    made = difference(known, delivered, mode=mode, plain=("n",))
    assert (made.difference, made.after, made.is_news(known, mode)) == ("", known, False)
    assert difference(known, delivered, mode=mode).breaking, (
        "numbers whose text depends on the type"
    )


@pytest.mark.parametrize("mode", list(DriftMode))
def test_a_column_without_a_value_keeps_its_type(mode: DriftMode) -> None:
    known = {"id": "string", "n": "bigint"}
    empty = difference(known, {"id": "string", "n": "null"}, mode=mode)
    assert (empty.difference, empty.is_news(known, mode)) == ("", False)
    assert empty.after == known
    narrower = difference(empty.after, {"id": "string", "n": "int"}, mode=mode)
    assert narrower.breaking == ("n is int, was bigint, which is narrower",)


def test_any_type_may_follow_on_no_value_at_all() -> None:
    never = difference({}, {"id": "string", "n": "null"})
    assert (never.difference, never.after["n"]) == ("", "null")
    first = difference(never.after, {"id": "string", "n": "date"})
    assert (first.difference, first.after["n"]) == ("", "date")


def test_a_lacking_column_breaks_and_a_new_one_may_be_its_new_name() -> None:
    made = difference({}, {"id": "string", "number": "string"})
    assert made.breaking == ("lacks n (was it renamed to number?)",)
    assert difference({}, {"id": "string"}).breaking == ("lacks n",)
    assert difference({}, {"id": "string", "n": "string"}).difference == ""


@pytest.mark.parametrize("mode", list(DriftMode))
def test_only_evolved_columns_that_came_last_are_expected(mode: DriftMode) -> None:
    same = {"id": "string", "n": "string"}
    gone = difference({**same, "more": "string"}, same, held=("more",), mode=mode)
    assert gone.breaking == (("lacks more",) if mode is DriftMode.evolve else ())
    assert difference(same, same, held=("more",), mode=mode).breaking == ()
    assert difference(same, {**same, "more": "string"}, held=("more",), mode=mode).unknown == ()


def test_what_came_before_is_no_news() -> None:
    same = {"id": "string", "n": "string", "more": "string"}
    made = difference(same, same, mode=DriftMode.rescue)
    assert made.unknown == ("more",)
    assert not made.is_news(same, DriftMode.rescue)
    assert made.is_news({"id": "string"}, DriftMode.rescue)
    assert made.is_news(same, DriftMode.evolve)  # the table does not have it yet
