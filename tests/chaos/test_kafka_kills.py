"""SIGKILL of a run that reads a topic, at each named point: no message is lost or comes twice.

The domain is the first example of the page on Kafka, run as a person would, on a real broker.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from storage.types import TableRef
from tests.chaos.test_kills import Condition, kill_when
from tests.e2e.lakehouse import Lakehouse
from tests.services.kafka import Broker
from tests.sessions import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PAGE = REPOSITORY / "docs" / "how-to" / "connect-kafka.md"
MESSAGES, LATER = 60_000, 10
FOLLOW_SECONDS = 300
CHECKS = """
checks for {what}:
  - missing_count({column}) = 0:
      name: events have an id
"""


def reading(lake: Path) -> bool:
    """In the middle of the extraction: some messages are in the scratch folder, nothing is staged."""
    frozen = [
        f.stat().st_size for f in lake.glob("_staging/*/*/events/extraction/messages.parquet")
    ]
    return any(frozen) and not staged(lake)


def staged(lake: Path) -> bool:
    """After staging, before the gate is done."""
    return any(lake.glob("_staging/*/shop_bronze/events/*/attempt.json"))


def committed(lake: Path) -> bool:
    """After the commit of bronze, before silver has any of it."""
    return (lake / "delta/shop_bronze/events/_delta_log/00000000000000000001.json").exists()


@pytest.fixture
def shop(
    tmp_path: Path, kafka: Broker, make_lakehouse: Callable[..., Lakehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Lakehouse:  # fmt: skip
    """The example of the page as a domain of its own, with its checks."""
    example = re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert example is not None
    domains = tmp_path / "domains"
    (domains / "domain").mkdir(parents=True)
    head = f"name: shop\nroots: {{sql: {domains}, checks: {domains / 'checks'}}}\n"
    head += "as_of: select max(at) from silver.events\n\n"
    (domains / "domain" / "shop.yaml").write_text(head + example[1])
    for layer, what in (("bronze", "staged"), ("silver", "result")):
        (domains / "checks" / layer).mkdir(parents=True)
        text = CHECKS.format(what=what, column="event_id")
        (domains / "checks" / layer / "events.yml").write_text(text)
    monkeypatch.setenv("SHOP_KAFKA_SERVERS", kafka.servers)
    lake = make_lakehouse("delta", "domain=shop", f"domains={domains}")
    lake.landing.mkdir(parents=True)
    return lake


def produce(kafka: Broker, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": kafka.servers, "log_level": 0})
    for number in numbers:
        event = {
            "event_id": f"e{number}", "customer_id": number % 50, "kind": "view",
            "at": "2026-03-01 10:00:00", "properties": {"page": "x" * 200},
        }  # fmt: skip
        producer.produce("shop.events", json.dumps(event), partition=number % 2)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def empty_topic(kafka: Broker) -> None:
    admin = kafka.admin
    if "shop.events" in admin.list_topics(timeout=30).topics:
        admin.delete_topics(["shop.events"])["shop.events"].result(30)
    kafka.topic("shop.events", 2)


def events(shop: Lakehouse, label: str) -> list[str]:
    """The ids of a table's events; none where it is not there yet."""
    ref = TableRef.parse("shop", label)
    if not shop.reader.store.exists(ref):
        return []
    return sorted(shop.reader.table(ref)["event_id"].to_pylist())


@pytest.mark.parametrize("point", [reading, staged, committed])
def test_a_killed_run_is_completed_by_the_next(
    shop: Lakehouse, kafka: Broker, point: Condition
) -> None:
    empty_topic(kafka)
    produce(kafka, range(MESSAGES))
    kill_when(shop, point, whole=True)
    produce(kafka, range(MESSAGES, MESSAGES + LATER))  # they come while nobody reads

    for _ in range(2):  # where bronze was committed, what came since is for a run of its own
        assert shop.run().status == 0
    for label in ("bronze.events", "silver.events"):
        assert events(shop, label) == sorted(f"e{n}" for n in range(MESSAGES + LATER)), label
    places = shop.reader.table(TableRef.parse("shop", "bronze.events"))
    assert len(set(zip(*(places[c].to_pylist() for c in ("__partition", "__offset")), strict=True))) == (
        MESSAGES + LATER
    )  # fmt: skip
    assert shop.run().summary["message"].startswith("nothing new")


def test_following_takes_what_comes_until_it_is_asked_to_end(
    shop: Lakehouse, kafka: Broker, tmp_path: Path
) -> None:
    empty_topic(kafka)
    program = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--follow", "0.5"]
    log = tmp_path / "follow.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*program, *shop.overrides], stdout=out, stderr=out)
    try:
        for end in (LATER, 2 * LATER, 3 * LATER):
            produce(kafka, range(end - LATER, end))
            wanted = sorted(f"e{n}" for n in range(end))
            deadline = time.monotonic() + FOLLOW_SECONDS
            while events(shop, "silver.events") != wanted:
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < deadline, log.read_text("utf-8")
                time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(FOLLOW_SECONDS) == 0, log.read_text("utf-8")
    finally:
        process.kill()
    assert events(shop, "bronze.events") == wanted
    assert shop.run().summary["message"].startswith("nothing new")
