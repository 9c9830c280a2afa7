"""The examples of the how-to page."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import httpx
import pyarrow as pa
import yaml

from flows.api.app import make_app
from flows.runtime import lake_of
from storage.types import CommitRecord, TableRef
from tests.api.conftest import MakeConfig
from tests.api.server import READ, WRITE, served

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "push-api.md"
ADDRESS = "http://127.0.0.1:8000"


def sent(client: httpx.Client, command: str) -> httpx.Response:
    """What `curl` would send."""
    words = shlex.split(command.replace("$WRITE_KEY", WRITE).replace("$READ_KEY", READ))
    given = dict(pairwise(words))
    headers = dict(words[i + 1].split(": ") for i, word in enumerate(words) if word == "-H")
    (url,) = [word for word in words if word.startswith(ADDRESS)]
    return client.request(
        given.get("-X", "GET"), url.removeprefix(ADDRESS), headers=headers, content=given.get("-d")
    )


def test_each_request_of_the_page_is_answered(make_config: MakeConfig) -> None:
    config = make_config()
    rows = pa.table(
        {"transaction_id": ["t1"], "rule": ["velocity"], "account_id": ["a1"],
         "amount": pa.array([120], pa.decimal128(18, 2)),
         "transaction_ts": pa.array([1772359200000000], pa.timestamp("us", tz="UTC"))}
    )  # fmt: skip
    ref = TableRef("finance", "gold", "anomalies")
    lake_of(config).store(None).append_arrow(ref, rows, CommitRecord("r1", "t1"))
    commands = re.findall(r"^curl .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 6
    with served(make_app(config)) as client:
        answers = [sent(client, command) for command in commands]
    assert [a.status_code for a in answers] == [202, 202, 200, 200, 200, 200], answers[0].text
    assert answers[1].json()["ids"] == ["t2"]
    for rows_of in answers[3:5]:
        assert [row["transaction_id"] for row in rows_of.json()["rows"]] == ["t1"]


def test_the_declaration_of_the_page_is_that_of_finance(make_config: MakeConfig) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    shown, domain = yaml.safe_load(text), make_config().domain
    source, endpoint = shown["bronze"]["transactions"], shown["endpoints"]["anomalies"]
    assert domain.bronze["transactions"].push is not None
    assert vars(domain.bronze["transactions"].push) == source["push"]
    assert domain.bronze["transactions"].pattern == source["pattern"]
    assert vars(domain.endpoints["anomalies"]) == endpoint
