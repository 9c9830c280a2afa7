"""Operating-system locks around local writes: one writer a table, one run a domain.

Delta's log store has no put-if-absent for `file:`; two writers can be told that the same version is
theirs, and one commit is gone. `tests/storage/test_lost_commit.py` shows the loss without the lock.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from storage.errors import LakehouseError, LockTimeoutError, TerminalError
from storage.failures import denied, full
from storage.processes import SAME_START_SECONDS, same, started


class Locks:
    """Named locks in a folder of the lake.

    The holder's processes are written beside the lock, each by pid and start time. A killed run leaves a
    JVM that may still be finishing a commit, so a lock is granted only when the JVM of its last holder is
    gone.
    """

    def __init__(self, folder: Path, *, timeout_seconds: float, jvm_pid: int | None = None) -> None:
        self._folder = folder
        self._timeout = timeout_seconds
        self._jvm_pid = jvm_pid

    @contextmanager
    def hold(self, name: str, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Hold the lock `name` for the length of the block.

        Raises:
            LockTimeoutError: Another process held it for longer than the timeout.
            StorageDeniedError: The lock file cannot be written.
            StorageFullError: The disk has no room for the lock file.
        """
        timeout = self._timeout if timeout_seconds is None else timeout_seconds
        path = self._folder / f"{name.replace('/', '.')}.lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=timeout)
            lock.acquire()
        except Timeout:
            raise LockTimeoutError(
                f"lock {path} was held by another process for {timeout:.0f} s ({_holder(path)})",
                advice="Wait for the other run to end, then run again.",
            ) from None
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _await_exit(_owner_file(path), timeout)
            self._sign(path)
            yield
        finally:
            lock.release()

    def check_held(self) -> None:
        """Nothing that this process holds was lost; asked before each commit.

        Raises:
            TransientError: A lock was lost; the operating system takes none from a process that lives.
        """

    def _sign(self, path: Path) -> None:
        pid, jvm = os.getpid(), self._jvm_pid
        owner = {"pid": pid, "pid_started": started(pid), "jvm": jvm, "started": started(jvm)}
        try:
            _owner_file(path).write_text(json.dumps(owner))
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> LakehouseError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full(f"lock {path}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return denied(f"lock {path}")
    return TerminalError(f"lock {path} cannot be taken: {error}")


def _owner_file(path: Path) -> Path:
    return path.with_suffix(".owner")


def _holder(path: Path) -> str:
    try:
        return "process " + str(json.loads(_owner_file(path).read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "owner unknown"


def _await_exit(owner: Path, timeout: float) -> None:
    """Wait for the JVM of a killed holder; a live holder's own JVM is not waited for."""
    try:
        last = json.loads(owner.read_text())
        written = owner.stat().st_mtime
    except (OSError, ValueError):
        return
    if not isinstance(last, dict):
        return  # damaged, or written by hand
    jvm, jvm_started = last.get("jvm"), last.get("started")
    if not _is_process(jvm) or _lives(last, written):
        return
    deadline = time.monotonic() + timeout
    while same(jvm, jvm_started) is not None:
        if time.monotonic() > deadline:
            raise LockTimeoutError(
                f"process {jvm} of a killed run is still alive",
                advice=f"End process {jvm}, then run again.",
            )
        time.sleep(0.05)


def _is_process(pid: object) -> bool:
    return isinstance(pid, int) and pid > 0


def _lives(holder: Mapping[str, Any], written: float) -> bool:
    """Whether the holder is alive; one without a start time had started before its file was written."""
    pid, start = holder.get("pid"), holder.get("pid_started")
    if not _is_process(pid):
        return False
    if start is not None:
        return same(pid, start) is not None
    found = started(pid)
    return found is not None and found < written + SAME_START_SECONDS
