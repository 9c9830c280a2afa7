"""Snowflake and Redshift as the page declares them: their own drivers, in Spark, against no server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "connect-jdbc.md"
HOSTS = {"SHOP_SNOWFLAKE_HOST": "127.0.0.1:1", "SHOP_REDSHIFT_HOST": "127.0.0.1:1"}
SECRET = "s3same-0pen"


class Refusing(BaseHTTPRequestHandler):
    """Snowflake, as it answers to a wrong password."""

    logins: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "login-request" in self.path:
            self.logins.append(self.path)
        said = "Incorrect username or password was specified."
        answer = {"data": {}, "code": "390100", "message": said, "success": False}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[int]:
    """The port of a Snowflake that refuses every password."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.slow
def test_a_warehouse_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    said = _read(tmp_path, HOSTS, "stock", "visits")
    assert {name: kind for name, (kind, _) in said.items()} == {
        "stock": "TransientError", "visits": "TransientError",
    }  # fmt: skip
    assert "127.0.0.1" in said["visits"][1]
    assert all(message.startswith("bronze.stock: ") for _, message in said.values())


@pytest.mark.slow
def test_a_password_that_snowflake_refuses_is_tried_once(tmp_path: Path, refusing: int) -> None:
    said = _read(
        tmp_path, {"SHOP_SNOWFLAKE_HOST": f"127.0.0.1:{refusing}"}, "stock", more="&ssl=off"
    )
    kind, message = said["stock"]
    assert (kind, len(Refusing.logins)) == ("TerminalError", 1)
    assert "Incorrect username or password" in message


def _read(
    folder: Path, hosts: Mapping[str, str], *wanted: str, more: str = ""
) -> dict[str, tuple[str, str]]:
    """Class and text of the error that each source of the page gives; the password is nowhere."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    tables = {n: t for b in blocks for n, t in yaml.safe_load(b).get("bronze", {}).items()}
    chosen = {name: tables[name] | {"url": tables[name]["url"] + more} for name in wanted}
    text = json.dumps(chosen)
    for name, value in {**hosts, "SHOP_USER": "clerk"}.items():
        text = text.replace(f"${{oc.env:{name}}}", value)
    text = text.replace("${secret:", "{secret:")
    done = subprocess.run(
        [sys.executable, "-m", "tests.sources.driver_program", str(folder), text],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=500,
        env=os.environ | {"SHOP_PASSWORD": SECRET},
    )  # fmt: skip
    found = subprocess.run(["grep", "-rl", SECRET, str(folder)], capture_output=True, check=False)
    assert found.stdout == b""
    assert SECRET not in done.stdout + done.stderr
    said: dict[str, tuple[str, str]] = json.loads(done.stdout)
    return said
