"""A local S3, with Secrets Manager beside it: moto's server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.session import get_session

from flows.services.ports import HOST, free_port

PATIENCE_SECONDS = 60.0
REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """A running server, which holds its buckets in memory and answers nobody without a valid signature.

    Attributes:
        log: The server's log, a line a request.
    """

    endpoint: str
    log: Path
    key: str
    secret: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What AWS's own tools read to reach this server in place of Amazon's."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str = "s3") -> Any:
        """A client of the server."""
        return get_session().create_client(
            service, endpoint_url=self.endpoint, region_name=REGION,
            aws_access_key_id=self.key, aws_secret_access_key=self.secret,
        )  # fmt: skip

    def make_bucket(self, name: str) -> None:
        self.client().create_bucket(Bucket=name)

    def put(self, bucket: str, name: str, content: bytes | str) -> None:
        """Write an object."""
        body = content.encode() if isinstance(content, str) else content
        self.client().put_object(Bucket=bucket, Key=name, Body=body)


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """Start the server, and stop it with the block; its log is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    endpoint = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(endpoint, process, folder / "s3.log")
        yield _with_user(endpoint, folder / "s3.log")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _with_user(endpoint: str, log: Path) -> S3:
    """Make the one user who may do everything, then let the server check who asks.

    https://docs.getmoto.org/en/latest/docs/iam.html
    """
    iam = S3(endpoint, log, "nobody", "nothing").client("iam")
    iam.create_user(UserName="shop")
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(
        UserName="shop", PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", **document}),
    )  # fmt: skip
    made = iam.create_access_key(UserName="shop")["AccessKey"]
    unchecked_calls = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(unchecked_calls, timeout=PATIENCE_SECONDS):
        return S3(endpoint, log, made["AccessKeyId"], made["SecretAccessKey"])


def _wait(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start, see {log}: {log.read_text()[-500:]}")
