"""Gold tables merged into a real PostgreSQL."""

from __future__ import annotations

from tests.destinations.shop import Shop

ONE = "1,north,10.25,2026-03-01,2026-03-01 10:00:00.123456,true"
TWO = "2,south,20.00,2026-03-01,2026-03-01 11:00:00,true"
THREE = "3,,,,9999-12-31 23:59:59,true"


def test_the_first_push_gives_the_destination_the_gold_table(shop: Shop) -> None:
    shop.deliver(ONE, TWO, THREE)

    done = shop.push()

    assert (done.staged, done.written, done.removed) == (3, 3, 0)
    assert shop.pushed() == shop.gold()
    assert not shop.pending()
