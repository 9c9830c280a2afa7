"""Processes of this machine, known by pid and start time: a pid alone is soon another process's."""

from __future__ import annotations

import psutil

SAME_START_SECONDS = 2.0
"""Start times are computed from the boot time, which is known to about a second."""


def started(pid: int | None) -> float | None:
    """When the process of a pid was started, in seconds since the epoch; None where it has ended."""
    found = _running(pid)
    return found[1] if found else None


def same(pid: int | None, start: float | None) -> psutil.Process | None:
    """The process that was started at an instant under a pid; None where it has ended.

    Args:
        pid: Number of the process.
        start: Its start in seconds since the epoch, as `started` gave it; None is no process's.
    """
    found = _running(pid)
    if found is None or start is None or abs(found[1] - start) >= SAME_START_SECONDS:
        return None
    return found[0]


def _running(pid: int | None) -> tuple[psutil.Process, float] | None:
    try:
        process = psutil.Process(pid) if pid else None
        if process is None or not is_alive(process):
            return None
        return process, process.create_time()
    except psutil.Error:
        return None


def is_alive(process: psutil.Process) -> bool:
    """Running, and more than an entry that nobody has collected yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
