"""Merge plans: what each does to a table, and that the preview tells it beforehand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.errors import DuplicateKeyError
from storage.plans import NEVER, MergePlan, refresh_plan, removing, upsert_plan
from tests.conformance.tables import NAMES, Row, Table, in_order, record

UPSERT = upsert_plan(["id"], NAMES, ["seq"])
REFRESH = refresh_plan(["id"], NAMES, ["seq"], ["name"])


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_upsert_inserts_new_keys_and_takes_newer_rows(table: Table) -> None:
    table.append((1, "a", 5), (2, "b", 5), (3, "c", 5))
    table.merge(UPSERT, (1, "newer", 6), (2, "equal", 5), (3, "older", 4), (4, "new", 1))
    assert table.rows() == [(1, "newer", 6), (2, "b", 5), (3, "c", 5), (4, "new", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_replay_changes_no_row(table: Table) -> None:
    rows = ((1, "a", 5), (2, None, 6), (3, "c", 7))
    table.merge(UPSERT, *rows)
    before = table.head()
    table.merge(UPSERT, *rows)
    table.merge(UPSERT, *rows[::-1])
    assert table.rows() == in_order(rows)
    assert table.changes(before) == []


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_any_order_of_upserts_ends_the_same(table: Table) -> None:
    events = [(1, f"v{seq}", seq) for seq in range(4)]
    for event in random.Random(7).sample(events, len(events)):
        table.merge(UPSERT, event)
    assert table.rows() == [(1, "v3", 3)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_repeated_token_merges_nothing(table: Table) -> None:
    table.merge(UPSERT, (1, "a", 1), token="merged")
    again = table.merge(UPSERT, (1, "b", 2), token="merged")
    assert again.repeated
    assert table.rows() == [(1, "a", 1)]


@pytest.mark.parametrize("key", [1, None])
def test_a_key_that_comes_twice_is_refused(table: Table, key: int | None) -> None:
    table.append((1, "a", 1))
    head = table.head()
    with pytest.raises(DuplicateKeyError, match=rf"id={key} 2 times"):
        table.merge(UPSERT, (key, "b", 2), (key, "c", 3), (2, "d", 2))
    assert table.head() == head


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_nulls_are_compared_as_the_plan_says(table: Table) -> None:
    table.append((1, "a", None), (2, None, 1), (None, "no key", 1))
    table.merge(UPSERT, (1, "b", 9), (2, "b", None), (None, "no key either", 2))
    # No sequence comes before any other; a key that is null matches nothing.
    assert table.rows() == in_order(
        [(1, "b", 9), (2, None, 1), (None, "no key", 1), (None, "no key either", 2)]
    )


@pytest.mark.parametrize(
    "order",
    [["name"], pytest.param(["seq"], marks=pytest.mark.slow),
     pytest.param(["seq", "name"], marks=pytest.mark.slow), ["name", "seq"]],
)  # fmt: skip
@pytest.mark.never("parquet", reason="rows are only ever added")
def test_with_nulls_anywhere_in_the_order_every_arrival_ends_the_same(
    table: Table, order: list[str]
) -> None:
    plan = upsert_plan(["id"], NAMES, order)
    events = [(name, seq) for name in (None, "a", "b") for seq in (None, 1, 2)]
    draw = random.Random(5)
    arrivals = [draw.sample(events, len(events)) for _ in range(6)]
    for wave in zip(*arrivals, strict=True):  # one key an arrival
        table.merge(plan, *[(key, *event) for key, event in enumerate(wave)])

    def place(event: tuple[str | None, int | None]) -> list[tuple[bool, object]]:
        values = dict(zip(("name", "seq"), event, strict=True))
        return [(values[c] is not None, values[c] or "") for c in order]

    last = max(map(place, events))
    assert [place(row[1:]) for row in table.rows()] == [last] * len(arrivals)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_refresh_takes_an_equal_sequence_that_differs(table: Table) -> None:
    table.append((1, None, 5), (2, "b", 5), (3, "c", 5), (4, "d", 5))
    table.merge(REFRESH, (1, "filled", 5), (2, None, 5), (3, "older", 4), (4, "newer", 6))
    assert table.rows() == [(1, "filled", 5), (2, None, 5), (3, "c", 5), (4, "newer", 6)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_difference_makes_the_table_equal_to_a_result(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1), (3, None, 1))
    before = table.head()
    table.make_equal((2, "b", 1), (3, "c", 1), (4, None, None), compared=["name", "seq"])
    assert table.rows() == [(2, "b", 1), (3, "c", 1), (4, None, None)]
    assert table.changes(before) == [
        ("delete", 1, "a", 1),
        ("delete", 3, None, 1),
        ("insert", 3, "c", 1),
        ("insert", 4, None, None),
    ]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_null_key_is_a_key_of_a_difference(table: Table) -> None:
    table.append((None, "a", 1), (1, "b", 1))
    table.make_equal((None, "changed", 1), (2, "c", 1), compared=["name", "seq"])
    assert table.rows() == in_order([(None, "changed", 1), (2, "c", 1)])
    table.make_equal((2, "c", 1), compared=["name", "seq"])
    assert table.rows() == [(2, "c", 1)]
    table.make_equal((2, "c", 1), (None, "back", 2), compared=["name", "seq"])
    assert table.rows() == in_order([(2, "c", 1), (None, "back", 2)])


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_difference_with_nothing_compared_adds_and_removes_only(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1))
    table.make_equal((2, "other", 9), (3, "c", 1), compared=[])
    assert table.rows() == [(2, "b", 1), (3, "c", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_delete_events_remove_what_is_not_later(table: Table) -> None:
    table.append((1, "a", 5), (2, "b", 5), (3, "c", 5))
    events = table.frame(
        (1, "gone", 4), (2, "gone", 5), (3, "gone", 6), (4, "gone", 9), (5, "e", 1)
    )
    plan = removing(UPSERT, "_is_deleted", ["seq"])
    rows = events.withColumn("_is_deleted", F.col("name") == "gone")
    previewed = in_order(plan.preview(table.store.read(table.ref), rows).collect())
    table.store.merge(table.ref, rows, plan, record())
    assert table.rows() == previewed == [(1, "a", 5), (5, "e", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_equal_first_columns_are_ordered_by_the_next_and_nulls_come_first(
    store: TableStore,
) -> None:
    columns = (("id", "bigint"), ("at", "bigint"), ("name", "string"))
    table = Table.fresh(store, columns)
    table.create()
    plan = upsert_plan(["id"], ["id", "at", "name"], ["at", "name"])
    table.merge(plan, (1, 5, None), (2, 5, "b"), (3, 5, "c"), (4, 5, "d"))
    table.merge(plan, (1, 5, "a"), (2, 5, None), (3, 5, "d"), (4, 4, "z"))
    assert table.rows() == [(1, 5, "a"), (2, 5, "b"), (3, 5, "d"), (4, 5, "d")]
    store.drop(table.ref)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_matches_can_be_deleted(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1), (3, "c", 3))
    plan = MergePlan(("id",), NAMES, "s.seq > t.seq", delete_when="s.name = 'gone'")
    table.merge(plan, (1, "gone", 2), (2, "B", 2), (3, None, 9))
    assert table.rows() == [(2, "B", 2), (3, None, 9)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_keys_alone_can_delete(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1))
    plan = MergePlan(("id",), ("id",), NEVER, delete_when="true", insert_when=NEVER)
    table.store.merge(table.ref, table.frame((1, None, None), (9, None, None)), plan, record())
    assert table.rows() == [(2, "b", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_names_that_need_quoting(store: TableStore) -> None:
    names = ("order-id", "select", "número")
    table = Table.fresh(store, list(zip(names, ("bigint", "string", "bigint"), strict=True)))
    table.create()
    plan = refresh_plan(names[:1], names, names[2:], names[1:2])
    table.merge(plan, (1, "a", 1))
    table.merge(plan, (1, "b", 1), (2, "c", 1))
    assert table.rows() == [(1, "b", 1), (2, "c", 1)]
    store.drop(table.ref)


# -- random cases -----------------------------------------------------------------------------------

CASES = 60
SEED = 20181017
KEYS = ("case", "id")
COLUMNS = (("case", "bigint"), ("id", "bigint"), ("name", "string"), ("seq", "bigint"))
WIDE = tuple(name for name, _ in COLUMNS)

Decide = Callable[[Row, Row], bool]


def newer(old: Row, new: Row) -> bool:
    return new[3] is not None and (old[3] is None or new[3] > old[3])


def greater(old: Row, new: Row) -> bool:
    return old[3] is not None and newer(old, new)


def filled(old: Row, new: Row) -> bool:
    return newer(old, new) or (old[3] == new[3] and old[2] != new[2])


def never(old: Row, new: Row) -> bool:
    return False


# Each plan beside what it means, said again in Python: update, delete.
PLANS: dict[str, tuple[MergePlan, Decide, Decide]] = {
    "upsert": (upsert_plan(KEYS, WIDE, ["seq"]), newer, never),
    "refresh": (refresh_plan(KEYS, WIDE, ["seq"], ["name"]), filled, never),
    "insert only": (MergePlan(KEYS, WIDE, NEVER), never, never),
    "update only": (MergePlan(KEYS, WIDE, "s.seq > t.seq", insert_when=NEVER), greater, never),
    "delete": (
        MergePlan(KEYS, WIDE, "s.seq > t.seq", delete_when="s.name = 'a'"),
        greater,
        lambda old, new: new[2] == "a",
    ),
    "null keys": (replace(upsert_plan(KEYS, WIDE, ["seq"]), null_keys=True), newer, never),
    "null keys deleted": (
        MergePlan(KEYS, WIDE, "s.seq > t.seq", delete_when="s.name = 'a'", null_keys=True),
        greater,
        lambda old, new: new[2] == "a",
    ),
}


def drawn(draw: random.Random) -> list[Row]:
    """Rows of many small cases in one table: keys of different cases never meet."""
    ids = (1, 2, 3, None)
    return [
        (case, key, draw.choice(("a", "b", None)), draw.choice((1, 2, 3, None)))
        for case in range(CASES)
        for key in draw.sample(ids, draw.randint(0, len(ids)))
    ]


def modelled(plan: MergePlan, old: list[Row], new: list[Row], update: Decide, delete: Decide):  # type: ignore[no-untyped-def]
    source = {row[:2]: row for row in new if row[1] is not None or plan.null_keys}
    known = {row[:2] for row in old if row[1] is not None or plan.null_keys}
    result = []
    for row in old:
        match = source.get(row[:2])
        if match is None:
            result.append(row)
        elif not delete(row, match):
            result.append(match if update(row, match) else row)
    if plan.insert_when != NEVER:
        result += [row for row in new if row[:2] not in known]
    return in_order(result)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.never("parquet", reason="rows are only ever added")
def test_preview_merge_and_model_agree(store: TableStore, name: str) -> None:
    plan, update, delete = PLANS[name]
    draw = random.Random(f"{SEED} {name}")
    old, new = drawn(draw), drawn(draw)
    table = Table.fresh(store, COLUMNS)
    table.create()
    table.append(*old)
    source = table.frame(*new)
    previewed = in_order(plan.preview(store.read(table.ref), source).collect())
    marked = plan.marked(store.read(table.ref), source).where("_written")
    effective = in_order(marked.select(*WIDE).collect())
    before = table.head()
    table.merge(plan, *new)
    expected = modelled(plan, old, new, update, delete)
    assert expected != in_order(old)
    assert table.rows() == expected
    assert previewed == expected
    written = {row[1:] for row in table.changes(before) if row[0] == "insert"}
    assert written <= set(effective)
    assert set(expected) <= set(effective) | set(in_order(old))
    store.drop(table.ref)
