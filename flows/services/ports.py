"""Ports on loopback: a free one, and who has a taken one."""

from __future__ import annotations

import os
import socket
import time

import psutil

from flows.services.processes import POLL_SECONDS, ServiceError

HOST = "127.0.0.1"
"""Loopback only: the server asks nobody for a password."""
RELEASE_SECONDS = 3.0
"""A server that was killed keeps its port for a moment after it is gone."""


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def refuse_taken(port: int) -> None:
    """Say who has the port; a server that `up` did not start is not taken over.

    Raises:
        ServiceError: The port is taken, or may not be used.
    """
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            socket.create_server((HOST, port)).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"port {port} cannot be used: {os.strerror(error.errno or 0)}{_holder(port)}",
                    advice=f"Choose another one: lakehouse up --port {free_port()}",
                ) from error
            time.sleep(POLL_SECONDS)
        else:
            return


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,):
                name = psutil.Process(connection.pid).name() if connection.pid else "unknown"
                return f" (process {connection.pid}, {name})"
    except psutil.Error:  # other users' processes are not shown to everyone
        pass
    return ""
