"""Content of a delivered file: read once, hashed while it is read, decompressed by its ending and decoded."""

from __future__ import annotations

import bz2
import codecs
import hashlib
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import pyarrow as pa
from fsspec.compression import compr
from fsspec.utils import infer_compression

from storage.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Endings of names whose files are decompressed while they are read."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
"""Byte order marks; that of UTF-32 begins as that of UTF-16."""


CHUNK_BYTES = 65_536


_Stream: TypeAlias = bz2.BZ2Decompressor | lzma.LZMADecompressor
_Make: TypeAlias = Callable[[], _Stream]
DECOMPRESSORS: dict[str, _Make] = {
    ".bz2": bz2.BZ2Decompressor, ".xz": lzma.LZMADecompressor,
}  # fmt: skip


@dataclass(frozen=True)
class Content:
    """An opened file: its text, and the check that it is the one that was found."""

    path: Path
    text: io.TextIOWrapper
    _bytes: _HashedReader

    def confirm(self, expected_sha256: str) -> str:
        """Read to the end and compare.

        Raises:
            InputError: The content is another than the one that was found.
        """
        digest = self._bytes.finish()
        if digest != expected_sha256:
            raise changed(self.path)
        return digest


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's content.

    Raises:
        InputError: The file cannot be read.
    """
    return hashed(path)[0]


def hashed(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of the file's content.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise _unreadable(path, error) from None


@contextmanager
def opened(path: Path, encoding: str, newline: str) -> Iterator[Content]:
    """The file's text while its bytes, as delivered, are hashed.

    A file whose name ends in one of `COMPRESSIONS` is decompressed; a byte order mark is passed over.

    Raises:
        InputError: The file cannot be opened, or its byte order mark is of another encoding.
    """
    try:
        binary = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with binary:
        hashed = _HashedReader(binary)
        plain: io.RawIOBase = hashed
        if path.suffix.lower() in COMPRESSIONS:
            plain = _Decompressed(path, io.BufferedReader(hashed, 1 << 20))
        buffered = io.BufferedReader(plain, 1 << 20)
        text = io.TextIOWrapper(
            buffered, encoding=_unmarked(path, buffered.peek(4), encoding), newline=newline
        )
        yield Content(path, text, hashed)


def changed(path: Path) -> InputError:
    """The error of a file whose content is another than the one that was found."""
    return InputError(
        f"{path.name}: the file changed while it was read",
        advice="Deliver under another name and rename when complete, then run again.",
    )


def empty(path: Path) -> InputError:
    """The error of a file without content."""
    return InputError(
        f"{path.name}: the file is empty",
        advice="Deliver it again with its header and records, or reject the batch.",
    )


def marked(begin: bytes) -> str | None:
    """The encoding that a byte order mark tells; None without one."""
    return next((encoding for mark, encoding in MARKS if begin.startswith(mark)), None)


def undecodable(path: Path, record: int, error: UnicodeError, encoding: str) -> InputError:
    """The error of bytes that are not of the declared encoding, or lack the mark that it needs."""
    said = f"{encoding}: {error}"
    if isinstance(error, UnicodeDecodeError):
        said = f"byte 0x{error.object[error.start]:02x} is not {encoding}"
    return InputError(
        f"{path.name}: near record {record}: {said}",
        advice="Deliver the file in that encoding, or set the source's `encoding`.",
    )


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path.name}: cannot be read: {error.strerror}",
        advice=f"Check that {path} exists and is readable by this user.",
    )


def _unmarked(path: Path, begin: bytes, declared: str) -> str:
    """The encoding to read with, so that a byte order mark is not part of the text."""
    found = marked(begin)
    if found is None:
        return declared
    if not codecs.lookup(declared).name.startswith(found):
        raise InputError(
            f"{path.name}: the file is {found.upper()}, as its byte order mark says, and the source "
            f"declares {declared}",
            advice=f"Set the source's `encoding: {found}`, or deliver the file in {declared}.",
        )
    return "utf-8-sig" if found == "utf-8" else found


class _Streams:
    """All streams of a file; the standard readers take a damaged one for the end of the file."""

    def __init__(self, compressed: IO[bytes], make: _Make) -> None:
        self._compressed, self._make = compressed, make
        self._stream: _Stream | None = make()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end.

        Raises:
            EOFError: The last stream ends too early.
            OSError, lzma.LZMAError: A stream is damaged.
        """
        while True:
            if self._stream is not None and self._stream.eof:
                self._rest, self._stream = self._stream.unused_data, None
            if not self._rest and (self._stream is None or self._stream.needs_input):
                self._rest = self._compressed.read(CHUNK_BYTES)
                if not self._rest:
                    if self._stream is None:
                        return b""
                    raise EOFError("it ends before the end of a stream")
            if self._stream is None:
                self._rest = self._rest.lstrip(b"\0")  # streams may be padded
                self._stream = self._make() if self._rest else None
                continue
            data, self._rest = self._stream.decompress(self._rest, size), b""
            if data:
                return data


class _Decompressed(io.RawIOBase):
    """The bytes below a compression; what cannot be decompressed is an error that names the file."""

    def __init__(self, path: Path, compressed: io.BufferedReader) -> None:
        self._path = path
        if (
            path.suffix.lower() == ".zst"
        ):  # fsspec's reader ends in a frame that is cut without an error
            self._raw = pa.CompressedInputStream(pa.PythonFile(compressed, mode="r"), "zstd")
        elif (kind := path.suffix.lower()) in DECOMPRESSORS:
            self._raw = _Streams(compressed, DECOMPRESSORS[kind])
        else:
            self._raw = compr[infer_compression(path.name.lower())](compressed, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data: bytes = self._raw.read(len(buffer))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - each compression has errors of its own
            raise InputError(
                f"{self._path.name}: cannot be decompressed: {error}",
                advice="Deliver it again, whole; write under another name and rename when complete.",
            ) from None
        buffer[: len(data)] = data
        return len(data)


class _HashedReader(io.RawIOBase):
    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        return len(data)

    def finish(self) -> str:
        for data in iter(lambda: self._raw.read(1 << 20), b""):
            self._digest.update(data)
        return self._digest.hexdigest()
