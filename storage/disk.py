"""What is written to a disk: whole or not at all, and safe from a loss of power."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from storage.errors import LakehouseError, StorageDeniedError, StorageFullError, TransientError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file beside the target to write to; it takes the target's place when all went well.

    Its name is its own, so that processes that write the same target at once do not meet, and hidden, so
    that nobody takes it for a delivery or a table's file.

    Raises:
        StorageDeniedError: The folder or the file cannot be written.
        StorageFullError: The disk is full.
    """
    with _beside(target, _replaced) as partial:
        yield partial


@contextmanager
def creating(target: Path) -> Iterator[Path]:
    """As `replacing`, for a target that nobody may have made before.

    Raises:
        FileExistsError: There is a file of that name.
        StorageDeniedError: The folder or the file cannot be written.
        StorageFullError: The disk is full.
    """
    with _beside(target, _linked) as partial:
        yield partial


def write_text(target: Path, text: str) -> None:
    """Replace the target's content by a text in UTF-8.

    Raises:
        StorageDeniedError: The folder or the file cannot be written.
        StorageFullError: The disk is full.
    """
    with replacing(target) as partial:
        partial.write_text(text, "utf-8")


def sync(path: Path) -> None:
    """Let the content of a file, or the names in a folder, outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replaced(partial: Path, target: Path) -> bool:
    os.replace(partial, target)
    return True


def _linked(partial: Path, target: Path) -> bool:
    """Unlike a rename it fails where the name is taken."""
    try:
        os.link(partial, target)
    except FileExistsError:
        return False
    return True


@contextmanager
def _beside(target: Path, place: Callable[[Path, Path], bool]) -> Iterator[Path]:
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        sync(partial)
        placed = place(partial, target)
        sync(target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            partial.unlink()
    if not placed:
        raise FileExistsError(errno.EEXIST, "it exists", str(target))


def _unwritable(target: Path, error: OSError) -> LakehouseError:
    reason = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        return TransientError(f"{target.parent}: another process removed it", advice="Run again.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"{target}: {reason}", advice="Free disk space.")
    return StorageDeniedError(
        f"cannot write {target}: {reason}",
        advice="Choose another folder, or give this user write access to it.",
    )
