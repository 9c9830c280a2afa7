"""A deployment's flow without a lake: it writes down where it found itself."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Literal

from prefect import flow, task

from flows.limits import run_slot


@task(tags={"publish"}, persist_result=False)
def step(seconds: float) -> tuple[float, float]:
    started = time.time()
    time.sleep(seconds)
    return started, time.time()


@flow(name="pipeline", persist_result=False)
def pipeline(
    format: Literal["delta", "iceberg"] = "delta",
    seconds: float = 0,
    tables: list[str] | None = None,
) -> None:
    """Stub of the pipeline."""
    lake = Path(os.environ["LAKEHOUSE_LAKE"])
    lake.mkdir(parents=True, exist_ok=True)
    with run_slot():
        (lake / "running.json").write_text(json.dumps({"pid": os.getpid()}))
        steps = [future.result() for future in [step.submit(0.5), step.submit(0.5)]]
        time.sleep(seconds)
    found = {
        "format": format,
        "tables": tables,
        "landing": os.environ["LAKEHOUSE_LANDING"],
        "directory": str(Path.cwd()),
        "module": __file__,
        "path": sys.path[:3],
        "prefect": {k: v for k, v in os.environ.items() if k.startswith("PREFECT_")},
        "steps": sorted(steps),
    }
    (lake / f"{format}.json").write_text(json.dumps(found))
