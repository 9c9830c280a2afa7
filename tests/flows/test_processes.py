"""Background processes: known by pid and start time, stopped with their children and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows.services.local import ServiceSettings, current, down, up
from flows.services.processes import Service, ServiceError, descendants, stop

PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
time.sleep(120)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(120)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not reached"
        time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service("worker", tmp_path)
    yield service
    stop(descendants(tmp_path), grace_seconds=5)


@pytest.fixture
def bystander() -> Iterator[psutil.Process]:
    """A process that nobody may touch."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]) as child:
        yield psutil.Process(child.pid)
        child.kill()


def start(service: Service, code: str) -> psutil.Process:
    return service.start(
        [sys.executable, "-c", code], environment=os.environ, directory=service.folder
    )


def test_service_is_known_by_its_record(service: Service) -> None:
    started = start(service, PARENT)
    assert service.process() == started
    assert json.loads(service.record.read_text())["pid"] == started.pid
    assert started.cmdline()[1] == "-c", "the noted process has turned into the command"


def test_pid_of_another_process_is_not_the_service(
    service: Service, bystander: psutil.Process
) -> None:
    note = {"pid": bystander.pid, "created": bystander.create_time() - 60, "command": []}
    service.record.write_text(json.dumps(note), "utf-8")
    assert service.process() is None
    assert down(ServiceSettings(folder=service.folder)) == []
    assert bystander.is_running()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": 1}', "[]"])
def test_broken_record_is_no_service(service: Service, text: str) -> None:
    service.record.write_text(text, "utf-8")
    assert service.process() is None


def test_stop_ends_children_and_leaves_others(service: Service, bystander: psutil.Process) -> None:
    parent = start(service, PARENT)
    wait_until(lambda: len(parent.children()) == 1)
    (child,) = parent.children()
    stopped = stop([parent], grace_seconds=10)
    assert {process.pid for process in stopped} == {parent.pid, child.pid}
    assert service.process() is None
    assert descendants(service.folder) == []
    assert bystander.is_running()


def test_child_whose_parent_was_killed_is_still_found(service: Service) -> None:
    parent = start(service, PARENT)
    wait_until(lambda: len(parent.children()) == 1)
    (child,) = parent.children()
    parent.kill()
    wait_until(lambda: service.process() is None)
    assert [process.pid for process in descendants(service.folder)] == [child.pid]
    assert down(ServiceSettings(folder=service.folder)) == [child.pid]


def test_process_that_ignores_sigterm_is_killed_after_the_grace_time(service: Service) -> None:
    process = start(service, STUBBORN)
    wait_until(lambda: "deaf" in service.log.read_text())
    began = time.monotonic()
    stop([process], grace_seconds=1)
    assert 1 <= time.monotonic() - began < 10
    assert service.process() is None


def test_service_that_ends_at_once_says_why(service: Service) -> None:
    with pytest.raises(ServiceError, match="did not start") as caught:
        service.start(["/no/such/program"], environment=os.environ, directory=service.folder)
    assert "No such file" in caught.value.advice


def test_up_says_who_has_the_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = ServiceSettings(folder=tmp_path / "services", port=port)
        with pytest.raises(ServiceError, match=rf"port {port} .*process {os.getpid()}") as caught:
            up(settings)
    assert "lakehouse up --port" in caught.value.advice
    assert current(settings) is None
    assert descendants(settings.folder) == []


def test_down_without_up_does_nothing(tmp_path: Path) -> None:
    settings = ServiceSettings(folder=tmp_path / "services")
    assert down(settings) == []
    assert not settings.folder.exists()
