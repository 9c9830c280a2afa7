"""A source of each kind that asks for a secret: one that works, and one for each way to fail."""

from __future__ import annotations

from typing import Any

import yaml

from tests.secrecy.domain import page_blocks
from tests.services.hubspot import HubSpot
from tests.services.kafka import Broker
from tests.services.postgres import Postgres

COLUMNS = ["payment_id", "order_id", "amount"]
NOWHERE = "127.0.0.1:9"
"""Where nothing listens."""
Sources = dict[str, Any]
WRONG = "${secret:SHOP_WRONG}"


def of_databases(database: Postgres) -> Sources:
    """The example of the page on secrets, and wrong ones."""
    page = yaml.safe_load(page_blocks("secrets.md", "yaml")[0])
    good: Sources = page["bronze"]["payments"]
    host = f"{database.host}:{database.port}"
    in_url = f"?user={database.user}&password={WRONG}"
    return {
        "payments": good,
        "wrong_password": {**good, "options": {**good["options"], "password": WRONG}},
        "wrong_in_url": {**good, "options": {}, "url": f"jdbc:postgresql://{host}/secrecy{in_url}"},
        "no_url": {**good, "url": f"jdbc:nothing://{host}/secrecy{in_url}"},
        "unreachable": {**good, "url": f"jdbc:postgresql://{NOWHERE}/secrecy?connectTimeout=2"},
        "bad_query": {**good, "table": None, "query": "select nothing from payments"},
    }


def of_files() -> Sources:
    """Objects of a bucket; an empty one is blocked."""
    return {
        "files": {"pattern": "*.csv", "columns": COLUMNS},
        "blocked": {"pattern": "*.txt", "columns": COLUMNS},
    }


def of_kafka(broker: Broker, topic: str) -> Sources:
    """A topic behind SASL."""

    def source(servers: str, password: str) -> Sources:
        options = {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
            "sasl.username": broker.user, "sasl.password": password,
        }  # fmt: skip
        kafka = {"servers": servers, "topic": topic, "options": options, "patience_seconds": 3}
        return {"kind": "kafka", "kafka": kafka, "columns": ["id"]}

    right = "${secret:SHOP_KAFKA_PASSWORD}"
    return {
        "events": source(broker.sasl_servers, right),
        "events_wrong": source(broker.sasl_servers, WRONG),
        "events_unreachable": source(NOWHERE, right),
    }


def of_api(server: HubSpot) -> Sources:
    """An API that is told who asks by a token, a key, or OAuth."""

    def source(url: str, **auth: str) -> Sources:
        rest = {
            "url": url, "path": "crm/v3/objects/contacts", "records": "results", "attempts": 1,
            "pages": {"kind": "cursor", "path": "paging.next.after", "param": "after"}, "auth": auth,
        }  # fmt: skip
        columns = ["id", "properties", "createdAt", "updatedAt", "archived"]
        return {"kind": "rest", "columns": columns, "rest": rest}

    token, key = "${secret:SHOP_REST_TOKEN}", "${secret:SHOP_REST_KEY}"
    secret, refresh = "${secret:SHOP_OAUTH_SECRET}", "${secret:SHOP_OAUTH_REFRESH}"
    place = {"kind": "api_key", "name": "Authorization"}
    oauth = {
        "kind": "refresh_token", "token_url": f"{server.url}/oauth/v1/token",
        "client_id": server.client_id, "client_secret": secret, "refresh_token": refresh,
    }  # fmt: skip
    return {
        "contacts": source(server.url, kind="bearer", token=token),
        "contacts_wrong": source(server.url, kind="bearer", token=WRONG),
        "contacts_unreachable": source(f"http://{NOWHERE}", kind="bearer", token=token),
        "keyed": source(server.url, **place, token=key),
        "keyed_wrong": source(server.url, **place, token=f"Bearer {WRONG}"),
        "keyed_in_url": source(
            server.url, kind="api_key", name="hapikey", place="query", token=WRONG
        ),
        "keyed_unreachable": source(
            f"http://{NOWHERE}", kind="api_key", name="hapikey", place="query", token=key
        ),
        "oauth": source(server.url, **oauth),
        "oauth_wrong_secret": source(server.url, **oauth | {"client_secret": WRONG}),
        "oauth_wrong_refresh": source(server.url, **oauth | {"refresh_token": WRONG}),
        "oauth_unreachable": source(
            server.url, **oauth | {"token_url": f"http://{NOWHERE}/oauth/v1/token"}
        ),
    }


def destinations(server: Postgres) -> Sources:
    """A gold table with all that comes before it, and where it is pushed to."""
    columns = {
        "payment_id": {"type": "bigint"}, "order_id": {"type": "bigint"},
        "amount": {"type": "decimal(18,2)"},
    }  # fmt: skip
    table = {"key": ["payment_id"], "columns": columns}

    def destination(url: str, password: str) -> Sources:
        return {"url": url, "password": password, "tables": ["gold.payments"]}

    right = "${secret:SHOP_DESTINATION_PASSWORD}"
    away = server.url.replace(f"{server.host}:{server.port}", NOWHERE)
    return {
        "silver": {"payments": {"source": "bronze.payments", **table}},
        "gold": {
            "payments": {
                **table, "inputs": ["silver.payments"], "sql": "payments.sql",
                "groups": {"silver.payments": "payment_id"},
            }
        },
        "destinations": {
            "warehouse": destination(server.url, right),
            "wrong": destination(server.url, WRONG),
            "unreachable": destination(away, right),
        },
    }  # fmt: skip
