"""Compressed deliveries: hashed as delivered, and refused where their end is missing."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from storage.errors import InputError
from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.files.csv_files import stage_csv
from tasks.ingest.sources.json_lines import stage_json_lines
from tasks.landing.content import file_sha256

CSV = SourceSpec(pattern="things*", columns=["id", "amount"])
LINES = SourceSpec(pattern="things*", columns=["id", "amount"], format=FileFormat.jsonl)
RECORDS = 4_000
TEXT = "id,amount\n" + "".join(f"{n},{n * 7919 % 1000}\n" for n in range(RECORDS))
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("ending", [*COMPRESSED, ".GZ"])
def test_a_compressed_file_is_read_and_hashed_as_delivered(tmp_path: Path, ending: str) -> None:
    content = COMPRESSED[ending.lower()](TEXT.encode())
    file = tmp_path / f"things.csv{ending}"
    file.write_bytes(content)
    staged = stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
    assert (staged.rows, staged.sha256) == (RECORDS, hashlib.sha256(content).hexdigest())
    assert pq.read_table(staged.parquet)["id"].to_pylist() == [str(n) for n in range(RECORDS)]


@pytest.mark.parametrize("ending", COMPRESSED)
@pytest.mark.parametrize("lost", [1, 3, 0.3, 0.7])
def test_a_file_without_its_end_is_refused(tmp_path: Path, ending: str, lost: float) -> None:
    content = COMPRESSED[ending](TEXT.encode())
    kept = len(content) - lost if lost >= 1 else len(content) * (1 - lost)
    file = tmp_path / f"things.csv{ending}"
    file.write_bytes(content[: int(kept)])
    with pytest.raises(InputError, match=rf"things\.csv\{ending}: cannot be decompressed: ") as no:
        stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
    assert "Deliver it again" in no.value.advice


@pytest.mark.parametrize("ending", COMPRESSED)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"things.jsonl{ending}"
    file.write_text('{"id": "a"}\n')
    with pytest.raises(InputError, match=rf"things\.jsonl\{ending}: cannot be decompressed: "):
        stage_json_lines(file, LINES, tmp_path / "out.parquet", expected_sha256=file_sha256(file))


def test_two_compressed_parts_in_one_file_are_one_text(tmp_path: Path) -> None:
    for ending, compress in COMPRESSED.items():
        file = tmp_path / f"things.csv{ending}"
        file.write_bytes(compress(b"id,amount\na,1\n") + compress(b"b,2\n"))
        staged = stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
        assert pq.read_table(staged.parquet)["id"].to_pylist() == ["a", "b"], ending


@pytest.mark.parametrize("ending", [".bz2", ".xz"])
def test_no_row_of_a_file_with_a_damaged_second_stream_is_taken(
    tmp_path: Path, ending: str
) -> None:
    compress, half = COMPRESSED[ending], TEXT.index("2000,")
    first, second = compress(TEXT[:half].encode()), compress(TEXT[half:].encode())
    file = tmp_path / f"things.csv{ending}"
    file.write_bytes(first + second)
    staged = stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
    assert staged.rows == RECORDS, "two streams are one file"
    file.write_bytes(first + second[:12] + b"?" + second[13:])
    with pytest.raises(InputError, match=r"things\.csv\..* cannot be decompressed"):
        stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))


def test_a_stream_may_be_padded(tmp_path: Path) -> None:
    file = tmp_path / "things.csv.xz"
    file.write_bytes(lzma.compress(TEXT.encode()) + bytes(8))
    staged = stage_csv(file, CSV, tmp_path / "out.parquet", expected_sha256=file_sha256(file))
    assert staged.rows == RECORDS
