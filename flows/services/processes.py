"""Background processes, identified by pid and start time, so that no other process is ever stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.services import launch
from storage.errors import TerminalError
from storage.processes import is_alive, same

SERVICES_VARIABLE = "LAKEHOUSE_SERVICES"
"""Environment variable that a service's descendants inherit: the folder of the services they serve."""
POLL_SECONDS = 0.2


class ServiceError(TerminalError):
    """A background service could not be started, reached or stopped."""


@dataclass(frozen=True)
class Service:
    """One background process of a folder of services.

    Attributes:
        name: What it is: `server`, `worker`.
        folder: Where its record `<name>.json` and its log `<name>.log` are.
    """

    name: str
    folder: Path

    @property
    def record(self) -> Path:
        """Pid, start time (seconds since the epoch) and command, as JSON."""
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """What the process prints; starts of the service are appended."""
        return self.folder / f"{self.name}.log"

    def process(self) -> psutil.Process | None:
        """The running process, or None: a pid that now belongs to another process is not it."""
        try:
            note = json.loads(self.record.read_text("utf-8"))
            return same(int(note["pid"]), float(note["created"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
    ) -> psutil.Process:
        """Start the process apart from this one and its terminal; its record exists on return.

        Raises:
            ServiceError: The command could not be started, or ended at once.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            launched = subprocess.run(
                [sys.executable, "-I", launch.__file__, str(self.record), *command],
                env={**environment, SERVICES_VARIABLE: str(self.folder)},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        process = self.process()
        if launched.returncode or process is None:
            raise ServiceError(f"the {self.name} did not start", advice=self.evidence())
        return process

    def evidence(self, lines: int = 15) -> str:
        """The end of the log, for an error message."""
        try:
            tail = self.log.read_text("utf-8", errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            tail = []
        return "\n  ".join([f"See {self.log}:", *tail])


def descendants(folder: Path) -> list[psutil.Process]:
    """Every process that a service of this folder started, also where the one between has ended.

    This process and its ancestors are never among them.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in spared and process.environ().get(SERVICES_VARIABLE) == str(
                folder
            ):
                found.append(process)
        except psutil.Error:  # ended meanwhile, or another user's
            continue
    return found


def stop(processes: Iterable[psutil.Process], *, grace_seconds: float) -> list[psutil.Process]:
    """Terminate processes with their children, and kill what is left after the grace time.

    Returns:
        Those that were running.

    Raises:
        ServiceError: A process outlives even that.
    """
    members: dict[int, psutil.Process] = {}
    for process in processes:
        for member in (process, *_children(process)):
            if is_alive(member):
                members.setdefault(member.pid, member)
    for member in members.values():
        _signal(member, kill=False)
    left = _wait(members.values(), grace_seconds)
    left = [*left, *(child for process in left for child in _children(process))]
    for member in left:
        _signal(member, kill=True)
    if stuck := _wait(left, grace_seconds):
        pids = ", ".join(str(process.pid) for process in stuck)
        raise ServiceError(f"processes {pids} do not end", advice="Look at them with ps.")
    return list(members.values())


def _signal(process: psutil.Process, *, kill: bool) -> None:
    """Signal exactly this process: pid and start time are compared once more before."""
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = [process for process in left if is_alive(process)]
    return left


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
