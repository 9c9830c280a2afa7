"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from storage.errors import StorageDeniedError, StorageFullError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file beside the target to write to; it takes the target's place when all went well.

    Raises:
        StorageDeniedError: The folder or the file cannot be written.
        StorageFullError: The disk is full.
    """
    partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, target)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            raise StorageFullError(f"{target}: {reason}", advice="Free disk space.") from error
        raise StorageDeniedError(
            f"cannot write {target}: {reason}",
            advice="Choose another folder, or give this user write access to it.",
        ) from error
    finally:
        if partial.exists():
            partial.unlink()
