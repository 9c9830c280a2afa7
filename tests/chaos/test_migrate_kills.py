"""SIGKILL while a table moves to another format, while it moves back, and then the same command again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.placement import FOLDER
from tests.chaos.test_kills import Condition, kill_when
from tests.e2e.lakehouse import Lakehouse
from tests.e2e.test_rollback import SELLERS, SOME, ids, seller

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TABLE = "silver.sellers"
OTHER = {"delta": "iceberg", "iceberg": "delta"}
COMMIT = {
    "delta": "delta/olist_silver/sellers/_delta_log/{:020}.json",
    "iceberg": "iceberg/olist_silver/sellers/metadata/{:05}-*.metadata.json",
}


def announced(_: str) -> Condition:
    """The copy is written down, and not there yet."""
    return lambda lake: (lake / FOLDER / "olist_silver" / "sellers.json").exists()


def copied(number: int) -> Callable[[str], Condition]:
    """So many commits of the copy are made."""
    return lambda to: lambda lake: any(lake.glob(COMMIT[to].format(number)))


def committed(lake: Lakehouse) -> list[str]:
    """The tokens of a table's commits, oldest first."""
    history = lake.reader.store.history(lake.reader.ref(TABLE))[::-1]
    return [entry.record.token for entry in history if entry.record]


def commits(lake: Path, to: str) -> int:
    """How many commits a format's table has now."""
    numbers = range(100)
    return sum(any(lake.glob(COMMIT[to].format(number))) for number in numbers)


@pytest.mark.parametrize("point", [announced, copied(1), copied(2)], ids=["announced", "1", "2"])
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_a_killed_move_is_completed_by_its_repetition(
    make_lakehouse: Callable[..., Lakehouse], name: str, point: Callable[[str], Condition]
) -> None:
    lake, to = make_lakehouse(name), OTHER[name]
    for number in (1, 2, 3):
        lake.deliver(f"olist_sellers_dataset_{number}.csv", SELLERS, seller(number))
        assert lake.run(SOME).status == 0
    tokens = committed(lake)

    forth = ("migrate", TABLE, "--to", to)
    kill_when(lake, point(to), whole=True, command=forth)
    assert ids(lake) == ["s1", "s2", "s3"]
    assert lake.command(*forth)[0] == 0
    assert lake.reader.store.format_of(lake.reader.ref(TABLE)) == to
    assert (ids(lake), committed(lake)) == (["s1", "s2", "s3"], tokens)

    lake.deliver("olist_sellers_dataset_4.csv", SELLERS, seller(4))
    assert lake.run(SOME).status == 0
    tokens = committed(lake)
    back, there = ("migrate", TABLE, "--undo"), commits(lake.root / "lake", name)
    kill_when(lake, copied(there)(name), whole=True, command=back)
    assert ids(lake) == ["s1", "s2", "s3", "s4"]
    assert lake.command(*back)[0] == 0
    assert lake.reader.store.format_of(lake.reader.ref(TABLE)) == name
    assert (ids(lake), committed(lake)) == (["s1", "s2", "s3", "s4"], tokens)

    assert lake.command("migrate", TABLE, "--finish")[0] == 0
    lake.deliver("olist_sellers_dataset_5.csv", SELLERS, seller(5))
    assert lake.run(SOME).status == 0
    assert ids(lake) == ["s1", "s2", "s3", "s4", "s5"]
