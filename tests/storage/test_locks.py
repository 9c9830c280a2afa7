"""Locks between processes; nothing here needs Spark."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from storage.errors import LockTimeoutError, TransientError
from storage.locks import Locks

REPOSITORY = Path(__file__).parents[2]
NAME = "delta.shop_silver/orders"
HOLD = """
import sys, time
from pathlib import Path
from storage.locks import Locks

folder, jvm = Path(sys.argv[1]), int(sys.argv[2]) or None
with Locks(folder, timeout_seconds=10, jvm_pid=jvm).hold({name!r}):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""
COUNT = """
import sys, time
from pathlib import Path
from storage.locks import Locks

folder, counter = Path(sys.argv[1]), Path(sys.argv[2])
locks = Locks(folder, timeout_seconds=60)
for _ in range(int(sys.argv[3])):
    with locks.hold({name!r}):
        found = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(found + 1))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python programs with pipes, and ends those that are left."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program.format(name=NAME), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def survivor() -> Iterator[subprocess.Popen[bytes]]:
    """Stands for the JVM that a killed run leaves behind."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    yield process
    process.kill()
    process.wait()


def holder(start: Start, folder: Path, jvm: int = 0) -> subprocess.Popen[str]:
    process = start(HOLD, folder, jvm)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def rewrite(folder: Path, **values: object) -> Path:
    """Put other values into the file that names the last holder; None leaves a value out."""
    (owner,) = folder.glob("*.owner")
    told = json.loads(owner.read_text()) | values
    owner.write_text(json.dumps({name: v for name, v in told.items() if v is not None}))
    return owner


def test_one_process_at_a_time_is_inside(start: Start, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [start(COUNT, tmp_path / "locks", counter, 50) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "150"


def test_waiting_in_vain_ends_with_the_holder_named(start: Start, tmp_path: Path) -> None:
    process = holder(start, tmp_path)
    began = time.monotonic()
    with (
        pytest.raises(LockTimeoutError, match=rf"process {process.pid}\b") as caught,
        Locks(tmp_path, timeout_seconds=0.5).hold(NAME),
    ):
        pytest.fail("the lock was given to two")
    assert 0.4 < time.monotonic() - began < 5
    assert isinstance(caught.value, TransientError)
    assert "orders" in caught.value.message


def test_the_timeout_of_one_call_comes_first(start: Start, tmp_path: Path) -> None:
    holder(start, tmp_path)
    began = time.monotonic()
    with (
        pytest.raises(LockTimeoutError),
        Locks(tmp_path, timeout_seconds=60).hold(NAME, timeout_seconds=0.2),
    ):
        pytest.fail("the lock was given to two")
    assert time.monotonic() - began < 5


def test_other_names_are_free(start: Start, tmp_path: Path) -> None:
    holder(start, tmp_path)
    with Locks(tmp_path, timeout_seconds=0).hold("delta.shop_silver/items"):
        pass


def test_a_released_lock_is_free_even_after_an_error(tmp_path: Path) -> None:
    locks = Locks(tmp_path, timeout_seconds=0)
    with pytest.raises(ZeroDivisionError), locks.hold(NAME):
        raise ZeroDivisionError
    with locks.hold(NAME):
        pass


def test_the_lock_of_a_killed_holder_is_free_again(start: Start, tmp_path: Path) -> None:
    kill(holder(start, tmp_path))
    with Locks(tmp_path, timeout_seconds=5).hold(NAME):
        pass


def test_the_jvm_of_a_killed_holder_is_waited_for(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    kill(holder(start, tmp_path, survivor.pid))
    with (
        pytest.raises(LockTimeoutError, match=rf"process {survivor.pid} of a killed run") as caught,
        Locks(tmp_path, timeout_seconds=0.5).hold(NAME),
    ):
        pytest.fail("the JVM may still be committing")
    assert f"End process {survivor.pid}" in caught.value.advice
    survivor.kill()
    survivor.wait()
    with Locks(tmp_path, timeout_seconds=0.5).hold(NAME):
        pass


def test_waiting_ends_when_the_jvm_does(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    kill(holder(start, tmp_path, survivor.pid))
    waiter = start(HOLD, tmp_path, 0)
    time.sleep(1.5)
    assert waiter.poll() is None
    survivor.kill()
    survivor.wait()
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"


def test_a_jvm_that_ended_but_was_not_reaped_is_not_waited_for(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """In a container without an init process nobody reaps the JVM of a killed run."""
    kill(holder(start, tmp_path, survivor.pid))
    survivor.kill()
    deadline = time.monotonic() + 5
    while psutil.Process(survivor.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    with Locks(tmp_path, timeout_seconds=0.5).hold(NAME):
        pass


def test_a_holder_that_was_not_reaped_is_dead_all_the_same(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    process = holder(start, tmp_path, survivor.pid)
    process.kill()  # and nobody waits for it
    with (
        pytest.raises(LockTimeoutError, match="of a killed run"),
        Locks(tmp_path, timeout_seconds=1).hold(NAME),
    ):
        pytest.fail("the JVM may still be committing")


def test_a_process_that_only_has_the_number_of_the_jvm_is_not_waited_for(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    kill(holder(start, tmp_path, survivor.pid))
    rewrite(tmp_path, started=psutil.Process(survivor.pid).create_time() - 3600)
    with Locks(tmp_path, timeout_seconds=0.5).hold(NAME):
        pass


@pytest.mark.parametrize("successor", ["another process", "the one that asks for the lock"])
def test_a_process_that_only_has_the_number_of_the_killed_holder_is_not_the_holder(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path, successor: str
) -> None:
    """Pids are given again; in a container every run may have the same one."""
    process = holder(start, tmp_path, survivor.pid)
    (owner,) = tmp_path.glob("*.owner")
    began = json.loads(owner.read_text())["pid_started"]
    assert began == pytest.approx(psutil.Process(process.pid).create_time(), abs=1)
    kill(process)
    pid = os.getppid() if successor == "another process" else os.getpid()
    rewrite(tmp_path, pid=pid, pid_started=psutil.Process(pid).create_time() - 3600)
    with (
        pytest.raises(LockTimeoutError, match=rf"process {survivor.pid} of a killed run"),
        Locks(tmp_path, timeout_seconds=0.5).hold(NAME),
    ):
        pytest.fail("the JVM may still be committing")


@pytest.mark.parametrize(("written", "waits"), [(-3600, True), (0, False)])
def test_a_lock_file_without_the_start_of_its_holder_is_read(
    survivor: subprocess.Popen[bytes], tmp_path: Path, written: float, waits: bool
) -> None:
    """What an older version wrote: whoever has the pid now is the holder if it was there at the time."""
    with Locks(tmp_path, timeout_seconds=0, jvm_pid=survivor.pid).hold(NAME):
        pass
    owner = rewrite(tmp_path, pid_started=None)
    at = psutil.Process().create_time() + 60 + written
    os.utime(owner, (at, at))
    expected = (
        pytest.raises(LockTimeoutError, match="of a killed run")
        if waits
        else contextlib.nullcontext()
    )
    with expected, Locks(tmp_path, timeout_seconds=0.5).hold(NAME):
        pass


def test_the_jvm_is_known_though_the_boot_time_reads_a_second_later(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    kill(holder(start, tmp_path, survivor.pid))
    rewrite(tmp_path, started=psutil.Process(survivor.pid).create_time() - 1)
    with (
        pytest.raises(LockTimeoutError, match="of a killed run"),
        Locks(tmp_path, timeout_seconds=0.5).hold(NAME),
    ):
        pytest.fail("the JVM may still be committing")


def test_the_jvm_of_a_living_process_is_not_waited_for(
    start: Start, survivor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """It released the lock itself, so its JVM has nothing under way on that table."""
    process = holder(start, tmp_path, survivor.pid)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout is not None
    assert process.stdout.readline() == "released\n"
    assert process.poll() is None
    with Locks(tmp_path, timeout_seconds=5).hold(NAME):
        pass


@pytest.mark.parametrize(
    "written", ['{"pid": 1', "null", "[]", '{"pid": -1, "jvm": -5}', '{"pid": "x", "jvm": "y"}']
)
def test_a_damaged_owner_file_does_no_harm(tmp_path: Path, written: str) -> None:
    with Locks(tmp_path, timeout_seconds=0).hold(NAME):
        pass
    (owner,) = tmp_path.glob("*.owner")
    owner.write_text(written)
    with Locks(tmp_path, timeout_seconds=0).hold(NAME):
        pass
