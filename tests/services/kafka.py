"""A Kafka broker of one node (KRaft mode) on loopback: an open listener, and one that asks for a password.

Its jars come from Maven Central through the project's own fetcher; `kafka.lock` holds their sums.
Settings: https://kafka.apache.org/41/configuration/broker-configs/
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyspark
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from flows.services.ports import HOST, free_port
from storage.spark.ivy import ivy_resolver
from storage.spark.jars import fetch_jars, jar_paths, locked_jars
from storage.spark.java import find_java
from tests.services.process import await_listener, stop

LOCK_FILE = Path(__file__).with_name("kafka.lock")
START_SECONDS = 90.0
ANSWER_SECONDS = 30.0
USER, PASSWORD = "lake", "broker-password"
CLUSTER = "lakehouseTestsCluster0"
"""A cluster's id is 16 bytes in URL-safe base 64."""
JVM = (
    "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)  # fmt: skip
"""A broker for small data that starts quickly."""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=OPEN://{host}:{open},SASL://{host}:{sasl},CONTROLLER://{host}:{controller}
advertised.listeners=OPEN://{host}:{open},SASL://{host}:{sasl}
listener.security.protocol.map=OPEN:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OPEN
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
"""


@dataclass(frozen=True)
class Broker:
    """What a client needs.

    Attributes:
        servers: `host:port` of the listener that asks for nothing.
        sasl_servers: `host:port` of the listener with SASL/PLAIN over plain text.
        user: Who may come in there.
        password: The password of that user.
    """

    servers: str
    sasl_servers: str
    user: str = USER
    password: str = PASSWORD

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the domain `crm` finds the broker."""
        return {"CRM_KAFKA_SERVERS": self.servers}

    @property
    def admin(self) -> AdminClient:
        """For topics, partitions and their records."""
        return AdminClient({"bootstrap.servers": self.servers})

    def topic(self, name: str, partitions: int = 1, **settings: str) -> None:
        """Create a topic; `retention_ms="1"` and so on are its settings."""
        config = {key.replace("_", "."): value for key, value in settings.items()}
        admin = self.admin  # its requests end with it
        made = admin.create_topics([NewTopic(name, partitions, 1, config=config)])
        made[name].result(ANSWER_SECONDS)

    def put(self, topic: str, *values: bytes | str | None, **where: Any) -> None:
        """Produce messages in their order; `where` is `key`, `partition`, `timestamp` or `headers`."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 0})
        for value in values:
            producer.produce(topic, value, **where)
        if left := producer.flush(ANSWER_SECONDS):
            raise RuntimeError(f"{left} messages for {topic} were not taken")


@contextmanager
def kafka_broker(folder: Path) -> Iterator[Broker]:
    """Start a broker that keeps its topics in the folder, and stop it with the block.

    Raises:
        LakehouseError: Java or a jar is missing and cannot be fetched.
        RuntimeError: The broker does not answer in time; what it said is in the message.
    """
    ports = {name: free_port() for name in ("open", "sasl", "controller")}
    properties = _configured(folder, ports)
    log = folder / "broker.log"
    with log.open("wb") as output:
        command = _command("kafka.Kafka", str(properties))
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        await_listener(process, ports["open"], log)
        yield Broker(f"{HOST}:{ports['open']}", f"{HOST}:{ports['sasl']}")
    finally:
        stop(process)


def _configured(folder: Path, ports: dict[str, int]) -> Path:
    """The broker's settings; a folder that no broker has used is formatted."""
    folder.mkdir(parents=True, exist_ok=True)
    data, properties = folder / "data", folder / "server.properties"
    values = {"host": HOST, "user": USER, "password": PASSWORD, "data": data, **ports}
    properties.write_text(PROPERTIES.format(**values))
    if not (data / "meta.properties").is_file():
        arguments = ("format", "--cluster-id", CLUSTER, "--config", str(properties))
        formatted = subprocess.run(
            _command("kafka.tools.StorageTool", *arguments),
            check=False, timeout=START_SECONDS, capture_output=True, text=True,
        )  # fmt: skip
        if formatted.returncode:
            raise RuntimeError(f"{data} cannot be formatted: {formatted.stderr[-2000:]}")
    return properties


def _command(main: str, *arguments: str) -> list[str]:
    # Spark's fetcher leaves Scala's library out, since Spark itself has it.
    scala = (Path(pyspark.__file__).parent / "jars").glob("scala-library-*.jar")
    class_path = ":".join(map(str, (*broker_jars(), *scala)))
    return [str(find_java().home / "bin" / "java"), *JVM, "-cp", class_path, main, *arguments]


def broker_jars() -> Sequence[Path]:
    """The broker's jars in the cache; those that are missing are fetched and verified.

    Raises:
        LakehouseError: A jar is missing and cannot be fetched.
    """
    locked = locked_jars(LOCK_FILE)
    resolver = partial(ivy_resolver, java=find_java())
    fetch_jars(None, lambda jar, arrived: None, resolver, jars=locked)
    return jar_paths(None, locked)
