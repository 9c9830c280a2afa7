"""Dates and instants that Spark holds but the readers of the tables do not: years beyond 1 to 9999.

Rows of a source with such a value are quarantined. Where a query makes one, the gate blocks its table, which
could not be read any more: by a program, a person, or a destination.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from checks.model import CheckResult, Outcome
from storage.parquet_reading import parquet_dataset
from storage.plans import GONE
from tasks.context import Attempt
from tasks.table.checks import WITHIN_CALENDAR, own_check

FIRST, LAST = np.datetime64("0001-01-01"), np.datetime64("9999-12-31")


def checks(attempt: Attempt) -> list[CheckResult]:
    """A failure where a row to be written has such a value; a row that leaves its table may."""
    found = dict(beyond(Path(attempt.part("rows"))))
    if not found:
        return []
    text = ", ".join(f"{name} has {value}" for name, value in found.items())
    message = f"no reader of the table could hold it: {text}"
    return [own_check(WITHIN_CALENDAR, Outcome.FAIL, message)]


def beyond(folder: Path) -> Iterator[tuple[str, str]]:
    """The columns of staged rows with such a value, and the value that is the furthest.

    The rows are read only where the footers of their files tell of one.
    """
    suspected = sorted({name for path in folder.glob("*.parquet") for name in _suspected(path)})
    if not suspected:
        return
    rows = parquet_dataset(folder)
    written = ~ds.field(GONE) if GONE in rows.schema.names else None
    for name, values in zip(suspected, rows.to_table(suspected, filter=written), strict=True):
        whole = pa.int32() if pa.types.is_date32(values.type) else pa.int64()
        bounds = pc.min_max(values.cast(whole)).as_py().values()
        texts = [t for b in bounds if b is not None and (t := _outside(b, values.type))]
        yield from [(name, text) for text in texts[:1]]


def _suspected(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        kinds = {f.name: f.type for f in file.schema_arrow if _unit(f.type)}
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group)
            for column in map(rows.column, range(rows.num_columns)):
                kind, known = kinds.get(column.path_in_schema), column.statistics
                if kind is None or known is None or not known.has_min_max:
                    continue
                if _outside(known.min_raw, kind) or _outside(known.max_raw, kind):
                    yield column.path_in_schema


def _outside(number: int, kind: pa.DataType) -> str:
    """The value as text where it is beyond; else empty."""
    value = np.int64(number).astype(f"datetime64[{_unit(kind)}]")
    within = FIRST <= value.astype("datetime64[D]") <= LAST
    return "" if within else str(value).replace("T", " ")


def _unit(kind: pa.DataType) -> str:
    """NumPy's unit of a date's or instant's number; empty for another type."""
    if pa.types.is_date32(kind):
        return "D"
    return str(kind.unit) if pa.types.is_timestamp(kind) else ""
