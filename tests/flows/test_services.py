"""`lakehouse up` and `down` for real: a server, a worker, and a deployment's run through them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result
from prefect.client.orchestration import SyncPrefectClient

from flows.cli.services import down_command, up_command
from flows.limits import RUN_LIMIT, read_limits
from flows.services.local import (
    ServiceSettings,
    current,
    down,
    service_environment,
    up,
)
from flows.services.orchestration import CRASH_WATCH
from flows.services.ports import free_port
from flows.services.processes import Service, ServiceError, descendants

pytestmark = pytest.mark.slow

STUB = Path(__file__).parent / "stub"
DEPLOYMENT = "pipeline/stub"
RUN_SECONDS = 180


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceSettings]:
    """Running services on a free port, whose deployment is the stub."""
    folder = tmp_path_factory.mktemp("services")
    settings = ServiceSettings(
        folder=folder / "state",
        root=STUB,
        prefect_file=STUB / "prefect.yaml",
        paths={
            "LAKEHOUSE_LANDING": str(folder / "landing"),
            "LAKEHOUSE_LAKE": str(folder / "lake"),
        },
        port=free_port(),
        patience_seconds=300,
    )
    try:
        status = up(settings)
        assert status.changes == ("server", "deployments", "worker")
        yield settings
    finally:
        down(settings)
        assert descendants(settings.folder) == []


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not reached"
        time.sleep(0.2)


def prefect(settings: ServiceSettings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Prefect's command line as a person uses it: only PREFECT_API_URL says where the server is."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    status = current(settings)
    assert status is not None
    return subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={
            **environment,
            "PREFECT_API_URL": status.api_url,
            "PREFECT_HOME": str(settings.folder.parent / "user"),
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def lake(settings: ServiceSettings) -> Path:
    return Path(settings.paths["LAKEHOUSE_LAKE"])


def noted(settings: ServiceSettings, name: str) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((lake(settings) / f"{name}.json").read_text("utf-8"))
    return note


def pids(settings: ServiceSettings) -> tuple[int, int]:
    status = current(settings)
    assert status is not None
    return status.server_pid, status.worker_pid


def start_long_run(settings: ServiceSettings) -> psutil.Process:
    """Start a run that outlives the test, and return its process once it works."""
    marker = lake(settings) / "running.json"
    marker.unlink(missing_ok=True)
    done = prefect(settings, "deployment", "run", DEPLOYMENT, "-p", "seconds=600")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: marker.is_file() and bool(marker.read_text()))
    return psutil.Process(noted(settings, "running")["pid"])


def states(settings: ServiceSettings) -> list[str]:
    status = current(settings)
    assert status is not None
    with SyncPrefectClient(status.api_url) as client:
        return sorted(str(run.state_name) for run in client.read_flow_runs())


def test_deployment_runs_to_completion_through_the_worker(services: ServiceSettings) -> None:
    done = prefect(
        services, "deployment", "run", DEPLOYMENT,
        "-p", "format=iceberg", "-p", 'tables=["gold.daily_revenue"]', "--watch",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    note = noted(services, "iceberg")
    assert note["tables"] == ["gold.daily_revenue"]
    assert note["landing"] == services.paths["LAKEHOUSE_LANDING"]
    assert note["directory"] == str(STUB)
    assert note["path"][0] == str(STUB), "the checkout, not flows/, is first on sys.path"
    (_, first_end), (second_start, _) = note["steps"]
    assert second_start >= first_end, "the tag limit of 1 lets one step in at a time"


def test_wrong_choice_is_refused_before_a_run_exists(services: ServiceSettings) -> None:
    before = states(services)
    done = prefect(services, "deployment", "run", DEPLOYMENT, "-p", "format=parquet")
    assert done.returncode != 0
    assert "parquet" in done.stdout + done.stderr
    assert states(services) == before


def test_second_up_changes_nothing(services: ServiceSettings) -> None:
    before = pids(services)
    status = up(replace(services, port=None))
    assert status.changes == ()
    assert pids(services) == before


def test_limits_and_crash_watch_exist(services: ServiceSettings) -> None:
    status = current(services)
    assert status is not None
    with SyncPrefectClient(status.api_url) as client:
        slots = {limit.name: limit.limit for limit in client.read_global_concurrency_limits()}
        assert len(client.read_automations_by_name(CRASH_WATCH)) == 1
    wanted = read_limits(services.prefect_file)
    assert {name: slots.get(name) for name in wanted} == wanted


def test_run_refuses_a_server_without_the_limit_and_up_brings_it_back(
    services: ServiceSettings,
) -> None:
    status = current(services)
    assert status is not None
    with SyncPrefectClient(status.api_url) as client:
        client.delete_global_concurrency_limit_by_name(RUN_LIMIT)
        done = prefect(services, "deployment", "run", DEPLOYMENT, "--watch")
        assert done.returncode == 1
        assert "ConcurrencySlotAcquisitionError" in services.worker.log.read_text("utf-8")
        up(services)
        assert client.read_global_concurrency_limit_by_name(RUN_LIMIT).limit == 1


def test_telemetry_is_off_in_the_running_services(services: ServiceSettings) -> None:
    for pid in pids(services):
        environment = psutil.Process(pid).environ()
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert environment["DO_NOT_TRACK"] == "1"
        assert environment["PREFECT_HOME"].startswith(str(services.folder))


def test_server_listens_on_loopback_only(services: ServiceSettings) -> None:
    server, _ = pids(services)
    listening = [c for c in psutil.Process(server).net_connections() if c.status == "LISTEN"]
    assert {connection.laddr[0] for connection in listening} == {"127.0.0.1"}


def test_up_with_other_folders_or_port_is_refused(services: ServiceSettings) -> None:
    before = pids(services)
    other = {**services.paths, "LAKEHOUSE_LAKE": "/elsewhere"}
    with pytest.raises(ServiceError, match="LAKEHOUSE_LAKE"):
        up(replace(services, paths=other))
    with pytest.raises(ServiceError, match="on port"):
        up(replace(services, port=free_port()))
    assert pids(services) == before


def test_server_that_died_comes_back_without_touching_the_worker(
    services: ServiceSettings,
) -> None:
    server, worker = pids(services)
    psutil.Process(server).kill()
    wait_until(lambda: services.server.process() is None)
    status = up(services)
    assert status.changes == ("server",)
    assert status.worker_pid == worker
    assert prefect(services, "deployment", "run", DEPLOYMENT, "--watch").returncode == 0


def test_down_ends_a_run_in_progress_and_up_goes_on(services: ServiceSettings) -> None:
    run = start_long_run(services)
    mine = {*pids(services), run.pid}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as bystander:
        try:
            stopped = down(services)
            assert bystander.poll() is None
        finally:
            bystander.kill()
    assert mine <= set(stopped)
    assert descendants(services.folder) == []
    assert current(services) is None
    assert down(services) == []

    assert up(services).changes == ("server", "worker"), "deployments are still there"
    assert "Running" not in states(services)
    assert "Crashed" in states(services)
    done = prefect(services, "deployment", "run", DEPLOYMENT, "--watch")
    assert done.returncode == 0, "the slots of the ended run are free"


def test_interrupted_up_is_completed_by_the_next(services: ServiceSettings) -> None:
    """As after Ctrl-C or SIGKILL between the server and the worker: only what is missing is started."""
    server, worker = pids(services)
    psutil.Process(worker).kill()
    wait_until(lambda: services.worker.process() is None)
    services.worker.record.unlink()
    assert current(services) is None
    status = up(services)
    assert status.changes == ("worker",)
    assert status.server_pid == server


def test_commands_start_and_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lakehouse up` on the real deployments; nothing is run."""
    folder = ["--folder", str(tmp_path / "state")]
    paths = [f"paths.lake={tmp_path / 'lake'}", f"paths.landing={tmp_path / 'landing'}"]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # not to be followed
    call = CliRunner()

    def run(*arguments: str) -> Result:
        command = {"up": up_command, "down": down_command}[arguments[0]]
        result = call.invoke(command, list(arguments[1:]), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    try:
        first = run("up", *folder, "--port", "0", *paths)
        second = run("up", *folder, *paths)
        assert "started: server, deployments, worker" in first.output
        assert "already running" in second.output
        api = first.output.split("PREFECT_API_URL=")[1].split()[0]
        with SyncPrefectClient(api) as client:
            deployment = client.read_deployment_by_name("pipeline/olist")
        assert deployment.pull_steps == [
            {
                "prefect.deployments.steps.set_working_directory": {
                    "directory": "{{ $LAKEHOUSE_ROOT }}"
                }
            }
        ]
        worker = Service("worker", tmp_path / "state").process()
        assert worker is not None
        assert worker.environ()["LAKEHOUSE_LAKE"] == str(tmp_path / "lake")
    finally:
        stopped = run("down", *folder)
    assert stopped.output.splitlines()[-1].startswith("stopped ")
    assert "nothing was running" in run("down", *folder).output


def test_settings_of_the_user_do_not_reach_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "private")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    environment = service_environment(ServiceSettings(folder=tmp_path), 1)
    assert "PREFECT_API_KEY" not in environment
    assert "PREFECT_LOGGING_LEVEL" not in environment
