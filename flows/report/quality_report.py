"""`quality_report.json`: the newest result of every check of a domain, for programs.

Its form is `quality_report.schema.json`, beside this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conf.schema import Config
from flows.report.summary import Summary
from storage.disk import write_text
from tasks.ops.report import TableOutcome

NAME = "quality_report.json"
VERSION = 1
"""Counts up when a reader of the report has to change."""

Entry = dict[str, Any]


def report_path(config: Config) -> Path:
    """Where the report of the configured domain and format is."""
    return Path(config.paths.reports) / config.domain.name / config.format.name / NAME


def write_report(config: Config, summary: Summary) -> Path:
    """Write the report of a run over that of the run before.

    Tables that this run did not check keep their entries, each with the run that it is of.
    """
    path = report_path(config)
    declared = {ref.label for ref in config.domain.tables()}
    made = report(summary, [e for e in _entries(path) if _label(e) in declared])
    text = json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")
    return path


def report(summary: Summary, before: Sequence[Entry] = ()) -> dict[str, Any]:
    """The report of a run.

    Args:
        summary: The run.
        before: Entries of earlier runs, for tables that this one did not check.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    checked = [o for o in summary.outcomes if o.gate]
    labels = {o.table.label for o in checked}
    own = [entry | {"checked_at": now} for o in checked for entry in _checks(o, summary.run_id)]
    return {
        "version": VERSION,
        "domain": summary.domain,
        "format": summary.format,
        "run_id": summary.run_id,
        "status": summary.status,
        "message": summary.message,
        "score": round(summary.score, 6),
        "finished_at": now,
        "seconds": round(summary.seconds, 3),
        "tables": [
            {"layer": o.table.layer, "table": o.table.name, "status": o.status}
            for o in summary.outcomes
        ],
        "checks": [*(e for e in before if _label(e) not in labels), *own],
    }


def _checks(outcome: TableOutcome, run_id: str) -> list[Entry]:
    gate, rows = outcome.gate, outcome.rows
    assert gate is not None  # noqa: S101 - the caller has looked
    return [
        {
            "layer": outcome.table.layer,
            "table": outcome.table.name,
            "check": result.name,
            "outcome": result.outcome.value,
            "waived": result.name in gate.waived,
            "severity": result.severity.value,
            "value": _finite(result.value),
            "threshold": result.threshold,
            "rows": rows.get("ingested", rows.get("computed", 0)),
            "seconds": None if result.seconds is None else round(result.seconds, 3),
            "message": result.message,
            "run_id": run_id,
        }
        for result in gate.results
    ]


def _finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _label(entry: Mapping[str, Any]) -> str:
    return f"{entry['layer']}.{entry['table']}"


def _entries(path: Path) -> list[Entry]:
    """The entries of the report that is there; none where there is none of this version."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return list(found["checks"]) if found["version"] == VERSION else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
