"""Changes of a table's columns: rows, positions and readers stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from storage.base import TableStore
from storage.errors import IncompatibleSchemaError, TableNotFoundError
from storage.evolution import FIRST, AddColumn, AllowNulls, WidenColumn, compare
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.schemas import arrow_schema, schema
from storage.types import SourceFile, TableRef
from tests.conformance.tables import COLUMNS, NAMES, NUMBERS, Table, record

NARROW = (("id", "int"), ("price", "decimal(6,2)"), ("seq", "bigint"))
WIDE = (("id", "bigint"), ("price", "decimal(18,2)"), ("day", "date"), ("seq", "bigint"))


@pytest.fixture
def narrow(store: TableStore) -> Iterator[Table]:
    made = Table.fresh(store, NARROW)
    made.create()
    made.append((1, "12.30", 1), (2, None, 1), token=f"{made.ref.name}/first")
    yield made
    store.drop(made.ref)


def widened(table: Table) -> Table:
    """The same table with the wider columns, made so."""
    wanted = compare(table.store.columns(table.ref), schema(WIDE))
    assert wanted.breaking == ()
    made = table.store.evolve(table.ref, wanted.changes)
    assert made == wanted.changes
    return Table(table.store, table.ref, schema(WIDE))


def test_added_columns_are_null_in_the_rows_that_are_there(table: Table) -> None:
    table.append((1, "a", 1))
    store, ref = table.store, table.ref
    store.evolve(ref, [AddColumn("day", "date", "name"), AddColumn("more", "string", "day")])
    store.evolve(ref, [AddColumn("last", "double", "seq"), AddColumn("zero", "int", FIRST)])
    names = ["zero", "id", "name", "day", "more", "seq", "last"]
    assert store.columns(ref).names == names
    assert store.read(ref).columns == names
    assert table.rows() == [(None, 1, "a", None, None, 1, None)]
    assert store.read_arrow(ref).to_pylist() == [
        dict(zip(names, (None, 1, "a", None, None, 1, None), strict=True))
    ]


def test_wider_types_keep_every_value(narrow: Table) -> None:
    table = widened(narrow)
    store, ref = table.store, table.ref
    expected = [(1, Decimal("12.30"), None, 1), (2, None, None, 1)]
    assert store.read(ref).schema == table.schema
    assert table.rows() == expected
    direct = store.read_arrow(ref)
    assert direct.schema.types == [f.type for f in arrow_schema(table.schema)]
    assert sorted(tuple(r.values()) for r in direct.to_pylist()) == expected
    assert store.stats(ref).rows == 2
    table.create()  # it is the table that the wider columns declare


def test_no_reader_is_lost(narrow: Table) -> None:
    table = widened(narrow)
    assert table.store.obstacle(table.ref) is None
    table.append((3, "9999999999999999.99", "2018-10-17", 2))
    direct = table.store.read_arrow(table.ref)
    assert max(v for v in direct["price"].to_pylist() if v) == Decimal("9999999999999999.99")


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_merge_afterwards_writes_values_that_did_not_fit(narrow: Table) -> None:
    table = widened(narrow)
    plan = upsert_plan(["id"], [name for name, _ in WIDE], ["seq"])
    table.merge(
        plan, (1, "123456789.01", "2018-10-17", 2), (2**40, "1", None, 1), (2, "5", None, 0)
    )
    rows = table.rows()
    assert [row[0] for row in rows] == sorted([1, 2, 2**40], key=repr)
    assert {row[0]: row[1] for row in rows} == {
        1: Decimal("123456789.01"), 2: None, 2**40: Decimal("1.00")
    }  # fmt: skip


def test_earlier_versions_and_their_columns_stay_readable(narrow: Table) -> None:
    before, columns = narrow.head(), narrow.store.columns(narrow.ref)
    table = widened(narrow)
    assert narrow.store.columns(narrow.ref, before) == columns
    assert narrow.rows(before) == [(1, Decimal("12.30"), 1), (2, None, 1)]
    last = table.append((3, "1", "2018-10-17", 2)).version
    assert len(table.rows(last)) == 3
    assert table.store.columns(table.ref, last) == table.store.columns(table.ref) != columns


@pytest.mark.parametrize("wanted", [WIDE, (*NARROW, ("day", "date"))], ids=["wider", "more"])
def test_the_position_survives(narrow: Table, wanted: tuple[tuple[str, str], ...]) -> None:
    store, ref = narrow.store, narrow.ref
    file = SourceFile("a.csv", "00", 1, 2, "b1", 1)
    written = record(inputs={"bronze.a": "5"}, contract="c", files=(file,), rows={"ingested": 1})
    before = store.append(ref, narrow.frame((3, "1", 1)), written).version
    store.evolve(ref, compare(store.columns(ref), schema(wanted)).changes)
    head = store.head(ref)
    assert head.record is not None
    assert (head.record.token, head.record.inputs, head.record.contract) == (
        written.token, {"bronze.a": "5"}, "c"
    )  # fmt: skip
    # Nothing is new for a reader, and no file counts twice.
    assert all(e.record and e.record.notes["mark"] for e in store.since(ref, before))
    assert [f for e in store.history(ref) if e.record for f in e.record.files] == [file]
    assert store.append(ref, narrow.frame(), written).repeated


def test_a_repeat_changes_nothing(narrow: Table) -> None:
    changes = compare(narrow.store.columns(narrow.ref), schema(WIDE)).changes
    table = widened(narrow)
    head, columns = table.head(), table.store.columns(table.ref)
    assert table.store.evolve(table.ref, changes) == ()
    assert (
        table.store.evolve(table.ref, [AllowNulls("id")]) == ()
    )  # columns take nulls from the start
    assert (table.head(), table.store.columns(table.ref)) == (head, columns)


@pytest.mark.never("parquet", reason="there are no partitions")
def test_partitions_stay(store: TableStore) -> None:
    table = Table.fresh(store, NARROW)
    table.create(partition_by=["seq"])
    table.append((1, "1", 1), (2, "2", 2))
    table = widened(table)
    table.append((3, "3", None, 2), (4, "4", None, 3))
    assert store.stats(table.ref).files == 4
    store.delete(table.ref, "seq = 2", record())
    table.append((5, "5", None, 2))
    assert sorted(row[0] for row in table.rows()) == [1, 4, 5]
    store.drop(table.ref)


def test_a_change_that_does_not_fit_leaves_the_table(narrow: Table) -> None:
    store, ref = narrow.store, narrow.ref
    head, columns = narrow.head(), store.columns(ref)
    with pytest.raises(IncompatibleSchemaError, match="seq is bigint, which int does not hold"):
        store.evolve(ref, [AddColumn("day", "date", "seq"), WidenColumn("seq", "int")])
    with pytest.raises(TableNotFoundError):
        store.evolve(TableRef("shop", "silver", "absent"), [AllowNulls("id")])
    assert (narrow.head(), store.columns(ref)) == (head, columns)


def test_a_column_that_refused_nulls_takes_them(store: TableStore) -> None:
    ref = TableRef("shop", "ops", f"m{next(NUMBERS)}")
    strict = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("n", pa.int64())])
    store.append_arrow(ref, pa.table({"id": [1], "n": [1]}, schema=strict), record())
    change = AllowNulls("id")
    if store.columns(ref).field("id").nullable:
        assert store.evolve(ref, [change]) == ()
    else:
        assert store.evolve(ref, [change]) == (change,)
    assert store.columns(ref).field("id").nullable
    nothing = pa.table({"id": pa.nulls(1, pa.int64()), "n": pa.nulls(1, pa.int64())})
    store.append_arrow(ref, nothing, record())
    assert store.read_arrow(ref).num_rows == 2


def test_columns_are_added_at_the_end_without_spark(lake: Lake, table: Table) -> None:
    alone = lake.store(None)
    table.append((1, "a", 1))
    alone.evolve(table.ref, [AddColumn("day", "date", "seq"), AddColumn("n", "int", "day")])
    assert table.rows() == [(1, "a", 1, None, None)]
    assert alone.columns(table.ref).names == [*NAMES, "day", "n"]


def test_rows_added_over_added_columns_stay_readable(table: Table) -> None:
    first = table.append((1, "a", 1)).version
    table.store.evolve(table.ref, [AddColumn("day", "date", "seq")])
    wider = Table(table.store, table.ref, schema([*COLUMNS, ("day", "date")]))
    wider.append((2, "b", 1, "2018-10-17"))
    (row,) = table.store.added(table.ref, first, wider.head()).collect()
    assert (row["id"], str(row["day"])) == (2, "2018-10-17")


def test_a_rollback_over_a_change_gives_the_rows_back(narrow: Table) -> None:
    before = narrow.head()
    table = widened(narrow)
    table.append((3, "123456789", "2018-10-17", 2))
    table.store.rollback(table.ref, before, record())
    rows = table.store.read(table.ref).select("id", "price", "seq").collect()
    assert sorted(tuple(row) for row in rows) == [(1, Decimal("12.30"), 1), (2, None, 1)]


@pytest.mark.notimpl(
    "delta", "iceberg", "parquet", reason="a column is dropped by rebuilding its table"
)
def test_a_column_can_be_dropped(table: Table) -> None:
    table.store.evolve(table.ref, compare(table.store.columns(table.ref), schema([])).changes)
    assert table.store.columns(table.ref).names == []
