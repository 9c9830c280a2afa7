"""Dates that no reader holds are found in staged rows, by the footers first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.plans import GONE
from tasks.gate.instants import beyond

ONE, LAST = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970."""
DAY = 86_400 * 10**6
AT = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"day": pa.array([ONE, None, LAST], pa.int32()).cast(pa.date32())}, {}),
        ({"day": pa.array([ONE, LAST + 1], pa.int32()).cast(pa.date32())}, {"day": "10000-01-01"}),
        ({"day": pa.array([ONE - 1, 0], pa.int32()).cast(pa.date32())}, {"day": "0000-12-31"}),
        ({"at": pa.array([ONE * DAY, (LAST + 1) * DAY - 1], AT)}, {}),
        ({"at": pa.array([ONE * DAY - 1], AT), "n": pa.array([1])},
         {"at": "0000-12-31 23:59:59.999999"}),
        ({"at": pa.array([(LAST + 1) * DAY, 0], AT), GONE: pa.array([True, False])}, {}),
        ({"at": pa.array([(LAST + 1) * DAY, 0], AT), GONE: pa.array([False, True])},
         {"at": "10000-01-01 00:00:00.000000"}),
        ({"_before": pa.array([{"at": 1}])}, {}),
        ({"at": pa.array([], AT)}, {}),
    ],
)  # fmt: skip
def test_values_beyond_the_years_1_to_9999(
    tmp_path: Path, columns: dict[str, Any], found: dict[str, str]
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "part-0.parquet")
    assert dict(beyond(tmp_path)) == found


def test_nothing_is_staged(tmp_path: Path) -> None:
    assert dict(beyond(tmp_path / "rows")) == {}
