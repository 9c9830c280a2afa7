"""Looks for secrets in everything that commands have left in a folder."""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq

AVRO, GZIP, SQLITE = b"Obj\x01", b"\x1f\x8b", b"SQLite format 3\0"
MARKER = 16
"""Length of what stands between the blocks of an Avro file, and at its end."""


def forms(secret: str) -> set[bytes]:
    """How a secret can be written."""
    texts = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    encoded = {base64.b64encode(secret.encode()).decode().rstrip("=")}
    for before in ("a", "ab"):  # as within `user:password`, at the other two places of a group
        encoded.add(base64.b64encode((before + secret).encode()).decode()[4:-4])
    return {text.encode() for text in texts | encoded}


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and what is inside of databases, Parquet, Avro and compressed files."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        name, content = str(file.relative_to(folder)), file.read_bytes()
        yield name, content
        if content.startswith(SQLITE):
            with sqlite3.connect(file) as database:
                yield f"{name} (dump)", "\n".join(database.iterdump()).encode()
            database.close()
        elif name.endswith(".parquet"):
            yield f"{name} (rows)", str(pq.ParquetFile(file).read().to_pylist()).encode()
        elif content.startswith(AVRO):
            yield f"{name} (plain)", b"".join(_blocks(content))
        elif content.startswith(GZIP):
            yield f"{name} (plain)", zlib.decompress(content, wbits=31)


def _blocks(content: bytes) -> Iterator[bytes]:
    """The blocks of an Avro file that are compressed by deflate; two numbers stand before each."""
    for block in content.split(content[-MARKER:])[1:-1]:
        rest = _without_number(_without_number(block))
        yield zlib.decompress(rest, wbits=-zlib.MAX_WBITS)


def _without_number(block: bytes) -> bytes:
    end = next(place for place, byte in enumerate(block) if byte < 0x80)
    return block[end + 1 :]


def found(searched: Iterable[tuple[str, bytes]], known: Mapping[str, str]) -> list[tuple[str, str]]:
    """By variable the places that hold its secret, however it is written there."""
    wanted = {variable: forms(secret) for variable, secret in known.items()}
    return [
        (variable, place)
        for place, content in searched
        for variable, written in wanted.items()
        if any(form in content for form in written)
    ]
