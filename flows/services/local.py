"""What a laptop needs around the pipeline: Prefect's server, a worker, deployments, limits; up and down."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import filelock
from prefect.client.orchestration import SyncPrefectClient

from flows.limits import read_limits
from flows.services.orchestration import (
    ROOT_VARIABLE,
    close_runs,
    deploy,
    ensure_crash_watch,
    ensure_limits,
    ensure_pool,
    missing_deployments,
    worker_reports,
)
from flows.services.ports import HOST, free_port, refuse_taken
from flows.services.processes import POLL_SECONDS, Service, ServiceError, descendants, stop
from storage.disk import write_text

DEFAULT_PORT = 4200
WORKER = "lakehouse"
"""The worker's name on the server."""
ROOT = Path(__file__).parents[2]

Say = Callable[[str], None]


@dataclass(frozen=True)
class ServiceSettings:
    """Where services live and what their runs work on. All paths are absolute.

    Attributes:
        folder: State, logs and Prefect's own database.
        root: Folder of the code; runs start there.
        prefect_file: Deployments and limits.
        paths: Folders that runs get by environment variable: `LAKEHOUSE_LANDING`, `LAKEHOUSE_LAKE`,
            `LAKEHOUSE_CACHE`.
        port: Port of the server; None for the one used before, else 4200; 0 for any free one.
        pool: Name of the work pool.
        grace_seconds: Time that a process has to end by itself.
        patience_seconds: Time that a service has to answer.
    """

    folder: Path
    root: Path = ROOT
    prefect_file: Path = ROOT / "deployments" / "prefect.yaml"
    paths: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    pool: str = "local"
    grace_seconds: float = 15.0
    patience_seconds: float = 180.0

    @property
    def server(self) -> Service:
        return Service("server", self.folder)

    @property
    def worker(self) -> Service:
        return Service("worker", self.folder)


@dataclass(frozen=True)
class Status:
    """What runs, and where to look.

    Attributes:
        changes: What the call did; empty when everything was as asked already.
    """

    port: int
    server_pid: int
    worker_pid: int
    folder: Path
    changes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Address of the user interface."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """Value for PREFECT_API_URL."""
        return api_url(self.port)


@dataclass(frozen=True)
class _State:
    """What the services were started with; it outlives an interrupted `up` and ends with `down`."""

    port: int
    paths: dict[str, str]


def up(settings: ServiceSettings, say: Say = lambda _: None) -> Status:
    """Start what is not running: server, work pool, limits, crash watch, deployments, worker.

    Repeatable: what runs stays as it is, and an interrupted call is completed by the next.

    Raises:
        ServiceError: A port is taken, a service does not answer, or the services run with other folders.
    """
    with _alone(settings.folder):
        state = _intended(settings)
        changes = _start_server(settings, state, say)
        environment = service_environment(settings, state.port)
        with SyncPrefectClient(api_url(state.port)) as client:
            ensure_pool(client, settings.pool)
            ensure_limits(client, read_limits(settings.prefect_file))
            ensure_crash_watch(client)
            changes += _deploy(settings, client, environment, say)
            changes += _start_worker(settings, client, environment, say)
        status = current(settings)
    if status is None:
        raise ServiceError("a service ended at once", advice=settings.worker.evidence())
    return Status(status.port, status.server_pid, status.worker_pid, status.folder, tuple(changes))


def down(settings: ServiceSettings, say: Say = lambda _: None) -> list[int]:
    """Stop what `up` started, with the runs in progress, and nothing else.

    The worker goes first, so that its runs are closed on the server before that goes too.

    Returns:
        Pids of the stopped processes; empty when nothing was running.

    Raises:
        ServiceError: A process does not end.
    """
    if not settings.folder.is_dir():
        return []
    with _alone(settings.folder):
        server, worker = settings.server.process(), settings.worker.process()
        others = [p for p in descendants(settings.folder) if p != server]
        if others:
            say("stopping the worker and its runs")
        first = [worker] if worker else []
        stopped = stop(
            [*first, *(p for p in others if p != worker)], grace_seconds=settings.grace_seconds
        )
        if server is not None:
            _close_runs(settings, say)
            say("stopping the server")
            stopped += stop([server], grace_seconds=settings.grace_seconds)
        for left in (settings.server.record, settings.worker.record, _file(settings.folder)):
            left.unlink(missing_ok=True)
    return [process.pid for process in stopped]


def current(settings: ServiceSettings) -> Status | None:
    """What runs of it now, or None unless both the server and the worker do."""
    server, worker = settings.server.process(), settings.worker.process()
    state = _load(settings.folder)
    if server is None or worker is None or state is None:
        return None
    return Status(state.port, server.pid, worker.pid, settings.folder)


def api_url(port: int) -> str:
    """Address of the server's API."""
    return f"http://{HOST}:{port}/api"


def service_environment(settings: ServiceSettings, port: int) -> dict[str, str]:
    """The environment of the services: this process's without its Prefect settings, plus their own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return {
        **inherited,
        **settings.paths,
        ROOT_VARIABLE: str(settings.root),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_HOME": str(settings.folder / "prefect"),
        "PREFECT_API_URL": api_url(port),
        # Leases in memory would be lost with the server, and the slots they hold never be free again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


def _intended(settings: ServiceSettings) -> _State:
    """The state to reach: what runs already decides, what does not is free to change."""
    before = _load(settings.folder)
    running = settings.server.process() or settings.worker.process()
    if before is None or running is None:
        port = DEFAULT_PORT if settings.port is None else settings.port or free_port()
        port = before.port if before and settings.port is None else port
        state = _State(port, dict(settings.paths))
        _save(settings.folder, state)
        return state
    if settings.port and settings.port != before.port:
        _refuse(f"on port {before.port}, not {settings.port}")
    for name, value in settings.paths.items():
        if settings.worker.process() and before.paths.get(name) != value:
            _refuse(f"with {name}={before.paths.get(name)}, not {value}")
    state = _State(before.port, dict(settings.paths))
    _save(settings.folder, state)
    return state


def _refuse(how: str) -> None:
    raise ServiceError(f"the services are running {how}", advice="Stop them first: lakehouse down")


def _start_server(settings: ServiceSettings, state: _State, say: Say) -> list[str]:
    if settings.server.process():
        _await_server(settings, state.port)
        return []
    refuse_taken(state.port)
    say(f"starting Prefect's server on port {state.port}")
    command = [sys.executable, "-m", "prefect", "server", "start"]
    settings.server.start(
        [*command, "--host", HOST, "--port", str(state.port)],
        environment=service_environment(settings, state.port),
        directory=settings.root,
    )
    _await_server(settings, state.port)
    return ["server"]


def _await_server(settings: ServiceSettings, port: int) -> None:
    with SyncPrefectClient(api_url(port)) as client:
        _await(lambda: client.api_healthcheck() is None, settings.server, settings.patience_seconds)


def _deploy(
    settings: ServiceSettings, client: SyncPrefectClient, environment: Mapping[str, str], say: Say
) -> list[str]:
    """Deploy what is new or changed; what was changed on the server alone (a pause) stays."""
    deployed = settings.folder / "prefect" / "deployed.sha256"
    digest = _digest(settings)
    same = deployed.is_file() and deployed.read_text("utf-8") == digest
    if same and not missing_deployments(client, settings.prefect_file):
        return []
    say(f"deploying {settings.prefect_file}")
    deploy(settings.prefect_file, environment=environment, directory=settings.root)
    write_text(deployed, digest)
    return ["deployments"]


def _start_worker(
    settings: ServiceSettings, client: SyncPrefectClient, environment: Mapping[str, str], say: Say
) -> list[str]:
    process, started = settings.worker.process(), []
    if process is None:
        say("starting a worker")
        command = [sys.executable, "-m", "prefect", "worker", "start", "--name", WORKER]
        process = settings.worker.start(
            [*command, "--pool", settings.pool, "--type", "process",
             "--install-policy", "never", "--no-create-pool-if-not-found"],
            environment=environment,
            directory=settings.root,
        )  # fmt: skip
        started = ["worker"]
    since = process.create_time()
    _await(
        lambda: worker_reports(client, settings.pool, WORKER, since),
        settings.worker,
        settings.patience_seconds,
    )
    return started


def _await(ready: Callable[[], bool], service: Service, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if service.process() is None:
            raise ServiceError(f"the {service.name} ended", advice=service.evidence())
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the {service.name} does not answer after {seconds:.0f} s",
                advice=service.evidence(),
            )
        time.sleep(POLL_SECONDS)


def _close_runs(settings: ServiceSettings, say: Say) -> None:
    state = _load(settings.folder)
    if state is None:
        return
    try:
        with SyncPrefectClient(api_url(state.port)) as client:
            if closed := close_runs(client, settings.pool, "stopped by lakehouse down"):
                say(f"{closed} unfinished runs marked as crashed; retry them after lakehouse up")
    except Exception as error:  # noqa: BLE001 - a server that does not answer is stopped all the same
        say(f"unfinished runs could not be marked: {error}")


def _digest(settings: ServiceSettings) -> str:
    """Of everything that a deployment is made of: its file, and the signatures of the code beside it."""
    seen = hashlib.sha256(settings.prefect_file.read_bytes())
    for file in sorted((settings.root / "flows").glob("*.py")):
        seen.update(file.read_bytes())
    return seen.hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / "services.lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise ServiceError(
            f"another lakehouse up or down is at work in {folder}",
            advice="Try again when it ended.",
        ) from error


def _file(folder: Path) -> Path:
    return folder / "state.json"


def _load(folder: Path) -> _State | None:
    try:
        note = json.loads(_file(folder).read_text("utf-8"))
        return _State(port=int(note["port"]), paths=dict(note["paths"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _save(folder: Path, state: _State) -> None:
    write_text(_file(folder), json.dumps(asdict(state), indent=2))
