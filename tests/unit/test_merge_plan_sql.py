from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from storage.plans import (
    NEVER,
    MergePlan,
    difference_plan,
    differs,
    refresh_plan,
    removing,
    upsert_plan,
)

TARGET = "delta.`/lake/orders`"


def _clauses(plan: MergePlan) -> list[str]:
    return plan.sql(TARGET, "source").splitlines()


def test_an_upsert_writes_later_rows_and_new_ones() -> None:
    plan = upsert_plan(["id", "line no"], ["id", "line no", "price", "_sequence"], ["_sequence"])
    assert _clauses(plan) == [
        "MERGE INTO delta.`/lake/orders` t USING `source` s "
        "ON t.`id` = s.`id` AND t.`line no` = s.`line no`",
        "WHEN MATCHED AND (struct(s.`_sequence`) > struct(t.`_sequence`)) THEN UPDATE SET "
        "t.`id` = s.`id`, t.`line no` = s.`line no`, t.`price` = s.`price`, "
        "t.`_sequence` = s.`_sequence`",
        "WHEN NOT MATCHED THEN INSERT (`id`, `line no`, `price`, `_sequence`) "
        "VALUES (s.`id`, s.`line no`, s.`price`, s.`_sequence`)",
    ]


def test_a_refresh_updates_an_equal_sequence_only_where_a_compared_column_differs() -> None:
    plan = refresh_plan(["id"], ["id", "state", "_sequence"], ["_sequence"], ["state"])
    assert plan.update_when == (
        "struct(s.`_sequence`) > struct(t.`_sequence`) OR "
        "(s.`_sequence` <=> t.`_sequence` AND (NOT (t.`state` <=> s.`state`)))"
    )


def test_a_difference_is_applied_as_it_is() -> None:
    plan = difference_plan(["id"], ["id", "sum"])
    merge, delete, update, insert = _clauses(plan)
    assert merge.endswith(" ON s.`id` <=> t.`id`"), "a null in a key is a value"
    assert delete == "WHEN MATCHED AND (s._gone) THEN DELETE"
    assert update.startswith("WHEN MATCHED AND (true) THEN UPDATE")
    assert insert.startswith("WHEN NOT MATCHED AND (NOT s._gone) THEN INSERT (`id`, `sum`)")
    assert plan.source_columns == ["id", "sum", "_gone"]


def test_several_columns_order_as_a_whole() -> None:
    plan = upsert_plan(["id"], ["id", "at", "n"], ["at", "n"])
    assert plan.update_when == "struct(s.`at`, s.`n`) > struct(t.`at`, t.`n`)"


def test_without_an_order_a_known_key_stays_as_it_is() -> None:
    assert upsert_plan(["id"], ["id", "n"], []).update_when == NEVER


def test_a_delete_event_removes_its_match_unless_that_is_later() -> None:
    plan = removing(upsert_plan(["id"], ["id", "at", "n"], ["at", "n"]), "_gone", ["at"])
    _, delete, update, insert = _clauses(plan)
    assert (
        delete
        == "WHEN MATCHED AND (s.`_gone` AND NOT (struct(t.`at`) > struct(s.`at`))) THEN DELETE"
    )
    assert "NOT s.`_gone` AND (struct(s.`at`, s.`n`) > struct(t.`at`, t.`n`))" in update
    assert insert.startswith("WHEN NOT MATCHED AND (NOT s.`_gone`) THEN INSERT")


def test_a_delete_comes_before_the_update_and_leaves_out_what_is_not_wanted() -> None:
    plan = MergePlan(("id",), ("id",), update_when="s.n > t.n", delete_when="s.gone")
    _, delete, update, insert = _clauses(plan)
    assert delete == "WHEN MATCHED AND (s.gone) THEN DELETE"
    assert update.startswith("WHEN MATCHED AND (s.n > t.n) THEN UPDATE")
    assert insert.startswith("WHEN NOT MATCHED THEN INSERT")
    removal = MergePlan(("id",), ("id",), update_when=NEVER, delete_when="true", insert_when=NEVER)
    assert _clauses(removal)[1:] == ["WHEN MATCHED AND (true) THEN DELETE"]


def test_names_are_quoted() -> None:
    plan = upsert_plan(["a`b"], ["a`b", "select"], ["select"])
    text = plan.sql(TARGET, "a`view")
    assert "t.`a``b` = s.`a``b`" in text
    assert "USING `a``view` s" in text
    assert differs(["a`b"]) == "NOT (t.`a``b` <=> s.`a``b`)"


@pytest.mark.parametrize(
    "plan",
    [
        upsert_plan(["id"], ["id", "n"], ["n"]),
        removing(upsert_plan(["id"], ["id", "n"], ["n"]), "_gone", ["n"]),
        refresh_plan(["id"], ["id", "n", "x"], ["n"], ["x"]),
        difference_plan(["id"], ["id", "n"]),
        MergePlan(("id",), ("id",), update_when=NEVER, delete_when="true", insert_when=NEVER),
    ],
    ids=["upsert", "upsert with deletes", "refresh", "difference", "removal"],
)
def test_every_plan_is_readable_as_spark_sql(plan: MergePlan) -> None:
    assert isinstance(parse_one(plan.sql(TARGET, "source"), dialect="spark"), exp.Merge)
