"""Gold tables merged into a real PostgreSQL."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import UniqueViolation

from storage.errors import DestinationError, DestinationUnavailableError
from tasks.destinations import positions, staging
from tasks.domain.spec import ColumnSpec
from tests.conftest import MakeLake
from tests.destinations.conftest import MakeShop
from tests.destinations.shop import TYPES, Row, Shop

DAY, NOON = date(2026, 3, 1), datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
ONE: Row = (1, "north\t\\N 'x'", Decimal("10.25"), DAY, NOON, True, 0.1, 1)
TWO: Row = (2, "south", Decimal("20.00"), DAY, NOON, False, float("inf"), -2)
TWO_LATER: Row = (2, "south", Decimal("21.00"), DAY, NOON, True, 0.5, -2)
THREE: Row = (3, None, None, None, datetime(9999, 12, 31, tzinfo=UTC), None, None, None)
FOUR: Row = (4, "", Decimal("-0.01"), date(1, 1, 1), datetime(1900, 1, 1, tzinfo=UTC), True, 0.0, 0)


def test_a_destination_follows_its_gold_table(shop: Shop) -> None:
    """First load, nothing new, an increment, a key that leaves, a rollback, a rebuild."""
    shop.publish(ONE, TWO, THREE)
    first = shop.push()
    assert (first.staged, first.written, first.removed, first.whole) == (3, 3, 0, True)
    assert shop.pushed() == shop.gold()
    assert not shop.pending()

    before = shop.written()
    shop.checkpoint()
    assert shop.pending()
    assert shop.push().staged == 0
    assert not shop.push().changed
    assert shop.written() == before

    loaded = shop.version()
    shop.publish(TWO_LATER, FOUR)
    increment = shop.push()
    assert (increment.staged, increment.written, increment.removed) == (2, 2, 0)
    assert shop.pushed() == shop.gold()
    assert {id for id, at in shop.written().items() if before.get(id) == at} == {1, 3}

    shop.publish(gone=[2])
    left = shop.push()
    assert (left.written, left.removed, left.whole) == (0, 1, False)
    assert shop.pushed() == shop.gold()

    shop.roll_back(loaded)
    back = shop.push()
    assert (back.written, back.removed, back.whole) == (1, 1, False)
    assert shop.pushed() == shop.gold()
    assert shop.ids() == [1, 2, 3]

    before = shop.written()
    shop.replace(ONE, TWO_LATER)
    rebuilt = shop.push()
    assert (rebuilt.staged, rebuilt.written, rebuilt.removed) == (3, 1, 1)
    assert shop.pushed() == shop.gold()
    assert shop.written()[1] == before[1]


@pytest.mark.parametrize(("personal", "shown"), [([], "2"), (["contact"], r"\*\*\*")])
def test_a_nul_is_named_with_its_column_and_key_and_the_next_push_goes_on(
    shop: Shop, personal: list[str], shown: str
) -> None:
    shop.spec.gold["sales"].columns["id"].personal = personal
    shop.publish(ONE)
    shop.push()
    shop.publish((2, "so\0uth", *TWO[2:]), THREE)
    where = rf"^destination warehouse: gold\.sales: .* region of the row with id = {shown}$"
    with pytest.raises(DestinationError, match="the character NUL") as refused:
        shop.push()
    assert re.match(where, refused.value.message)
    assert "translate(column, char(0), '')" in refused.value.advice
    assert shop.pushed() == [(*ONE[:4], NOON.replace(tzinfo=None), *ONE[5:])]

    shop.publish(TWO)
    shop.push()
    assert shop.pushed() == shop.gold()
    assert shop.ids() == [1, 2, 3]


def test_a_destination_that_others_changed_is_mended(make_shop: MakeShop) -> None:
    shop = make_shop()
    shop.publish(ONE, TWO)
    shop.push()

    shop.server.run(
        "update sales set amount = 99 where id = 1", "insert into sales (id) values (77)"
    )
    compared = shop.push(rebuild=True)
    assert (compared.whole, compared.written, compared.removed) == (True, 1, 1)
    assert shop.pushed() == shop.gold()

    shop.server.run("drop table sales")
    assert shop.push().written == 2
    assert shop.pushed() == shop.gold()

    shop.server.run("update _lakehouse_positions set token = 'of another lake'")
    assert shop.push().whole

    earlier = "update _lakehouse_positions set token = split_part(token, ' ', 1)"
    shop.server.run(earlier)
    shop.publish(THREE)
    assert not shop.push().whole, "earlier versions wrote the token alone"


def test_a_lake_whose_commits_have_the_same_tokens_is_another_lake(
    make_shop: MakeShop, make_lake: MakeLake, tmp_path: Path
) -> None:
    """On Delta both versions and tokens of two lakes are alike when the same files' names are loaded."""
    shop = make_shop()
    shop.publish(ONE, TWO)
    shop.push()
    other = Shop(
        make_lake("delta", tmp_path / "other"), tmp_path / "other", shop.spark, shop.server
    )
    other.run_id = "run of another lake"
    other.publish(ONE, TWO_LATER)
    pushed = other.push()
    assert (pushed.whole, pushed.written) == (True, 1)
    assert other.pushed() == other.gold()


def test_a_failure_after_the_rows_shows_none_of_them(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    shop.publish(ONE)
    merge = staging.merge

    def fail(*arguments: object) -> None:
        merge(*arguments)  # type: ignore[arg-type]
        raise RuntimeError("after the merge")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "merge", fail)
        with pytest.raises(RuntimeError, match="after the merge"):
            shop.push()
    with shop.server.connect() as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        assert found.fetchall() == []
    assert shop.pending()

    shop.push()
    assert shop.pushed() == shop.gold()


def test_a_lost_connection_shows_no_row_and_may_be_repeated(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    shop.publish(ONE)
    shop.push()
    shop.publish(TWO)
    take = positions.take

    def cut(*arguments: object) -> None:
        take(*arguments)  # type: ignore[arg-type]
        shop.server.run(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'lakehouse'"
        )

    with monkeypatch.context() as patch:
        patch.setattr(positions, "take", cut)
        with pytest.raises(DestinationUnavailableError):
            shop.push()
    assert shop.ids() == [1]

    shop.push()
    assert shop.pushed() == shop.gold()


def test_of_two_pushes_at_once_one_is_refused_and_may_be_repeated(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    shop.publish(ONE)
    shop.push()
    shop.publish(TWO)
    load = staging.load

    def load_while_another_pushes(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(staging, "load", load)
        shop.push()
        load(*arguments, **named)

    monkeypatch.setattr(staging, "load", load_while_another_pushes)
    with pytest.raises(DestinationUnavailableError, match="another push has moved it"):
        shop.push()

    assert shop.pushed() == shop.gold()
    assert not shop.push().changed


def test_a_new_column_is_added_and_filled(make_shop: MakeShop) -> None:
    shop = make_shop()
    shop.publish(ONE, TWO)
    shop.push()
    shop.spec.gold["sales"].columns["Tax"] = ColumnSpec(type="decimal(5,4)")
    shop.replace((*ONE, Decimal("0.2")), (*TWO, None))

    done = shop.push()

    assert done.written == 1  # the other row has no value there and did not change
    with shop.server.connect() as connection:
        found = connection.execute('select id, "Tax" from sales order by id').fetchall()
    assert found == [(1, Decimal("0.2")), (2, None)]


# -- keys with nulls --------------------------------------------------------------------------------

KEY = ["id", "region", "day", "moment", "amount", "paid", "pieces"]


def changed(row: Row, **values: object) -> Row:
    """The row with other values."""
    cells = dict(zip(TYPES, row, strict=True)) | values
    return tuple(cells[name] for name in TYPES)


def same_rows(shop: Shop) -> bool:
    return sorted(shop.pushed(), key=repr) == sorted(shop.gold(), key=repr)


def test_a_null_in_a_key_is_a_value(shop: Shop) -> None:
    """A table that was made with a primary key gets nulls in each column of its key."""
    shop.spec.gold["sales"].key = KEY
    shop.publish(ONE, TWO)
    shop.push()

    nulls = [changed(ONE, **{name: None}) for name in KEY]
    all_null = changed(ONE, **dict.fromkeys(KEY))
    shop.publish(*nulls, all_null)
    assert shop.push().written == len(nulls) + 1
    assert same_rows(shop)

    later = [changed(row, share=0.7) for row in (*nulls, all_null, TWO)]
    shop.publish(*later)
    updated = shop.push()
    assert (updated.written, updated.removed) == (len(later), 0)
    assert same_rows(shop)

    shop.publish(changed(all_null, id=1))
    assert shop.push().written == 1
    shop.publish(gone=[1])  # the row whose key has nothing but its id
    assert shop.push().removed == 1
    assert same_rows(shop)

    shop.replace(ONE, later[0], later[-1])
    rebuilt = shop.push()
    assert (rebuilt.written, rebuilt.removed) == (0, len(nulls))
    assert same_rows(shop)
    shop.replace(ONE)
    assert shop.push(rebuild=True).removed == 2
    assert same_rows(shop)


def test_a_key_with_a_null_is_there_once(make_shop: MakeShop) -> None:
    shop = make_shop()
    shop.spec.gold["sales"].key = ["region", "day"]
    shop.publish(THREE)
    assert shop.push().written == 1
    with pytest.raises(UniqueViolation):
        shop.server.run("insert into sales (id, region, day) values (9, null, null)")
    shop.server.run("insert into sales (id, region, day) values (9, null, '2026-01-01')")
    assert shop.push(rebuild=True).removed == 1
    assert same_rows(shop)
