"""The comparison of tables: what counts as equal, and what each failure says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.oracle.compare import assert_equal

INSTANT = datetime(2018, 1, 1, 12)


def table(**changes: pa.Array) -> pa.Table:
    columns = {
        "state": pa.array(["SP", None], pa.string()),
        "month": pa.array([1, 1], pa.int64()),
        "revenue": pa.array([Decimal("1.00"), None], pa.decimal128(18, 2)),
        "rate": pa.array([1 / 3, None], pa.float64()),
        "at": pa.array([INSTANT, None], pa.timestamp("us")),
        "late": pa.array([True, False], pa.bool_()),
    }
    return pa.table(columns | changes)


def check(actual: pa.Table, expected: pa.Table | None = None) -> None:
    assert_equal(actual, expected or table(), ["state", "month"], name="gold.sla")


def test_order_extra_columns_widths_and_zones_do_not_matter() -> None:
    actual = table(
        state=pa.array(["SP", None], pa.large_string()).dictionary_encode(),
        month=pa.array([1, 1], pa.int32()),
        rate=pa.array([1 / 3 * (1 + 5e-10), None]),
        at=pa.array([INSTANT.replace(tzinfo=UTC), None], pa.timestamp("ns", "America/Sao_Paulo")),
        _batch_id=pa.array(["b", "b"]),
    )

    check(actual.take([1, 0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": pa.array([1 / 3 * (1 + 2e-9), None])}, r"rate differs.*: 1, first SP \| 1 \| 0"),
        ({"rate": pa.array([1 / 3, 0.0])}, r"rate differs.*first null \| 1 \| 0.0 \| null"),
        ({"rate": pa.array([float("inf"), None])}, "rate differs"),
        ({"rate": pa.array([float("nan"), None])}, "rate differs"),
        (
            {"revenue": pa.array([Decimal("1.01"), None], pa.decimal128(18, 2))},
            r"revenue differs .*: 1, first SP \| 1 \| 1.01 \| 1.00",
        ),
        ({"revenue": pa.array([1.0, None])}, "revenue is double, expected decimal128"),
        ({"at": pa.array([INSTANT, INSTANT], pa.timestamp("us"))}, "at differs"),
        ({"late": pa.array([True, None])}, r"late differs.*first null \| 1 \| null \| False"),
        (
            {"state": pa.array(["SP", "RJ"])},
            r"2 rows for 2 expected\n  missing keys: 1, first null \| 1\n  extra keys: 1, first RJ",
        ),
        ({"state": pa.array(["SP", "SP"])}, r"keys more than once in actual: 1, first SP \| 1"),
        (
            {"at": pa.array([1_514_808_000_000_000_001, None], pa.timestamp("ns"))},
            "does not fit its type",
        ),
    ],
)
def test_a_difference_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=r"(?s)gold\.sla: .*" + message):
        check(table(**changes))


def test_a_lost_row_and_a_lost_column_are_named() -> None:
    with pytest.raises(AssertionError, match=r"1 rows for 2 expected\n  missing keys: 1"):
        check(table().slice(0, 1))
    with pytest.raises(AssertionError, match=r"the columns \['late'\] are missing"):
        check(table().drop_columns(["late"]))


def test_keys_must_be_columns() -> None:
    for keys in ([], ["zip"]):
        with pytest.raises(ValueError, match="are not columns of"):
            assert_equal(table(), table(), keys, name="gold.sla")
