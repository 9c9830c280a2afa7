"""Ports on loopback: a free one, and who has a taken one."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import psutil

from flows.services.processes import POLL_SECONDS, ServiceError

HOST = "127.0.0.1"
"""Loopback only: the server asks nobody for a password."""
RELEASE_SECONDS = 3.0
"""A server that was killed keeps its port for a moment after it is gone."""


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def refuse_taken(port: int) -> None:
    """Say who has the port; a server that `up` did not start is not taken over.

    Raises:
        ServiceError: The port is taken, or may not be used.
    """
    deadline = time.monotonic() + RELEASE_SECONDS
    while error := _bind_error(port):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"port {port} cannot be used: {error.strerror}{_holder(port)}",
                advice=f"Choose another one: lakehouse up --port {free_port()}",
            )
        time.sleep(POLL_SECONDS)


def _bind_error(port: int) -> OSError | None:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,):
                name = psutil.Process(connection.pid).name() if connection.pid else "unknown"
                return f" (process {connection.pid}, {name})"
    except psutil.Error:  # other users' processes are not shown to everyone
        pass
    return ""
