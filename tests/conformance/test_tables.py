"""Creating, finding and dropping tables, and reading them at a version."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from storage.base import TableStore
from storage.errors import TableExistsError, TableNotFoundError, VersionNotFoundError
from storage.formats import formats_for
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.schemas import schema
from storage.types import TableRef, Version
from tests.conformance.tables import COLUMNS, NAMES, Table, record
from tests.conftest import MakeLake

ABSENT = TableRef("shop", "silver", "absent")
UNKNOWN_VERSIONS = ("777", "nonsense", "-1", "")


def test_create_twice_keeps_the_rows(table: Table) -> None:
    table.append((1, "a", 1))
    head = table.head()
    table.create()
    assert table.rows() == [(1, "a", 1)]
    assert table.head() == head


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (COLUMNS[:2], "seq bigint is not wanted"),
        ((*COLUMNS, ("more", "date")), "more date is missing"),
        ((("id", "string"), *COLUMNS[1:]), "id is bigint, wanted string"),
        (COLUMNS[::-1], "the order of the columns differs"),
    ],
    ids=["fewer", "more", "type", "order"],
)
def test_create_refuses_a_table_with_other_columns(
    table: Table, columns: tuple[tuple[str, str], ...], told: str
) -> None:
    with pytest.raises(TableExistsError, match=told):
        table.store.create(table.ref, schema(columns))


def test_every_column_type_comes_back_as_it_was_created(store: TableStore) -> None:
    kinds = ("string", "boolean", "int", "bigint", "double", "date", "timestamp", "decimal(18,2)")
    table = Table.fresh(store, [(f"c{n}", kind) for n, kind in enumerate(kinds)])
    table.create()
    assert table.schema == store.read(table.ref).schema
    table.create()  # the same again is the same table
    store.drop(table.ref)


def test_a_new_table_has_a_first_version_without_rows_or_record(table: Table) -> None:
    assert table.rows() == []
    (first,) = table.store.history(table.ref)
    assert first.record is None
    assert table.store.head(table.ref) == first
    assert table.store.stats(table.ref).rows == 0


@pytest.mark.never("parquet", reason="there are no partitions")
def test_a_partitioned_table_holds_its_rows_in_partitions(store: TableStore) -> None:
    table = Table.fresh(store)
    table.create(partition_by=["name"])
    table.append((1, "a", 1), (2, "a", 1), (3, "b", 1), (4, None, 1))
    assert table.rows() == [(1, "a", 1), (2, "a", 1), (3, "b", 1), (4, None, 1)]
    assert store.stats(table.ref).files == 3
    store.delete(table.ref, "name IN ('a', 'b')", record())
    table.append((5, "b", 2))
    assert table.rows() == [(4, None, 1), (5, "b", 2)]
    assert store.read_arrow(table.ref).num_rows == 2
    store.drop(table.ref)


def test_tables_are_listed_by_database(table: Table) -> None:
    assert table.ref.name in table.store.tables("shop_silver")
    assert table.store.tables("shop_silver") == sorted(table.store.tables("shop_silver"))
    assert table.store.tables("shop_gold") == []


def test_a_dropped_table_is_gone_and_can_be_made_anew(table: Table) -> None:
    table.append((1, "a", 1))
    table.store.drop(table.ref)
    assert not table.store.exists(table.ref)
    assert table.ref.name not in table.store.tables("shop_silver")
    table.store.drop(table.ref)  # a second time does no harm
    table.create()
    assert table.rows() == []
    table.append((2, "b", 1))
    assert table.rows() == [(2, "b", 1)]
    assert len(table.store.history(table.ref)) == 2


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.read(ABSENT),
        lambda s: s.read_arrow(ABSENT),
        lambda s: s.head(ABSENT),
        lambda s: s.history(ABSENT),
        lambda s: s.stats(ABSENT),
        lambda s: s.obstacle(ABSENT),
        lambda s: s.since(ABSENT, None),
        lambda s: s.added(ABSENT, Version("0"), Version("1")),
        lambda s: s.append(ABSENT, s.session.range(1), record()),
        lambda s: s.merge(ABSENT, s.session.range(1), upsert_plan(["id"], ["id"], ["id"]), record()),
        lambda s: s.delete(ABSENT, "true", record()),
        lambda s: s.checkpoint(ABSENT, record()),
        lambda s: s.rollback(ABSENT, Version("0"), record()),
    ],
    ids=["read", "read_arrow", "head", "history", "stats", "obstacle", "since", "changes",
         "append", "merge", "delete", "checkpoint", "rollback"],
)  # fmt: skip
def test_an_absent_table_is_named(store: TableStore, use: Callable[[TableStore], object]) -> None:
    with pytest.raises(TableNotFoundError, match=r"silver\.absent does not exist") as caught:
        use(store)
    assert "lakehouse run" in caught.value.advice


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_every_version_stays_readable(table: Table) -> None:
    versions = [table.head()]
    versions += [table.append((number, "a", number)).version for number in range(3)]
    table.store.overwrite(table.ref, table.frame(), record())
    assert [len(table.rows(version)) for version in versions] == [0, 1, 2, 3]
    assert table.rows() == []


@pytest.mark.parametrize("version", UNKNOWN_VERSIONS)
def test_an_unknown_version_is_refused(table: Table, version: str) -> None:
    table.append((1, "a", 1))
    unknown, head = Version(version), table.head()
    with pytest.raises(VersionNotFoundError):
        table.store.read(table.ref, unknown)
    with pytest.raises(VersionNotFoundError):
        table.store.since(table.ref, unknown)
    with pytest.raises(VersionNotFoundError):
        table.store.rollback(table.ref, unknown, record())
    for after, until in ((unknown, head), (head, unknown), (unknown, unknown)):
        with pytest.raises(VersionNotFoundError):
            table.store.added(table.ref, after, until)
    assert table.head() == head


def test_two_tables_of_one_name_in_two_layers_are_two_tables(table: Table) -> None:
    other = Table(table.store, TableRef("shop", "gold", table.ref.name))
    other.create()
    table.append((1, "a", 1))
    assert other.rows() == []
    table.store.drop(other.ref)
    assert table.rows() == [(1, "a", 1)]


@pytest.mark.parametrize("name", formats_for("bronze"))
def test_first_tables_can_be_made_at_once(make_lake: MakeLake, tmp_path: Path, name: str) -> None:
    start = Barrier(4)

    def make(lake: Lake, number: int) -> None:
        start.wait(60)
        Table(lake.store(None), TableRef("shop", "gold", f"t{number}")).create()

    for turn in range(10):
        lake = make_lake(name, tmp_path / str(turn))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, [lake] * 4, range(4)))
        assert lake.store(None).tables("shop_gold") == ["t0", "t1", "t2", "t3"]


def test_names_are_those_of_the_columns(table: Table) -> None:
    assert tuple(table.store.read(table.ref).columns) == NAMES
