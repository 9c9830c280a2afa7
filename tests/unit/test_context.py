from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.runtime import Runtime
from storage.errors import ConfigurationError
from storage.types import SourceFile, TableRef
from tasks.context import (
    Attempt,
    Context,
    Problem,
    RunInfo,
    fingerprint,
)
from tasks.notes import Batch, Notes

ORDERS = TableRef("olist", "silver", "orders")
RUN = RunInfo("run-1", datetime(2024, 1, 1, tzinfo=UTC), "1.0")


@pytest.fixture(params=["delta", "iceberg"])
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    return Runtime(make_config(request.param, tmp_path), RUN).context(spark=False)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((), "[]"),
        (("silver.orders", ["a", "b"]), '["silver.orders", ["a", "b"]]'),
        (({"b": 1, "a": "é"}, None, Path("/x")), '[{"a": "\\u00e9", "b": 1}, null, "/x"]'),
    ],
    ids=["nothing", "list", "mapping"],
)
def test_a_fingerprint_stays_what_it_was(parts: tuple[object, ...], text: str) -> None:
    """Tokens and contracts of lakes in use are fingerprints: another way to hash changes them all."""
    assert fingerprint(*parts) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_fingerprint_tells_parts_apart() -> None:
    different = [("a", "b"), ("b", "a"), ("ab",), (["a", "b"],), ("a", ["b"]), ("a", "b", None)]
    assert len({fingerprint(*parts) for parts in different}) == len(different)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_an_attempt_is_kept_readable_beside_its_rows(tmp_path: Path) -> None:
    attempt = Attempt(
        table=ORDERS, token="t1", folder=str(tmp_path / "attempt"), rows={"ingested": 2},
        batches=(Batch("b1", 2),), problems=(Problem("b2", "x.csv", "empty", acceptable=False),),
        files=(SourceFile("x.csv", "ab", 1, 2, "b1", 1),),
    ).timed(1.23456)  # fmt: skip
    attempt.save()
    kept = json.loads((tmp_path / "attempt" / "attempt.json").read_text())
    assert kept["table"] == {"domain": "olist", "layer": "silver", "name": "orders"}
    assert (kept["token"], kept["seconds"], kept["rows"]) == ("t1", 1.235, {"ingested": 2})
    assert kept["problems"][0]["message"] == "empty"
    assert attempt.part("rows") == str(tmp_path / "attempt" / "rows")


def test_an_attempt_of_an_earlier_version_is_read_under_the_names_of_its_time(
    tmp_path: Path,
) -> None:
    kept = Attempt(
        table=ORDERS, token="t1", folder=str(tmp_path), consumed={"bronze.orders": "3"},
        batches=(Batch("b1", 2, found_again=True),),
    )  # fmt: skip
    kept.save()
    file = tmp_path / "attempt.json"
    text = file.read_text()
    file.write_text(text.replace('"found_again"', '"returns"').replace('"consumed"', '"position"'))
    assert file.read_text() != text
    assert Attempt.load(tmp_path) == kept


def test_attempts_of_both_formats_have_folders_of_their_own(context: Context) -> None:
    folder = context.folder(ORDERS, "t1")
    assert folder.relative_to(context.staging) == Path(
        context.store.format_of(ORDERS), "olist_silver/orders/t1"
    )


def test_the_record_of_an_attempt_says_what_it_consumed(context: Context) -> None:
    attempt = Attempt(
        table=ORDERS, token="t1", folder="/x", inputs={"bronze.orders": "3"}, contract="c",
        rows={"published": 1}, batches=(Batch("b1", 2),), notes=Notes(releases=1),
    )  # fmt: skip
    record = context.record(attempt.noting(waived=("check 1",)))
    assert (record.run_id, record.token, record.code, record.contract) == (
        "run-1",
        "t1",
        "1.0",
        "c",
    )
    assert (record.inputs, record.rows) == ({"bronze.orders": "3"}, {"published": 1})
    assert record.notes == {"batches": ["b1"], "releases": 1, "waived": ["check 1"]}


def test_a_missing_sql_file_is_named(context: Context) -> None:
    assert "select" in context.sql("gold/daily_revenue.sql").lower()
    with pytest.raises(ConfigurationError, match=r"gold/gone\.sql: No such file"):
        context.sql("gold/gone.sql")
