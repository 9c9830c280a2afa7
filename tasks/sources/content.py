"""Content of a delivered file: read once, hashed while it is read, decoded with its declared encoding."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from storage.errors import InputError


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
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


@contextmanager
def opened(path: Path, encoding: str, newline: str) -> Iterator[Content]:
    """The file's text while its bytes are hashed; a UTF-8 byte order mark is passed over.

    Raises:
        InputError: The file cannot be opened.
    """
    try:
        binary = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with binary:
        hashed = _HashedReader(binary)
        text = io.TextIOWrapper(
            io.BufferedReader(hashed, 1 << 20), encoding=_with_bom(encoding), newline=newline
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


def undecodable(path: Path, record: int, error: UnicodeDecodeError, encoding: str) -> InputError:
    """The error of bytes that are not of the declared encoding."""
    byte = error.object[error.start]
    return InputError(
        f"{path.name}: near record {record}: byte 0x{byte:02x} is not {encoding}",
        advice="Deliver the file in that encoding, or set the source's `encoding`.",
    )


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path.name}: cannot be read: {error.strerror}",
        advice=f"Check that {path} exists and is readable by this user.",
    )


def _with_bom(encoding: str) -> str:
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


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
