"""The parent's side of a worker process: starts it, gives it batches, kills it with its JVM."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.sessions import REPOSITORY

READY_SECONDS = 300.0
RUN_SECONDS = 600.0
"""A run that takes longer does not finish."""
END_SECONDS = 60.0


@dataclass(frozen=True)
class Attempt:
    """What became of one run of a batch.

    Attributes:
        end: `done`, `killed`, `failed` (an error), `ended` (the process), or `hung`.
        seconds: From the command to that end.
        running: Table and step of what was under way.
        message: Of an error.
    """

    end: str
    seconds: float
    running: tuple[str, ...] = ()
    message: str = ""


class Worker:
    """A worker process in a session of its own; `log` has what it and its JVM complain of."""

    def __init__(self, format_name: str, folder: Path, domain: str = "accounts") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"worker_{domain}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", format_name, str(folder), domain],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                cwd=REPOSITORY, start_new_session=True,
            )  # fmt: skip
        self._said: queue.Queue[list[str] | None] = queue.Queue()
        self._running: dict[str, str] = {}
        self._began = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._said.put(line.rstrip("\n").split("\t"))
        self._said.put(None)

    def await_ready(self) -> Attempt:
        """Wait until Spark is up: then the end is `ready`."""
        return self.wait_for("ready", READY_SECONDS)

    def start(self, number: int) -> None:
        """Tell the worker to run a batch."""
        self._running.clear()
        self._began = time.monotonic()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the end of its output tells that it has ended
            self._process.stdin.write(f"run {number}\n")
            self._process.stdin.flush()

    def run(self, number: int, *, kill_after: float | None = None) -> Attempt:
        """Run a batch to its end, or kill the worker that many seconds after the command."""
        self.start(number)
        found = self.wait_for("done", RUN_SECONDS if kill_after is None else kill_after)
        if found.end != "hung":
            return found
        self.kill()
        self._drain()
        end = "hung" if kill_after is None else "killed"
        return Attempt(end, self._seconds(), self._under_way())

    def wait_for(self, word: str, seconds: float) -> Attempt:
        """Listen until the worker says a word, fails or ends, or so many seconds after the command."""
        deadline = (self._began or time.monotonic()) + seconds
        while True:
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return Attempt("hung", self._seconds(), self._under_way())
            if said is None:
                return Attempt("ended", self._seconds(), self._under_way())
            self._note(said)
            if said[0] == word:
                return Attempt(word, self._seconds())
            if said[0] == "failed":
                return Attempt("failed", self._seconds(), self._under_way(), said[-1])

    def kill(self) -> None:
        """SIGKILL to the whole process group at once; returns when no process of it is left."""
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        for process in family:  # what has a group of its own
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + END_SECONDS
        while left := [process.pid for process in family if _alive(process)]:
            assert time.monotonic() < deadline, f"still alive after SIGKILL: {left}"
            time.sleep(0.01)

    def stop(self) -> int:
        """Let the worker end by itself; its exit status."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            return self._process.wait(END_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            return -signal.SIGKILL
        finally:
            self.kill()

    def _note(self, said: Sequence[str]) -> None:
        if said[0] == "at" and said[2]:
            self._running[said[1]] = said[2]
        elif said[0] == "at":
            self._running.pop(said[1], None)

    def _drain(self) -> None:
        """Take in what was said before the kill."""
        while (said := self._said.get(timeout=END_SECONDS)) is not None:
            self._note(said)

    def _under_way(self) -> tuple[str, ...]:
        return tuple(f"{label} {step}" for label, step in self._running.items())

    def _seconds(self) -> float:
        return round(time.monotonic() - (self._began or time.monotonic()), 3)


def _alive(process: psutil.Process) -> bool:
    """A process that nobody has reaped yet does nothing more."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
