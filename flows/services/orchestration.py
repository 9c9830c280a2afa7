"""What a Prefect server must know before runs can be asked of it: pool, limits, deployments, crash watch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed
from prefect.workers.process import ProcessWorker

from flows.services.processes import ServiceError

CRASH_WATCH = "lakehouse: a run without a heartbeat has crashed"
ROOT_VARIABLE = "LAKEHOUSE_ROOT"
"""Names the folder of the code on a worker's machine; Prefect would fill it in at deployment if it could."""
SILENCE = timedelta(seconds=90)
"""Three missed heartbeats."""
UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def ensure_pool(client: SyncPrefectClient, name: str) -> None:
    """A process work pool of that name exists; one that is there stays as it is."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template)
        )


def ensure_limits(client: SyncPrefectClient, limits: Mapping[str, int]) -> None:
    """Every limit exists with its number of slots."""
    for name, slots in limits.items():
        client.upsert_global_concurrency_limit_by_name(name, slots)


def ensure_crash_watch(client: SyncPrefectClient) -> None:
    """Runs whose process ended without a word (power cut, SIGKILL) become Crashed instead of Running."""
    if client.read_automations_by_name(CRASH_WATCH):
        return
    beat = "prefect.flow-run.heartbeat"
    ends = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
    trigger = EventTrigger(
        after={beat},
        expect={beat, *ends},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENCE,
    )
    action = ChangeFlowRunState(
        name=None,
        state=StateType.CRASHED,
        message=f"no heartbeat for {SILENCE.total_seconds():.0f} s",
        force=False,
    )
    client.create_automation(AutomationCore(name=CRASH_WATCH, trigger=trigger, actions=[action]))


def deploy(prefect_file: Path, *, environment: Mapping[str, str], directory: Path) -> None:
    """Create or update every deployment of a `prefect.yaml`.

    Placeholders of the pull steps are left for the worker's machine to fill in.

    Raises:
        ServiceError: Prefect refuses; the message carries what it said.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        [*command, "--prefect-file", str(prefect_file)],
        env={name: value for name, value in environment.items() if name != ROOT_VARIABLE},
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise ServiceError(f"{prefect_file} could not be deployed", advice=said)


def missing_deployments(client: SyncPrefectClient, prefect_file: Path) -> set[str]:
    """`flow/name` of the file's deployments that the server does not have."""
    wanted = {
        (entry["entrypoint"].rpartition(".")[2], entry["name"])
        for entry in yaml.safe_load(prefect_file.read_text("utf-8"))["deployments"]
    }
    named = DeploymentFilter(name=DeploymentFilterName(any_=sorted({name for _, name in wanted})))
    there = {
        (client.read_flow(found.flow_id).name, found.name)
        for found in client.read_deployments(deployment_filter=named)
    }
    return {"/".join(names) for names in wanted - there}


def worker_reports(client: SyncPrefectClient, pool: str, name: str, since: float) -> bool:
    """Whether the pool's worker of that name has reported since then (seconds since the epoch)."""
    return any(
        worker.name == name
        and worker.last_heartbeat_time is not None
        and worker.last_heartbeat_time.timestamp() > since
        for worker in client.read_workers_for_work_pool(pool)
    )


def close_runs(client: SyncPrefectClient, pool: str, reason: str) -> int:
    """Mark the pool's unfinished runs as crashed; only right once no process works on them.

    Returns:
        How many there were.
    """
    unfinished = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))
    )
    runs = client.read_flow_runs(
        flow_run_filter=unfinished,
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    for run in runs:
        client.set_flow_run_state(run.id, Crashed(message=reason))
    return len(runs)
