"""Small tables without Spark: written and read through Arrow, and the same for Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.base import TableStore
from storage.errors import TerminalError, VersionNotFoundError
from storage.registry import Lake
from storage.types import TableRef, Version
from tests.conformance.tables import NUMBERS, record

ROWS = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int64()),
        "small": pa.array([1, None, 3], pa.int32()),
        "text": ["a", "☃ 'q'", None],
        "flag": [True, None, False],
        "share": pa.array([0.1, None, -1e300], pa.float64()),
        "day": pa.array([date(2018, 10, 17), None, date(1970, 1, 1)], pa.date32()),
        "at": pa.array(
            [datetime(2018, 10, 17, 1, 2, 3, 456789, UTC), None, datetime(1970, 1, 1, tzinfo=UTC)],
            pa.timestamp("us", "UTC"),
        ),
        "money": pa.array([Decimal("12.30"), None, Decimal("-0.01")], pa.decimal128(18, 2)),
    }
)


@pytest.fixture
def ref() -> TableRef:
    return TableRef("shop", "ops", f"m{next(NUMBERS)}")


def plain(rows: pa.Table) -> list[dict[str, object]]:
    return sorted(rows.to_pylist(), key=lambda row: repr(next(iter(row.values()))))


def test_rows_come_back_and_spark_reads_the_same(store: TableStore, ref: TableRef) -> None:
    commit = store.append_arrow(ref, ROWS, record("arrow"))
    assert plain(store.read_arrow(ref)) == plain(ROWS)
    assert plain(store.read(ref).toArrow()) == plain(ROWS)
    head = store.head(ref)
    assert head.version == commit.version
    assert head.record == record("arrow")
    assert store.stats(ref).rows == 3


def test_what_spark_wrote_is_read_without_it(store: TableStore, ref: TableRef) -> None:
    store.append_arrow(ref, ROWS, record())
    store.append(ref, store.read(ref), record())
    assert plain(store.read_arrow(ref)) == plain(pa.concat_tables([ROWS, ROWS]))


def test_appends_without_spark_need_no_session(
    lake: Lake, store: TableStore, ref: TableRef
) -> None:
    alone = lake.store(None)
    for turn in range(3):
        assert not alone.append_arrow(
            ref, ROWS.slice(turn, 1), record(f"{ref.name}/{turn}")
        ).repeated
    again = alone.append_arrow(ref, ROWS, record(f"{ref.name}/1"))
    assert again.repeated
    assert again.version == alone.history(ref)[1].version
    assert plain(alone.read_arrow(ref)) == plain(ROWS)
    assert store.read(ref).count() == 3


def test_a_write_without_rows_commits_its_record(store: TableStore, ref: TableRef) -> None:
    store.append_arrow(ref, ROWS.slice(0, 0), record("none"))
    assert store.read_arrow(ref).num_rows == 0
    assert store.find(ref, "none") is not None


def test_columns_go_by_name_and_narrow_types_are_widened(store: TableStore, ref: TableRef) -> None:
    two = ROWS.select(["id", "text"])
    store.append_arrow(ref, two, record())
    narrow = pa.table({"text": ["b"], "id": pa.array([7], pa.int32())})
    store.append_arrow(ref, narrow, record())
    store.append_arrow(ref, pa.table({"id": [8], "text": pa.nulls(1)}), record())
    assert plain(store.read_arrow(ref)) == plain(
        pa.concat_tables([two, pa.table({"id": [7, 8], "text": ["b", None]})])
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pa.table({"id": [1]}),
        pa.table({"id": [1], "text": ["a"], "more": [1]}),
        pa.table({"id": ["one"], "text": ["a"]}),
    ],
    ids=["fewer", "more", "type"],
)
def test_rows_that_do_not_fit_are_refused(
    store: TableStore, ref: TableRef, wrong: pa.Table
) -> None:
    store.append_arrow(ref, ROWS.select(["id", "text"]), record())
    head = store.head(ref)
    with pytest.raises(TerminalError):
        store.append_arrow(ref, wrong, record())
    assert store.head(ref) == head


@pytest.mark.parametrize("kind", [pa.null(), pa.timestamp("ns", "UTC")], ids=str)
def test_a_type_that_no_table_holds_is_refused(
    store: TableStore, ref: TableRef, kind: pa.DataType
) -> None:
    with pytest.raises(TerminalError, match="column odd has the Arrow type"):
        store.append_arrow(ref, pa.table({"odd": pa.nulls(1, kind)}), record())
    assert not store.exists(ref)


def test_a_version_is_scanned_without_spark(store: TableStore, ref: TableRef) -> None:
    first = store.append_arrow(ref, ROWS.slice(0, 2), record())
    second = store.append_arrow(ref, ROWS.slice(2), record())
    names = ROWS.column_names

    def scanned(version: Version) -> list[dict[str, object]]:
        return plain(store.scan_arrow(ref, version, columns=names).read_all())

    assert scanned(first.version) == plain(ROWS.slice(0, 2))
    assert scanned(second.version) == plain(ROWS)
    dear = store.scan_arrow(
        ref, second.version, columns=["text"], where=pc.field("money") > Decimal("1.00")
    )
    assert dear.read_all().to_pylist() == [{"text": "a"}]
    for unknown in ("99", "latest"):
        with pytest.raises(VersionNotFoundError):
            store.scan_arrow(ref, Version(unknown), columns=names)
