"""JSON lines and Debezium events from the landing folder to silver."""

from __future__ import annotations

import json
from typing import Any

from tasks.domain.spec import ColumnSpec, DomainSpec, Envelope, FileFormat, SourceSpec
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

LINES = SourceSpec("sale*.jsonl", ["id", "amount"], format=FileFormat.jsonl)
EVENTS = SourceSpec(
    "sale*.jsonl", ["id", "amount", "__op", "__source_lsn"], format=FileFormat.jsonl,
    envelope=Envelope.debezium,
)  # fmt: skip


def test_json_lines_reach_silver_and_bad_ones_the_quarantine(make_shop: MakeShop) -> None:
    shop = make_shop(LINES)
    shop.write("sale_1.jsonl", '{"id":"a","amount":1.10}', '{"id":"b",', '{"id":"c","size":3}')
    attempt = shop.run()
    assert attempt is not None
    assert attempt.rows == {"ingested": 3, "published": 3}
    assert shop.rows("bronze.sale", "id", "amount", "_rescued", "_quality_flag")[0] == (
        "a", "1.10", None, "ok",
    )  # fmt: skip
    flags = shop.rows("bronze.sale", "_record_number", "_quality_flag")
    assert flags == [(1, "ok"), (2, "suspect"), (3, "suspect")]
    assert shop.run() is None
    silver = shop.run("silver.sale")
    assert silver is not None
    assert (silver.rows["ingested"], silver.rows["published"], silver.rows["quarantined"]) == (
        3, 2, 1,
    )  # fmt: skip
    assert sorted(shop.rows("silver.sale", "id", "amount")) == [("a", "1.10"), ("c", None)]
    ((rule, reason),) = shop.rows("silver.sale__quarantine", "_rule", "_reason")
    assert rule == "malformed_record"
    assert reason.startswith("the line is not a record: it is not JSON: Expecting property name")
    assert reason.endswith("(record 2 of sale_1.jsonl)")


def event(op: str, lsn: int, before: Any = None, after: Any = None) -> str:
    return json.dumps({"op": op, "before": before, "after": after, "source": {"lsn": lsn}})


def test_debezium_events_are_taken_and_tombstones_are_accounted_for(make_shop: MakeShop) -> None:
    shop = make_shop(EVENTS)
    shop.write(
        "sale_1.jsonl",
        event("c", 10, None, {"id": "a", "amount": "AMg="}),
        event("u", 11, {"id": "a", "amount": "AMg="}, {"id": "a", "amount": "AZA="}),
        event("d", 12, {"id": "a", "amount": "AZA="}),
        "null",
        event("r", 9, None, {"id": "b", "amount": None}),
    )
    attempt = shop.run()
    assert attempt is not None
    assert attempt.rows == {"ingested": 5, "published": 4, "deduplicated": 1}
    assert [f.rows for f in attempt.files] == [4]
    assert shop.rows("bronze.sale", *EVENTS.columns, "_record_number") == [
        ("a", "AMg=", "c", "10", 1),
        ("a", "AZA=", "u", "11", 2),
        ("a", "AZA=", "d", "12", 3),
        ("b", None, "r", "9", 5),
    ]
    silver = shop.run("silver.sale")
    assert silver is not None
    assert (silver.rows["ingested"], silver.rows["quarantined"]) == (4, 0)


class Typed(Shop):
    """A shop whose silver table turns Debezium's encodings into values, as the documentation says."""

    @property
    def domain(self) -> DomainSpec:
        domain = super().domain
        exprs = {
            "ms": ("timestamp", "timestamp_millis(t_ms)"),
            "us": ("timestamp", "timestamp_micros(t_us)"),
            "iso": (
                "timestamp",
                "try_to_timestamp(translate(t_zoned, 'TZ', ' '), 'yyyy-MM-dd HH:mm:ss[.SSSSSS]')",
            ),
            "day": ("date", "date_from_unix_date(d)"),
        }
        columns = {
            "id": ColumnSpec(),
            "t_ms": ColumnSpec("bigint"),
            "t_us": ColumnSpec("bigint"),
            "t_zoned": ColumnSpec(),
            "d": ColumnSpec("int"),
        } | {name: ColumnSpec(kind, expr=expr) for name, (kind, expr) in exprs.items()}
        domain.silver["sale"].columns = columns
        return domain


def test_debeziums_encodings_become_instants_in_silver(make_shop: MakeShop) -> None:
    made = make_shop(
        SourceSpec(
            "sale*.jsonl", ["id", "t_ms", "t_us", "t_zoned", "d"], format=FileFormat.jsonl,
            envelope=Envelope.debezium,
        )
    )  # fmt: skip
    shop = Typed(made.root, made.lake, made.spark, made.source)
    after = {"id": "a", "t_ms": 1772359200123, "t_us": 1772359200123456,
             "t_zoned": "2026-03-01T10:00:00.123456Z", "d": 20513}  # fmt: skip
    shop.write("sale_1.jsonl", event("c", 1, None, after))
    shop.run()
    shop.run("silver.sale")
    (row,) = shop.rows("silver.sale", "ms", "us", "iso", "day")
    assert [str(value) for value in row] == [
        "2026-03-01 10:00:00.123000", "2026-03-01 10:00:00.123456", "2026-03-01 10:00:00.123456",
        "2026-03-01",
    ]  # fmt: skip
