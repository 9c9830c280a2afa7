"""`make services` and `make services-down`: the real services of the tests, for a person.

Each runs in a background process of its own that holds it until it is told to end. Its port, and a
password that it makes, change from one start to the next.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol

import click
import psutil

from flows.services.processes import POLL_SECONDS, Service, ServiceError, descendants, stop
from storage.disk import replacing
from tests.services import crm

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("LAKEHOUSE_SERVICES_FOLDER", REPOSITORY / ".services"))
"""Where the services keep what they write; a test has one of its own."""
ENVIRONMENT = FOLDER / "environment.sh"
START_SECONDS = 240.0
GRACE_SECONDS = 25.0


class Running(Protocol):
    """A service that runs."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which a domain finds it."""


Start = Callable[[Path], AbstractContextManager[Running]]

SERVICES: Mapping[str, str] = {
    "hubspot": "hubspot_server",
    "kafka": "kafka_broker",
    "postgres": "postgres_server",
    "s3": "s3_server",
}
"""The module of each service, and the context manager in it that starts it in a folder."""


@click.group()
def services() -> None:
    """Real services on loopback, for tests by hand."""


@services.command("up")
def up() -> None:
    """Start what does not run, and write the environment to source."""
    found = [Service(name, FOLDER) for name in SERVICES]
    for service in found:
        if service.process() is None or not _variables(service).exists():
            _end([service])
            _variables(service).unlink(missing_ok=True)
            command = [sys.executable, "-m", "tests.services", "hold", service.name]
            service.start(command, environment=os.environ, directory=REPOSITORY)
    for service in found:
        _await(service)
        click.echo(f"{service.name} runs, its log is {service.log}")
    _write(ENVIRONMENT, "".join(_exports(found)))
    click.echo(f"source {os.path.relpath(ENVIRONMENT)}")


@services.command("down")
def down() -> None:
    """Stop what runs, half-started services included."""
    found = [Service(name, FOLDER) for name in SERVICES]
    _end(found)
    left = stop(descendants(FOLDER), grace_seconds=GRACE_SECONDS)
    for service in found:
        _variables(service).unlink(missing_ok=True)
        service.record.unlink(missing_ok=True)
    ENVIRONMENT.unlink(missing_ok=True)
    click.echo(f"services are down{f', {len(left)} leftover processes too' if left else ''}")


@services.command("env")
def env() -> None:
    """Print the environment of what runs, as shell commands."""
    running = [Service(name, FOLDER) for name in SERVICES]
    click.echo("".join(_exports(s for s in running if s.process() is not None)), nl=False)


@services.command("load-crm")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def load_crm(folder: Path) -> None:
    """Put what the generator of the domain crm wrote into a folder into the services that run."""
    names = [service for name in SERVICES if (service := Service(name, FOLDER)).process()]
    variables = [json.loads(_variables(service).read_text("utf-8")) for service in names]
    crm.load(folder.glob("crm_*_[0-9][0-9].*"), dict(ChainMap(*variables)))


@services.command("hold", hidden=True)
@click.argument("name", type=click.Choice(sorted(SERVICES)))
def hold(name: str) -> None:
    """Run one service in this process until it is terminated."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # leaves the block, which stops the service
    service = Service(name, FOLDER)
    started: Start = getattr(import_module(f"tests.services.{name}"), SERVICES[name])
    with started(FOLDER / name) as running:
        _write(_variables(service), json.dumps(dict(running.environment)))
        while True:
            signal.pause()


def _await(service: Service) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _variables(service).exists():
        if service.process() is None or time.monotonic() > deadline:
            _end([service])
            raise ServiceError(f"{service.name} did not start", advice=service.evidence())
        time.sleep(POLL_SECONDS)


def _end(found: list[Service]) -> None:
    """Let the processes stop what they hold; those that do not are killed with it."""
    processes = [process for service in found if (process := service.process()) is not None]
    for process in processes:
        process.terminate()
    _, left = psutil.wait_procs(processes, timeout=GRACE_SECONDS)
    stop(left, grace_seconds=GRACE_SECONDS)


def _variables(service: Service) -> Path:
    """The environment of a running service, as JSON; written once it answers."""
    return service.folder / f"{service.name}.environment.json"


def _write(file: Path, text: str) -> None:
    with replacing(file) as draft:
        draft.touch(mode=0o600)
        draft.write_text(text, "utf-8")


def _exports(found: Iterator[Service] | list[Service]) -> Iterator[str]:
    for service in found:
        for name, value in json.loads(_variables(service).read_text("utf-8")).items():
            yield f"export {name}={shlex.quote(value)}\n"


if __name__ == "__main__":
    services()
