"""A topic of a real broker: offsets in bronze's own commits, whatever happens between two runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewPartitions

from storage.errors import ConfigurationError, InputError, TransientError
from storage.secrets import reference
from tasks.domain.spec import (
    ColumnSpec,
    DriftMode,
    Envelope,
    KafkaSpec,
    OnDataLoss,
    SourceKind,
    SourceSpec,
)
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.services.kafka import Broker
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

COLUMNS = ["id", "amount", "__partition", "__offset"]
FIELDS = {field.name for field in dataclasses.fields(KafkaSpec)}
MakeTopic = Callable[..., str]


@pytest.fixture
def make_topic(kafka: Broker, request: pytest.FixtureRequest) -> MakeTopic:
    """Makes a topic named after the test."""

    def make(partitions: int = 1, **settings: str) -> str:
        name: str = request.node.originalname
        kafka.topic(name[:200], partitions, **settings)
        return name

    return make


def source(kafka: Broker, topic: str, **more: Any) -> SourceSpec:
    keys = {name: more.pop(name) for name in tuple(more) if name in FIELDS}
    spec = KafkaSpec(servers=keys.pop("servers", kafka.servers), topic=topic, **keys)
    return SourceSpec(
        columns=more.pop("columns", COLUMNS), kind=SourceKind.kafka, kafka=spec, **more
    )


def sale(number: int, **more: Any) -> str:
    return json.dumps({"id": f"s{number}", "amount": number, **more})


def reached(shop: Shop) -> Any:
    return shop.record().notes["offsets"]["next"]


def test_a_run_takes_what_is_new_and_the_offsets_are_in_its_commit(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic(2)
    shop = make_shop(source(kafka, topic))
    assert shop.run() is None  # an empty topic

    kafka.put(topic, sale(1), sale(2), partition=0)
    kafka.put(topic, sale(3), partition=1)
    assert shop.run() is not None
    assert shop.rows() == [
        ("s1", "1", "0", "0"), ("s2", "2", "0", "1"), ("s3", "3", "1", "0"),
    ]  # fmt: skip
    assert reached(shop) == {"0": 2, "1": 1}
    (file,) = shop.record().files
    assert (file.name, file.rows) == (f"kafka:{topic}@0:0-1,1:0-0", 3)

    commits = shop.commits()
    assert shop.run() is None
    context = shop.context(spark=False)
    assert not has_news(context, context.domain.ref("bronze.sale"))
    assert shop.commits() == commits

    kafka.put(topic, sale(4), partition=1)
    assert has_news(context, context.domain.ref("bronze.sale"))
    assert shop.run() is not None
    assert shop.rows()[3:] == [("s4", "4", "1", "1")]
    assert reached(shop) == {"0": 2, "1": 2}


def test_a_run_that_ends_before_its_commit_loses_and_doubles_nothing(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic(2)
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(1), partition=0)
    assert shop.stage() is not None  # and never published
    kafka.put(topic, sale(2), partition=1)
    attempt = shop.stage()
    assert attempt is not None
    kafka.put(topic, sale(3), partition=0)  # after it was staged: for the next run
    report = shop.check(attempt)
    shop.publish(attempt, report)
    assert [row[0] for row in shop.rows()] == ["s1", "s2"]
    shop.run()
    assert [row[0] for row in shop.rows()] == ["s1", "s2", "s3"]
    assert reached(shop) == {"0": 2, "1": 1}


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
    assert reasons[0].startswith(f"message 1 of {topic}[0] is no record: it is no JSON: ")
    assert reasons[1].startswith(f"message 2 of {topic}[0] is no record: byte 0xe9")
    assert reasons[2].startswith(f"message 3 of {topic}[0] is no record: it is no JSON object")
    assert reasons[3].startswith(f"message 4 of {topic}[0] is no record: it is no JSON object")
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


def test_only_what_transactions_committed_is_read(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    producer = Producer(
        {"bootstrap.servers": kafka.servers, "transactional.id": topic, "log_level": 0}
    )
    producer.init_transactions(30)

    def write(number: int) -> None:
        producer.begin_transaction()
        producer.produce(topic, sale(number))
        producer.flush(30)

    write(1)
    assert shop.run() is None  # not decided yet
    producer.abort_transaction(30)
    assert shop.run() is None
    write(2)
    producer.commit_transaction(30)
    write(3)
    assert shop.run() is not None
    assert [row[0] for row in shop.rows()] == ["s2"]
    producer.commit_transaction(30)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["s2", "s3"]


def test_a_run_takes_no_more_than_it_may_and_new_partitions_join(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic, max_messages=3))
    kafka.put(topic, *map(sale, range(5)))
    shop.run()
    assert reached(shop) == {"0": 3}
    admin = kafka.admin
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    kafka.put(topic, sale(5), partition=1)
    shop.run()
    assert reached(shop) == {"0": 5, "1": 1}
    assert sorted(row[0] for row in shop.rows()) == [f"s{n}" for n in range(6)]


def test_messages_that_are_gone_stop_the_table_until_it_may_go_on(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(0))
    shop.run()
    kafka.put(topic, sale(1), sale(2), sale(3))
    admin = kafka.admin
    (removed,) = admin.delete_records([TopicPartition(topic, 0, 3)]).values()
    removed.result(30)

    with pytest.raises(InputError) as error:
        shop.run()
    assert f"topic {topic}: messages are gone" in str(error.value)
    assert "partition 0: the next offset to read is 1, there are 3 to 3" in str(error.value)
    assert "kafka.on_data_loss: skip" in str(error.value)

    going_on = make_shop(source(kafka, topic, on_data_loss=OnDataLoss.skip))
    going_on.run()
    assert [row[0] for row in going_on.rows()] == ["s0", "s3"]
    assert reached(shop) == {"0": 4}
    assert shop.record().notes["offsets"]["lost"]


def test_a_topic_that_is_made_anew_is_not_taken_for_the_old_one(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    with pytest.raises(InputError, match="there is no such topic"):
        make_shop(source(kafka, f"{topic}_not")).run()
    kafka.put(topic, sale(0))
    shop.run()
    admin = kafka.admin
    admin.delete_topics([topic])[topic].result(30)
    kafka.topic(topic)
    kafka.put(topic, sale(1), sale(2))  # its offset 1 is there, and is another message
    with pytest.raises(InputError, match="deleted and made again"):
        shop.run()
    going_on = make_shop(source(kafka, topic, on_data_loss=OnDataLoss.skip))
    going_on.run()
    assert [row[0] for row in going_on.rows()] == ["s0", "s1", "s2"]


@pytest.mark.slow
def test_a_table_that_returns_to_a_topic_goes_on_where_it_left_it(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    one, two = make_topic(), "another_topic"
    kafka.topic(two)
    shop = make_shop(source(kafka, one))
    for number, topic in enumerate((one, two, one, two)):
        kafka.put(topic, sale(number))
        shop = make_shop(source(kafka, topic))
        shop.run()
    assert [row[0] for row in shop.rows()] == ["s0", "s1", "s2", "s3"]
    assert shop.run() is None


@pytest.mark.slow
def test_a_topic_that_was_read_without_a_word_of_how_far_is_not_read_again(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_topic(), "a_later_topic"
    kafka.topic(two)
    kafka.put(one, sale(0))
    make_shop(source(kafka, one)).run()
    kafka.put(two, sale(1))
    monkeypatch.setattr(
        "tasks.ingest.sources.kafka.reader._others", lambda *_: {}
    )  # as versions before
    make_shop(source(kafka, two)).run()
    kafka.put(one, sale(2))
    with pytest.raises(InputError, match=f"its newest commit names no offsets of topic {one}"):
        make_shop(source(kafka, one)).run()


@pytest.mark.slow
def test_a_rejected_batch_is_in_bronze_and_silver_passes_over_it(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(1), '{"id": "bad"}')
    attempt = shop.stage()
    assert attempt is not None
    assert shop.check(attempt).verdict.blocked
    shop.resolve(attempt.files[0].batch_id, Decision.rejected)
    kafka.put(topic, sale(2))
    shop.run()  # what the person saw
    shop.run()
    assert [row[0] for row in shop.rows()] == ["s1", "bad", "s2"]
    shop.run("silver.sale")
    assert shop.rows("silver.sale", "id") == [("s2",)]


SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}


def test_a_password_is_asked_for_and_never_told(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = make_topic()
    kafka.put(topic, sale(1))
    options = {
        **SASL, "sasl.username": kafka.user, "sasl.password": reference("TEST_KAFKA_PASSWORD")
    }  # fmt: skip
    shop = make_shop(source(kafka, topic, servers=kafka.sasl_servers, options=options))
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "not-the-password")
    with pytest.raises(ConfigurationError, match="Authentication failed") as error:
        shop.run()
    assert "not-the-password" not in str(error.value)
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", kafka.password)
    assert shop.run() is not None


def test_brokers_that_do_not_answer_are_worth_another_try(
    kafka: Broker, make_topic: MakeTopic, make_shop: MakeShop
) -> None:
    topic = make_topic()
    shop = make_shop(source(kafka, topic))
    kafka.put(topic, sale(1))
    shop.run()
    kafka.put(topic, sale(2))
    away = make_shop(source(kafka, topic, servers="127.0.0.1:1", patience_seconds=1))
    with pytest.raises(TransientError, match=rf"topic {topic} at 127\.0\.0\.1:1: .*refused"):
        away.run()
    with pytest.raises(ConfigurationError, match="No such configuration property"):
        make_shop(source(kafka, topic, options={"sasl.passwort": "x"})).run()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["s1", "s2"]
