"""The two examples of the page `connect-change-events.md`, run as the page has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tasks.domain.spec import DomainSpec
from tests.services.kafka import Broker
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-change-events.md"
FILES_COMPLETE = "checks for staged:\n  - row_count = ${expected_rows}:\n      name: complete\n"
KEY_GIVEN = "checks for result:\n  - missing_count(order_id) = 0:\n      name: key is given\n"


class Example(Shop):
    """One bronze table of the page, with its silver table."""

    name = ""

    @property
    def domain(self) -> DomainSpec:
        domain, found = super().domain, _declared()
        domain.bronze = {"sale": found.bronze[self.name]}
        domain.silver = {"sale": found.silver[self.name]}
        domain.silver["sale"].source = "bronze.sale"
        return domain

    def current(self, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of silver that are not deleted, as text, in the order of their keys."""
        self.run()
        self.run("silver.sale")
        rows = self.rows("silver.sale", "_is_deleted", *columns)
        return sorted(tuple(map(str, row[1:])) for row in rows if not row[0])


def _declared() -> DomainSpec:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    given = {"name": "shop", "as_of": "select 1", "roots": {"sql": "sql", "checks": "checks"}}
    parts = [OmegaConf.create(block) for block in blocks]
    found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DomainSpec), given, *parts))
    assert isinstance(found, DomainSpec)
    return found


def _example(make_shop: MakeShop, name: str) -> Example:
    made = make_shop(_declared().bronze[name])
    shop = Example(made.root, made.lake, made.spark, made.source)
    shop.name = name
    for layer, text in (("bronze", FILES_COMPLETE), ("silver", KEY_GIVEN)):
        (shop.root / "checks" / layer / "sale.yml").write_text(text)
    return shop


def _event(op: str, lsn: int, **row: Any) -> str:
    images = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
    return json.dumps({"op": op, **images, "source": {"lsn": lsn, "ts_ms": 1772359200123}})


def test_events_from_files(make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KAFKA_SERVERS", "of the other example")
    shop = _example(make_shop, "orders")

    def order(op: str, lsn: int, number: int, status: str) -> str:
        return _event(
            op, lsn, order_id=number, status=status, total="1.10", due_on=20513,
            ordered_at=1772359200123456,
        )  # fmt: skip

    shop.write("orders_1.jsonl", order("c", 1, 1, "new"), order("u", 5, 1, "paid"))
    shop.write("orders_2.jsonl", order("c", 2, 2, "new"), order("d", 6, 2, "new"), "null")
    columns = ("order_id", "status", "total", "ordered_at", "due_on")
    paid = ("1", "paid", "1.10", "2026-03-01 10:00:00.123456", "2026-03-01")
    assert shop.current(*columns) == [paid]
    shop.write("orders_3.jsonl", order("u", 3, 1, "late"), order("u", 4, 2, "late"))
    assert shop.current(*columns) == [paid]  # of before the change and the delete


@pytest.mark.slow
def test_events_from_a_topic(
    make_shop: MakeShop, kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KAFKA_SERVERS", kafka.servers)
    topic = "shop.public.refunds"
    kafka.topic(topic)
    shop = _example(make_shop, "refunds")

    def refund(op: str, lsn: int, number: str, amount: str) -> str:
        return _event(op, lsn, refund_id=number, order_id=1, amount=amount)

    kafka.put(topic, refund("c", 1, "r1", "1.10"), refund("u", 4, "r1", "2.20"))
    kafka.put(topic, refund("c", 2, "r2", "3"), refund("d", 5, "r2", "3"), None)
    assert shop.current("refund_id", "amount") == [("r1", "2.20")]
    assert shop.rows("bronze.sale", "__offset", "_rescued") == [(str(n), None) for n in range(4)]
    kafka.put(topic, refund("u", 3, "r1", "9"), refund("u", 3, "r2", "9"))
    assert shop.current("refund_id", "amount") == [("r1", "2.20")]
