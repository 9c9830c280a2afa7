from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.runtime import Runtime
from storage.errors import ConfigurationError
from storage.types import CommitRecord, SourceFile, TableRef, Version
from tasks.bench import Batch, Bench, Problem, RunInfo, Staged, fingerprint, moved, position

ORDERS = TableRef("olist", "silver", "orders")
ROWS = pa.table({"id": ["a"]})
RUN = RunInfo("run-1", datetime(2024, 1, 1, tzinfo=UTC), "1.0")


@pytest.fixture(params=["delta", "iceberg"])
def bench(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Bench:
    return Runtime(make_config(request.param, tmp_path), RUN).bench(spark=False)


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
    staged = Staged(
        table=ORDERS, token="t1", folder=str(tmp_path / "attempt"), rows={"ingested": 2},
        batches=(Batch("b1", 2),), problems=(Problem("b2", "x.csv", "empty", acceptable=False),),
        files=(SourceFile("x.csv", "ab", 1, 2, "b1", 1),),
    ).timed(1.23456)  # fmt: skip
    staged.save()
    kept = json.loads((tmp_path / "attempt" / "attempt.json").read_text())
    assert kept["table"] == {"domain": "olist", "layer": "silver", "name": "orders"}
    assert (kept["token"], kept["seconds"], kept["rows"]) == ("t1", 1.235, {"ingested": 2})
    assert kept["problems"][0]["message"] == "empty"
    assert staged.part("rows") == str(tmp_path / "attempt" / "rows")


def test_attempts_of_both_formats_have_folders_of_their_own(bench: Bench) -> None:
    folder = bench.folder(ORDERS, "t1")
    assert folder.relative_to(bench.staging) == Path(
        bench.store.format_of(ORDERS), "olist_silver/orders/t1"
    )


def test_the_record_of_an_attempt_says_what_it_consumed(bench: Bench) -> None:
    staged = Staged(
        table=ORDERS, token="t1", folder="/x", inputs={"bronze.orders": "3"}, contract="c",
        rows={"published": 1}, batches=(Batch("b1", 2),), notes={"releases": 1},
    )  # fmt: skip
    record = bench.record(staged, waived=["check 1"])
    assert (record.run_id, record.token, record.code, record.contract) == (
        "run-1",
        "t1",
        "1.0",
        "c",
    )
    assert (record.inputs, record.rows) == ({"bronze.orders": "3"}, {"published": 1})
    assert record.notes == {"batches": ["b1"], "releases": 1, "waived": ["check 1"]}


def test_a_missing_sql_file_is_named(bench: Bench) -> None:
    assert "select" in bench.sql("gold/daily_revenue.sql").lower()
    with pytest.raises(ConfigurationError, match=r"gold/gone\.sql: No such file"):
        bench.sql("gold/gone.sql")


def _append(bench: Bench, token: str, **notes: object) -> Version:
    record = CommitRecord("r", token, inputs={"bronze.orders": token}, notes=notes)
    return bench.store.append_arrow(ORDERS, ROWS, record).version


def test_a_position_is_that_of_the_newest_commit(bench: Bench, make_config: Any) -> None:
    _append(bench, "1")
    _append(bench, "2")
    assert position(bench, ORDERS) == {"bronze.orders": "2"}
    bench.run = RunInfo("run-2", RUN.started_at, "1.0", rebuild=True)
    assert position(bench, ORDERS) == {}


def test_a_table_has_moved_when_a_commit_changed_its_rows(bench: Bench) -> None:
    first = _append(bench, "1")
    assert moved(bench, ORDERS, None)
    assert not moved(bench, ORDERS, first)
    marked = _append(bench, "2", mark=True)
    assert not moved(bench, ORDERS, first)
    second = _append(bench, "3")
    assert moved(bench, ORDERS, first)
    assert moved(bench, ORDERS, marked)
    assert not moved(bench, ORDERS, second)
