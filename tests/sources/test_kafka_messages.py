"""What messages of a topic become: records, change events, and what is set aside."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tasks.domain.spec import ColumnSpec, DriftMode, Envelope
from tests.services.kafka import Broker
from tests.sources.conftest import MakeShop, MakeTopic
from tests.sources.topics import reached, sale, source


def test_what_is_no_record_is_kept_whole_and_goes_to_quarantine_with_its_place(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(1), "{half", b'{"id": "\xe9"}', "[1]", None, '{"other": 1}', sale(2))
    assert shop.run() is not None
    rescued = [json.loads(row[0] or "{}") for row in shop.rows("bronze.sale", "_rescued")]
    kept = [value.get("_malformed", {}) for value in rescued]
    assert kept[1]["line"] == "{half"
    assert kept[2] == {
        "says": "byte 0xe9 at 8 is not UTF-8",
        "where": f"message 2 of {topic}[0]",
        "base64": "eyJpZCI6ICLpIn0=",
    }
    assert rescued[5] == {"other": "1"}
    assert shop.rows()[1] == (None, None, "0", "1")

    assert shop.run("silver.sale") is not None
    assert sorted(shop.rows("silver.sale", "id")) == [("s1",), ("s2",)]
    reasons = [row[0] for row in shop.rows("silver.sale__quarantine", "_reason")]
    assert reasons[0].startswith(f"message 1 of {topic}[0] is not a record: it is not JSON: ")
    assert reasons[1].startswith(f"message 2 of {topic}[0] is not a record: byte 0xe9")
    assert reasons[2].startswith(
        f"message 3 of {topic}[0] is not a record: it is not a JSON object"
    )
    assert reasons[3].startswith(
        f"message 4 of {topic}[0] is not a record: it is not a JSON object"
    )
    assert reasons[4].endswith(f"(record 6 of kafka:{topic}@0:0-6)")


def test_a_column_that_appears_obeys_drift(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(1))
    shop.run()
    kafka.put(topic, sale(2, channel="web"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "_rescued")[1] == ("s2", '{"channel":"web"}')

    evolving = make_shop(source(kafka, topic, drift=DriftMode.evolve))
    kafka.put(topic, sale(3, channel="app"), sale(4))
    evolving.run()
    assert evolving.rows("bronze.sale", "id", "channel")[2:] == [("s3", "app"), ("s4", None)]


def test_what_a_message_has_beside_its_value(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    named = ["id", "__topic", "__timestamp", "__key", "__deleted"]
    shop = make_shop(source(kafka, topic, columns=named))
    kafka.put(topic, sale(1), key="s1", timestamp=1772359200123)
    kafka.put(topic, '{"id": "s2", "__key": "own"}', key=b"\xff\x01", timestamp=1772359200000)
    kafka.put(topic, None, key="s1", timestamp=1772359201000)
    shop.run()
    assert shop.rows("bronze.sale", *named, "_rescued") == [
        ("s1", topic, "2026-03-01 10:00:00.123", "s1", "false", '{"amount":"1"}'),
        ("s2", topic, "2026-03-01 10:00:00.000", "0xff01", "false", '{"__key":"own"}'),
        (None, topic, "2026-03-01 10:00:01.000", "s1", "true", None),
    ]


def test_a_timestamp_beyond_every_date_sets_its_record_aside(
    kafka: Broker, make_shop: MakeShop, format_name: str
) -> None:
    topic = f"far_timestamp_{format_name}"
    kafka.topic(topic, message_timestamp_after_max_ms=str(2**63 - 1))
    shop = make_shop(source(kafka, topic, columns=["id", "__timestamp"]), format_name)
    shop.typed = {"at": ColumnSpec("timestamp", source="__timestamp")}
    kafka.put(topic, sale(1), timestamp=1772359200123)
    kafka.put(topic, sale(2), timestamp=1772359200123456)  # microseconds
    kafka.put(topic, sale(3), timestamp=1772359201000)
    shop.run()
    assert shop.rows() == [
        ("s1", "2026-03-01 10:00:00.123"), ("s2", "1772359200123456"),
        ("s3", "2026-03-01 10:00:01.000"),
    ]  # fmt: skip

    shop.run("silver.sale")
    assert [row[0] for row in shop.rows("silver.sale", "id")] == ["s1", "s3"]
    ((reason,),) = shop.rows("silver.sale__quarantine", "_reason")
    assert reason == (
        f"at: '1772359200123456' is not a timestamp (record 2 of kafka:{topic}@0:0-2)"
    )


def test_a_byte_order_mark_before_a_message_is_passed_over(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic, columns=["id"]))
    kafka.put(topic, b"\xef\xbb\xbf" + sale(1).encode(), sale(2).encode("utf-16"))
    shop.run()
    (first, _), (_, second) = shop.rows("bronze.sale", "id", "_rescued")
    assert first == "s1"
    says = json.loads(second)["_malformed"]["says"]
    assert says == "it is UTF-16, as its byte order mark says, and not UTF-8"


def event(op: str, before: Any, after: Any, lsn: int, schema: Any = None) -> str:
    payload = {"op": op, "before": before, "after": after, "source": {"lsn": lsn}}
    return json.dumps({"schema": schema, "payload": payload} if schema else payload)


@pytest.mark.parametrize("schema", [None, {"type": "struct"}])
def test_change_events_of_debezium(kafka: Broker, make_shop: MakeShop, schema: Any) -> None:
    topic = f"change_events_{bool(schema)}"
    kafka.topic(topic)
    columns = ["id", "amount", "__op", "__deleted", "__lsn", "__offset"]
    shop = make_shop(
        source(kafka, topic, columns=columns, envelope=Envelope.debezium, drift=DriftMode.freeze)
    )
    old, new = {"id": "s1", "amount": "1.10"}, {"id": "s1", "amount": "2.00"}
    kafka.put(
        topic, event("r", None, old, 1, schema), event("u", old, new, 2, schema),
        event("d", new, None, 3, schema), None, event("t", None, None, 4, schema),
    )  # fmt: skip
    attempt = shop.run()
    assert attempt is not None
    assert shop.rows() == [
        ("s1", "1.10", "r", "false", "1", "0"),
        ("s1", "2.00", "u", "false", "2", "1"),
        ("s1", "2.00", "d", "true", "3", "2"),
        (None, None, None, None, None, "4"),
    ]
    assert attempt.rows == {"ingested": 5, "published": 4, "deduplicated": 1}
    *events, (truncate, _) = shop.rows("bronze.sale", "_rescued", "_quality_flag")
    assert events == [(None, "ok")] * 3
    assert "truncate" in truncate
    assert reached(shop) == {"0": 5}


@pytest.mark.slow
def test_a_column_that_change_events_get_obeys_drift(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    columns = ["id", "amount", "__op", "__lsn", "__partition"]
    events = source(kafka, topic, columns=columns, envelope=Envelope.debezium)
    shop = make_shop(events)

    def put(lsn: int, **after: str) -> None:
        fields = [{"field": name, "type": "string"} for name in after]
        schema = {"type": "struct", "fields": [{"field": "after", "fields": fields}]}
        kafka.put(topic, event("c", None, after, lsn, schema))

    put(1, id="s1", amount="1")
    shop.run()
    put(2, id="s2", amount="2", channel="web")
    shop.run()
    assert shop.rows("bronze.sale", "id", "_rescued")[1] == ("s2", '{"channel":"web"}')

    evolving = make_shop(dataclasses.replace(events, drift=DriftMode.evolve))
    put(3, id="s3", amount="3", channel="app")
    evolving.run()
    put(4, id="s4", channel="web")  # and one is gone
    evolving.run()
    rows = evolving.rows("bronze.sale", "id", "amount", "channel", "_rescued")
    assert rows[2:] == [("s3", "3", "app", None), ("s4", None, "web", None)]
