"""Servers that run as processes of their own: until they listen, and to their end."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from flows.services.ports import HOST

START_SECONDS = 90.0
STOP_SECONDS = 20.0


def await_listener(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a port of this machine takes connections.

    Raises:
        RuntimeError: The process ended, or does not listen within `START_SECONDS`; what it said is in the
            message.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{log.stem} does not answer: {log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force where it does not end when it is asked."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
