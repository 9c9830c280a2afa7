"""Gold tables merged through Snowflake's own driver and dialect, into a server that speaks its protocol."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.errors import DestinationError, DestinationUnavailableError
from tests.conftest import MakeLake
from tests.destinations.shop import PASSWORD, Shop
from tests.destinations.test_push import FOUR, ONE, THREE, TWO, TWO_LATER
from tests.services.snowflake import Snowflake


@pytest.fixture
def shop(
    spark: SparkSession,
    tmp_path: Path,
    make_lake: MakeLake,
    snowflake: Snowflake,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    """The shop, with an empty schema as its destination."""
    monkeypatch.setenv(PASSWORD, snowflake.password)
    for name in ("sales", "_lakehouse_positions"):
        snowflake.run(f"drop table if exists {name}")
    return Shop(make_lake("delta"), tmp_path, spark, snowflake)


def test_a_destination_follows_its_gold_table(shop: Shop) -> None:
    """First load, nothing new, an increment, a key that leaves, a rollback, a rebuild."""
    shop.publish(ONE, TWO, THREE)
    first = shop.push()
    assert (first.staged, first.written, first.removed, first.whole) == (3, 3, 0, True)
    assert shop.pushed() == shop.gold()
    assert not shop.push().changed

    loaded = shop.version()
    shop.publish(TWO_LATER, FOUR)
    increment = shop.push()
    assert (increment.staged, increment.written, increment.removed) == (2, 2, 0)
    assert shop.pushed() == shop.gold()

    shop.publish(gone=[2])
    assert shop.push().removed == 1
    assert shop.pushed() == shop.gold()

    shop.roll_back(loaded)
    shop.push()
    assert shop.ids() == [1, 2, 3]
    assert shop.pushed() == shop.gold()

    shop.replace(ONE, TWO_LATER)
    rebuilt = shop.push()
    assert (rebuilt.written, rebuilt.removed) == (1, 1)
    assert shop.pushed() == shop.gold()


def test_rows_that_no_push_has_written_are_left_alone(shop: Shop) -> None:
    shop.server.run("create table sales (id bigint primary key)")
    shop.server.run("insert into sales values (5)")
    shop.publish(ONE)
    with pytest.raises(DestinationError, match="rows that no push has written"):
        shop.push()


def test_a_server_that_is_down_is_worth_a_retry(shop: Shop) -> None:
    shop.publish(ONE)
    options = shop.spec.destinations["warehouse"].options
    options.update(port="1", login_timeout="1")
    with pytest.raises(DestinationUnavailableError) as refused:
        shop.push()
    assert shop.server.password not in str(refused.value)


@pytest.mark.slow
def test_a_null_in_a_key_needs_a_table_without_a_primary_key(shop: Shop) -> None:
    shop.spec.gold["sales"].key = ["id", "region"]
    shop.publish(ONE)
    shop.push()
    shop.publish(THREE)
    with pytest.raises(
        DestinationError, match="has the primary key id, region, and a row of"
    ) as caught:
        shop.push()
    assert "Drop the table there" in str(caught.value.advice)

    shop.server.run("drop table sales")
    assert shop.push().written == 2
    later = (*THREE[:2], Decimal("7.00"), *THREE[3:])
    shop.publish(later, TWO)
    again = shop.push()
    assert (again.written, again.removed) == (2, 0)
    assert shop.pushed() == shop.gold()
    shop.replace(ONE)
    assert shop.push().removed == 2
    assert shop.ids() == [1]
