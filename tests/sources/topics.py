"""Sources that read a topic, and the messages that tests put there."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tasks.domain.spec import KafkaSpec, SourceKind, SourceSpec
from tests.services.kafka import Broker
from tests.sources.shop import Shop

COLUMNS = ["id", "amount", "__partition", "__offset"]
FIELDS = {field.name for field in dataclasses.fields(KafkaSpec)}


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
