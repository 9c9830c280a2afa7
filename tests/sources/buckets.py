"""Buckets of a real S3 server that checks who asks and says in its log what it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.domain.spec import SourceSpec
from tasks.landing.folders import RemoteFolder, landing_of
from tests.services.s3 import S3

CSV = SourceSpec("sale*.csv", ["id", "amount"])
QUICK = {"config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 2}}


@dataclass
class Bucket:
    """A bucket of its own, and what was asked of it."""

    s3: S3
    name: str

    def put(self, name: str, content: bytes | str) -> None:
        self.s3.put(self.name, f"in/{name}", content)

    def landing(self, **options: Any) -> RemoteFolder:
        given = {
            "key": "{secret:SHOP_S3_KEY}", "secret": "{secret:SHOP_S3_SECRET}",
            "client_kwargs": {"endpoint_url": self.s3.endpoint}, **QUICK,
        }  # fmt: skip
        folder = landing_of(f"s3://{self.name}/in/", given | options)
        assert isinstance(folder, RemoteFolder)
        return folder

    def reads(self) -> list[str]:
        """The objects that were read so far, one entry a request."""
        start = f'"GET /{self.name}/in/'
        lines = self.s3.log.read_text().splitlines()
        return [line.split(start)[1].split(" ")[0] for line in lines if start in line]


def csv(*records: str) -> str:
    return "".join(f"{line}\n" for line in ("id,amount", *records))
