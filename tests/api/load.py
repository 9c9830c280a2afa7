"""Many clients at once against `lakehouse api`, killed in the middle and started again.

`python -m tests.api.load --clients 8 --records 10000` prints latency and throughput, then takes what was
accepted into bronze and counts it.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from conf.load import load_config
from flows.api.keys import HEADER
from flows.reading import Reader
from flows.services.ports import HOST, free_port
from tests.api.conftest import transaction
from tests.api.server import READ, WRITE

LAKEHOUSE = (sys.executable, "-c", "from flows.cli import main; main()")
KEYS = {"LAKEHOUSE_API_WRITE_KEYS": WRITE, "LAKEHOUSE_API_READ_KEYS": READ}
PATIENCE_SECONDS = 120.0


@dataclass
class Load:
    """What clients saw: seconds from each request to its 202, and the ids that were acknowledged."""

    seconds: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    retries: int = 0
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        """The latency that this share of the requests did not exceed, in milliseconds."""
        return statistics.quantiles(self.seconds, n=1000)[round(share * 1000) - 1] * 1000


def overrides(folder: Path, port: int) -> list[str]:
    return [
        "domain=finance", "env=test", f"paths.landing={folder / 'landing'}",
        f"paths.lake={folder / 'lake'}", f"api.port={port}", "api.requests_per_second=100000",
        "api.burst=100000",
    ]  # fmt: skip


@contextmanager
def api(settings: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, which is ended with the block."""
    process = subprocess.Popen([*LAKEHOUSE, "api", *settings], env=os.environ | KEYS)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://{HOST}:{port}/health").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


def drive(folder: Path, *, clients: int, records: int, kill: bool) -> Load:
    """Push records from several clients; with `kill` the server is killed when half of them are accepted."""
    port, load, lock = free_port(), Load(), threading.Lock()
    settings = overrides(folder, port)

    def client(numbers: range) -> None:
        with httpx.Client(base_url=f"http://{HOST}:{port}", headers={HEADER: WRITE}) as session:
            for number in numbers:
                _accepted(session, number, load, lock)

    threads = [
        threading.Thread(target=client, args=(range(n, records, clients),)) for n in range(clients)
    ]
    begun = time.monotonic()
    with api(settings, port) as first:
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        if kill:
            _await(load, records // 2, threads)
            first.kill()
            first.wait()
        else:
            _join(threads)
    if kill:
        with api(settings, port):
            _join(threads)
    load.elapsed = time.monotonic() - begun
    return load


def in_bronze(folder: Path) -> Counter[str]:
    """How often each id is in bronze, after a run that takes in what landed."""
    settings = overrides(folder, 1)
    subprocess.run(
        [*LAKEHOUSE, "ingest", *settings],
        check=True,
        env=os.environ | KEYS,
        stdout=subprocess.DEVNULL,
    )
    reader = Reader(load_config(settings), lambda _: None)
    rows = reader.table(reader.ref("bronze.transactions"))
    return Counter(rows["transaction_id"].to_pylist())


def _accepted(session: httpx.Client, number: int, load: Load, lock: threading.Lock) -> None:
    """Send a record until the server has acknowledged it, as a client would."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        begun = time.monotonic()
        try:
            answer = session.post("/api/v1/ingest", json=transaction(number))
            answer.raise_for_status()
            break
        except httpx.TransportError:
            with lock:
                load.retries += 1
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    with lock:
        load.seconds.append(time.monotonic() - begun)
        load.accepted.append(answer.json()["id"])


def _await(load: Load, accepted: int, threads: Sequence[threading.Thread]) -> None:
    while len(load.accepted) < accepted and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def main() -> None:
    """Measure once without a kill, once with one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--records", type=int, default=10_000)
    given = parser.parse_args()
    for kill in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            load = drive(Path(folder), clients=given.clients, records=given.records, kill=kill)
            counts = in_bronze(Path(folder))
            sys.stdout.write(
                f"{given.clients} clients, {given.records:,} records, "
                f"{'killed once' if kill else 'not killed'}: "
                f"p50 {load.quantile(0.5):.1f} ms, p99 {load.quantile(0.99):.1f} ms, "
                f"{given.records / load.elapsed:,.0f} records/s, {load.retries} retries; "
                f"accepted {len(load.accepted):,}, in bronze {sum(counts.values()):,}, "
                f"missing {len(set(load.accepted) - set(counts)):,}, "
                f"doubled {sum(n > 1 for n in counts.values()):,}\n"
            )


if __name__ == "__main__":
    main()
