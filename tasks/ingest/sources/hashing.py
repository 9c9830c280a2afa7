"""Hashes of rows: what makes two of them the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import Column
from pyspark.sql import functions as F

from storage.sql import quote


def record_hash(columns: Iterable[str]) -> Column:
    """SHA-256 over the source's values as a JSON object; null and empty differ."""
    values = F.struct(*[F.col(quote(c)) for c in columns])
    return F.sha2(F.to_json(values, {"ignoreNullFields": "false"}), 256)


def rows_sha256(parquet: Path, column: str) -> str:
    """SHA-256 over the record hashes of a Parquet file, in their order."""
    digest = hashlib.sha256()
    with pq.ParquetFile(parquet) as file:
        for batch in file.iter_batches(columns=[column]):
            digest.update("".join(f"{value}\n" for value in batch.column(0).to_pylist()).encode())
    return digest.hexdigest()
