"""The API on a port of its own, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from flows.api.keys import HEADER
from flows.services.ports import HOST, free_port

WRITE, READ = "write-key-0123456789", "read-key-0123456789ab"
START_SECONDS = 30


@contextmanager
def served(app: FastAPI, key: str = WRITE) -> Iterator[httpx.Client]:
    """A client of the running application, which ends with the block."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://{HOST}:{port}", headers={HEADER: key}) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
