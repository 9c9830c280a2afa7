"""A topic of a real broker: offsets in bronze's own commits, whatever happens between two runs."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewPartitions

from storage.errors import ConfigurationError, InputError, TransientError
from storage.secrets import reference
from tasks.domain.spec import OnDataLoss
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.services.kafka import Broker
from tests.sources.conftest import MakeShop, MakeTopic
from tests.sources.topics import reached, sale, source


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
