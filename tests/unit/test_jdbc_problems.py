"""What does not fit together in the declaration of a database's table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.domain.spec import (
    KeySnapshotSpec,
    PartitionsSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.ingest.sources.validation import source_problems

STOCK = SourceSpec(
    columns=["id", "moved_at", "__deleted"],
    kind=SourceKind.jdbc,
    url="jdbc:postgresql://h/db",
    table="stock",
    watermark=WatermarkSpec("moved_at", "10 minutes"),
    partitions=PartitionsSpec("id", 4),
    key_snapshot=KeySnapshotSpec(["id"], every="6 hours"),
)
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "one connection": ({"partitions": PartitionsSpec("id", 1)},
        "partitions.count: 1 is fewer than 2"),
    "parted twice": ({"options": {"numPartitions": "4"}},
        "options.numPartitions: the platform sets it for `partitions`; leave one of them out"),
    "no key": ({"key_snapshot": KeySnapshotSpec()},
        "key_snapshot.key: no columns that identify a row"),
    "key that is not a column": ({"key_snapshot": KeySnapshotSpec(["nr"])},
        "key_snapshot.key: nr is not a column"),
    "deletes without a column": ({"columns": ["id", "moved_at"]},
        "key_snapshot: name __deleted among the columns; it is true for deleted rows"),
    "every now and then": ({"key_snapshot": KeySnapshotSpec(["id"], every="often")},
        "key_snapshot.every: 'often' is not like '26 hours'"),
    "share in percent": ({"key_snapshot": KeySnapshotSpec(["id"], share=20)},
        "key_snapshot.share: 20 is not between 0 and 1"),
    "whole tables": ({"watermark": None},
        "key_snapshot: is for a source with a watermark; without one all rows are read"),
    "a password in the file": ({"options": {"user": "u", "password": "gehe1m"}},
        "options.password: write ${secret:NAME}, not the secret itself"),
    "a key in the file": ({"options": {"private_key_base64": "TUlJ"}},
        "options.private_key_base64: write ${secret:NAME}, not the secret itself"),
    "a password in the address": ({"url": "jdbc:postgresql://u:gehe1m@h/db"},
        "url: write ${secret:NAME}, not the secret itself"),
    "a password among parameters": ({"url": "jdbc:postgresql://h/db?password=gehe1m"},
        "url: write ${secret:NAME}, not the secret itself"),
    "no address": ({"url": "postgresql://h/db"}, "url: no JDBC address (jdbc:...)"),
}  # fmt: skip


def test_a_consistent_table_has_no_problem() -> None:
    assert source_problems(STOCK) == []
    assert source_problems(replace(STOCK, url="{secret:SHOP_URL}")) == []
    url = "jdbc:postgresql://u:{secret:SHOP_PASSWORD}@h/db?sslpassword={secret:SHOP_KEY}"
    options = {
        "password": "{secret:SHOP_PASSWORD}", "private_key_file": "/run/key.p8",
        "CLIENT_REQUEST_MFA_TOKEN": "true",
    }  # fmt: skip
    assert source_problems(replace(STOCK, url=url, options=options)) == []


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_each_problem_is_named(changes: dict[str, Any], expected: str) -> None:
    assert source_problems(replace(STOCK, **changes)) == [expected]
