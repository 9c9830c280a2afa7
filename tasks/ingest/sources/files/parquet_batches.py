"""Batches of a Parquet file with the instants that its writer meant.

INT96 holds nanoseconds of a day, for years that Arrow's nanoseconds do not reach. And Spark before version 3,
or one that was told to, counts days in the Julian calendar up to 1582-10-04; the file's metadata say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import InputError
from storage.parquet_reading import INT96_UNIT

GREGORIAN = -141_427
"""1582-10-15 in days since 1970: the first day of the Gregorian calendar."""
NOON = 2_440_588
"""The Julian day number of 1970-01-01; the formula begins with 0, in the year 4713 BC."""
MODERN = -25_567
"""1900-01-01 in days since 1970: since then the calendars agree on the offset of a time zone."""
DAY = 86_400
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SPARK, _SPARK_ZONE = b"org.apache.spark.version", b"org.apache.spark.timeZone"
_HIVE = b"writer.date.proleptic"
Days = npt.NDArray[np.int64]


def opened(path: Path) -> pq.ParquetFile:
    """The file, its INT96 instants in microseconds.

    Raises:
        pyarrow.ArrowInvalid: It is not a Parquet file.
        OSError: It cannot be read.
    """
    return pq.ParquetFile(
        path, coerce_int96_timestamp_unit=INT96_UNIT, page_checksum_verification=True
    )


def batches(path: Path, file: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    """The file's records in the proleptic Gregorian calendar, with every digit of their instants.

    A column of INT96 with more than six digits in a fraction comes as text like
    `2026-03-01 10:00:00.123456789`.

    Args:
        path: The file.
        file: As `opened` gives it.
        rows: Most rows of a batch.

    Raises:
        InputError: A value counts in an earlier calendar, and cannot be told in this one.
    """
    int96 = _int96(file)
    finer = _Finer(
        pq.ParquetFile(path, page_checksum_verification=True).iter_batches(rows, columns=int96)
        if int96
        else iter(())
    )
    calendar = _Calendar.of(path, file.metadata.metadata or {})
    for batch in file.iter_batches(rows):
        exact = {}
        wrapped = finer.take(batch.num_rows) if int96 else {}
        for name in batch.schema.names:
            values = batch.column(name)
            exact[name] = calendar.proleptic(name, values, int96=name in int96)
            nanos = _nanoseconds(values, wrapped[name]) if name in int96 else None
            if nanos is not None:
                exact[name] = _with_digits(exact[name], nanos)
        yield pa.RecordBatch.from_pydict(exact)


@dataclass
class _Finer:
    """The INT96 columns in nanoseconds, as many rows at a time as are asked for."""

    source: Iterator[pa.RecordBatch]
    left: list[pa.RecordBatch] = field(default_factory=list)

    def take(self, rows: int) -> dict[str, pa.Array]:
        """The next rows, by column."""
        while sum(part.num_rows for part in self.left) < rows:
            self.left.append(next(self.source))
        whole = pa.Table.from_batches(self.left)
        self.left = whole.slice(rows).to_batches()
        return {n: whole[n].slice(0, rows).combine_chunks() for n in whole.column_names}


def _int96(file: pq.ParquetFile) -> list[str]:
    columns = [file.schema.column(n) for n in range(len(file.schema))]
    return [c.name for c in columns if c.physical_type == "INT96" and c.path == c.name]


def _nanoseconds(micros: pa.Array, wrapped: pa.Array) -> Days | None:
    """What the microseconds leave of each instant, 0 to 999; None where that is nothing.

    Arrow's nanoseconds overflow far from 1970, but the difference is right all the same.
    """
    left = _numbers(wrapped) - _numbers(micros) * 1000
    return left if left.any() else None


def _with_digits(micros: pa.Array, nanos: Days) -> pa.Array:
    """Instants as text with nine digits of a fraction, less the zeros at its end."""
    texts = pc.cast(pc.cast(micros, pa.timestamp("us")), pa.string()).to_pylist()
    return pa.array(
        [
            None if text is None else f"{text}{nano:03d}".rstrip("0").rstrip(".")
            for text, nano in zip(texts, nanos, strict=True)
        ],
        pa.string(),
    )


@dataclass(frozen=True)
class _Calendar:
    """In which calendar a file counts.

    Attributes:
        dates: Whether its dates and instants count in the hybrid one; so of `int96`.
        zone: Of which local time the days of its instants are.
    """

    path: Path
    dates: bool
    int96: bool
    zone: str

    @classmethod
    def of(cls, path: Path, notes: Mapping[bytes, bytes]) -> _Calendar:
        """The calendar by the file's metadata; the proleptic Gregorian where that says nothing."""
        spark = notes.get(_SPARK, b"").decode()
        version = tuple(int(part) for part in spark.split(".")[:2] if part.isdigit())
        dates = b"org.apache.spark.legacyDateTime" in notes or notes.get(_HIVE) == b"false"
        int96 = b"org.apache.spark.legacyINT96" in notes
        return cls(
            path,
            dates or (bool(version) and version < (3, 0)),
            int96 or (bool(version) and version < (3, 1)),
            notes.get(_SPARK_ZONE, b"UTC").decode(),
        )

    def proleptic(self, name: str, values: pa.Array, *, int96: bool) -> pa.Array:
        """A column's values in the proleptic Gregorian calendar."""
        if not (self.int96 if int96 else self.dates):
            return values
        for leaf in _leaves(values):
            self._refuse(name, leaf, nested=leaf is not values)
        if pa.types.is_date32(values.type):
            moved = gregorian(_numbers(values))
            return pa.array(moved.astype("int32"), mask=_nulls(values)).cast(values.type)
        if pa.types.is_timestamp(values.type):
            day, rest = np.divmod(_numbers(values), DAY * UNITS[values.type.unit])
            moved = gregorian(day) * (DAY * UNITS[values.type.unit]) + rest
            return pa.array(moved, mask=_nulls(values)).cast(values.type)
        return values

    def _refuse(self, name: str, values: pa.Array, *, nested: bool) -> None:
        """Stop at what is not known how to move: nested values, and local time before 1900."""
        if pa.types.is_date32(values.type):
            days, first = _numbers(values), GREGORIAN if nested else None
        elif pa.types.is_timestamp(values.type):
            days = _numbers(values) // (DAY * UNITS[values.type.unit])
            first = MODERN if self.zone != "UTC" else GREGORIAN if nested else None
        else:
            return
        if first is None or not len(days) or days.min() >= first:
            return
        day = gregorian(days.min(keepdims=True)).astype("datetime64[D]")[0]
        raise InputError(
            f"{self.path.name}: column {name} has a value of {day}, which counts in the hybrid calendar of "
            f"the file's writer (time zone {self.zone})",
            advice="Write the file in the proleptic Gregorian calendar: in Spark set "
            "spark.sql.parquet.datetimeRebaseModeInWrite and int96RebaseModeInWrite to CORRECTED.",
        )


def gregorian(days: Days) -> Days:
    """Days since 1970 that name the same dates in the proleptic Gregorian calendar.

    Args:
        days: Days since 1970 of the hybrid calendar, which is Julian before 1582-10-15. A leap day that the
            Gregorian calendar lacks becomes the first of March.
    """
    early = (days < GREGORIAN) & (days >= -NOON)
    if not early.any():
        return days
    quarters = 4 * (days[early] + NOON + 1_401) + 3  # E. G. Richards, Mapping Time, 1998
    places = 5 * (quarters % 1_461 // 4) + 2
    day = places % 153 // 5
    month = (places // 153 + 2) % 12
    year = quarters // 1_461 - 4_716 + (13 - month) // 12
    first = ((year - 1_970) * 12 + month).astype("datetime64[M]").astype("datetime64[D]")
    moved = days.copy()
    moved[early] = first.astype(np.int64) + day
    return moved


def _leaves(values: pa.Array) -> Sequence[pa.Array]:
    """The arrays of simple values that a column is made of."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _leaves(values.dictionary_decode())
    if pa.types.is_map(kind):
        return [*_leaves(values.keys), *_leaves(values.items)]
    if pa.types.is_nested(kind):
        parts: Any = values.flatten()
        parts = [parts] if isinstance(parts, pa.Array) else parts
        return [leaf for part in parts for leaf in _leaves(part)]
    return [values]


def _numbers(values: pa.Array) -> Days:
    """The numbers below dates and instants; 0 where a value is null."""
    whole = pa.int32() if pa.types.is_date32(values.type) else pa.int64()
    found = pc.fill_null(pc.cast(values, whole), 0)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _nulls(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), np.bool_)
