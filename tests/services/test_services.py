"""`make services` and `make services-down` for real, in a folder of their own."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psycopg
import pytest
from botocore.session import get_session
from confluent_kafka.admin import AdminClient

from flows.services.processes import Service, descendants
from tests.sessions import REPOSITORY

pytestmark = pytest.mark.slow

SERVICES = ("hubspot", "kafka", "postgres", "s3")
SECONDS = 300


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = tmp_path / "services"
    monkeypatch.setenv("LAKEHOUSE_SERVICES_FOLDER", str(made))
    yield made
    _make("services-down")


def test_services_are_started_sourced_and_stopped(folder: Path) -> None:
    said = _make("services")
    assert all(f"{name} runs, its log is {folder}/{name}.log" in said for name in SERVICES)
    sourced = _sourced(said)
    _answer(sourced)
    assert (folder / "environment.sh").stat().st_mode & 0o077 == 0

    before = _pids(folder)
    assert _sourced(_make("services")) == sourced
    assert _pids(folder) == before

    held = descendants(folder)
    assert "services are down" in _make("services-down")
    assert not [process for process in held if process.is_running()]
    assert not (folder / "environment.sh").exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(_address(sourced), timeout=5)
    assert "services are down" in _make("services-down")


def test_a_service_that_was_killed_is_started_again(folder: Path) -> None:
    _make("services")
    process = Service("hubspot", folder).process()
    assert process is not None
    process.kill()
    process.wait(30)
    _answer(_sourced(_make("services")))


def _make(target: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _sourced(said: str) -> dict[str, str]:
    """The variables that a shell has once it has read what the last line names."""
    last = said.splitlines()[-1]
    assert shlex.split(last)[0] == "source"
    done = subprocess.run(
        ["bash", "-c", f"{last} && env -0"], cwd=REPOSITORY, capture_output=True, text=True,
        check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    found = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    return {
        name: value for name, value in found.items() if name.startswith(("CRM_", "HUB", "AWS_"))
    }


def _answer(sourced: Mapping[str, str]) -> None:
    """Each service takes a client that knows what was sourced."""
    with psycopg.connect(
        sourced["CRM_DESTINATION_URL"].replace("+psycopg", ""),
        password=sourced["CRM_DESTINATION_PASSWORD"],
    ) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    kafka = AdminClient({"bootstrap.servers": sourced["CRM_KAFKA_SERVERS"]})
    assert kafka.list_topics(timeout=30).brokers
    contacts = httpx.get(
        f"{sourced['HUBSPOT_URL']}/crm/v3/objects/contacts",
        headers={"Authorization": f"Bearer {sourced['HUBSPOT_TOKEN']}"},
    )
    assert contacts.json() == {"results": []}
    client = get_session().create_client(
        "s3", endpoint_url=sourced["AWS_ENDPOINT_URL"], region_name=sourced["AWS_DEFAULT_REGION"],
        aws_access_key_id=sourced["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sourced["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    assert client.list_buckets()["Buckets"] == []


def _pids(folder: Path) -> dict[str, int]:
    return {name: json.loads((folder / f"{name}.json").read_text())["pid"] for name in SERVICES}


def _address(sourced: Mapping[str, str]) -> tuple[str, int]:
    host, _, port = sourced["CRM_KAFKA_SERVERS"].partition(":")
    return host, int(port)
