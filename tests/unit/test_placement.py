"""Where tables are, and positions in earlier copies of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import TerminalError
from storage.placement import FOLDER, Copy, Placement, Placements
from storage.types import CommitRecord, Snapshot, TableRef, Version

ORDERS = TableRef("shop", "silver", "orders")
DAILY = TableRef("shop", "gold", "daily")
DELTA, ICEBERG, AGAIN = Copy("delta"), Copy("iceberg", 1), Copy("delta", 2)


@pytest.fixture
def placements(tmp_path: Path) -> Placements:
    return Placements(tmp_path, {"gold": "iceberg"}, "delta")


def test_a_version_says_of_which_copy_it_is() -> None:
    assert [copy.shown(Version("3")) for copy in (DELTA, ICEBERG, AGAIN)] == ["3", "1:3", "2:3"]
    for copy in (DELTA, ICEBERG, AGAIN):
        shown = copy.shown(Version("3"))
        assert copy.native(shown) == "3"
        assert [other.owns(shown) for other in (DELTA, ICEBERG, AGAIN)].count(True) == 1


def test_a_table_that_never_moved_is_where_the_configuration_says(placements: Placements) -> None:
    assert placements.of(ORDERS) == Placement(DELTA)
    assert placements.of(DAILY) == Placement(Copy("iceberg"))
    assert placements.of(ORDERS).native(Version("7")) == "7"
    assert placements.moved("shop_silver") == {}


def test_positions_of_every_earlier_copy_lead_to_the_present_one(placements: Placements) -> None:
    moved = Placement(AGAIN, kept=ICEBERG, last=2, positions={"3": "2:5", "1:77": "2:5"})
    placements.write(ORDERS, moved)
    found = placements.of(ORDERS)
    assert found == moved
    for version in ("3", "1:77", "2:5"):
        assert found.native(Version(version)) == "5"
    assert found.native(Version("4")) == "4", "the copy itself says that it has no such version"
    assert placements.moved("shop_silver") == {"orders": moved}


def test_records_show_what_a_table_read_as_versions_of_the_present_copy(
    placements: Placements,
) -> None:
    record = CommitRecord("run", "t", inputs={"silver.orders": "3", "silver.others": "4"})
    entry = Snapshot(Version("9"), datetime(2026, 1, 1, tzinfo=UTC), "append", record)
    assert placements.seen(DAILY, [entry]) == [entry]
    placements.write(ORDERS, Placement(ICEBERG, kept=DELTA, last=1, positions={"3": "1:77"}))
    (seen,) = placements.seen(DAILY, [entry])
    assert seen.version == "9"
    assert seen.record is not None
    assert seen.record.inputs == {"silver.orders": "1:77", "silver.others": "4"}


def test_a_rollback_of_a_moved_table_is_shown_with_its_own_versions(placements: Placements) -> None:
    placements.write(ORDERS, Placement(ICEBERG, last=1))
    record = CommitRecord("run", "t").as_rollback(Version("5"), of=Version("6"))
    entry = Snapshot(Version("7"), datetime(2026, 1, 1, tzinfo=UTC), "append", record)
    (seen,) = placements.seen(ORDERS, [entry])
    assert (seen.version, seen.restored) == ("1:7", "1:5")
    assert entry.restored == "5"


def test_a_damaged_file_is_named(placements: Placements, tmp_path: Path) -> None:
    placements.write(ORDERS, Placement(ICEBERG, last=1))
    file = tmp_path / FOLDER / "shop_silver" / "orders.json"
    file.write_text(file.read_text()[:20])
    with pytest.raises(TerminalError, match=r"silver\.orders: .*orders\.json.* is damaged"):
        placements.of(ORDERS)
    assert [f.name for f in file.parent.iterdir()] == ["orders.json"]
