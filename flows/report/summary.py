"""The result of a run, from which the terminal, the artifacts and `ops` are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.gate import score
from flows.runs import Run
from tasks.ops.report import TableOutcome


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        status: done, blocked or failed.
        score: Data-quality score over all checks of the run, 0 to 1; without any, 1 for a run that
            is done, else 0.
    """

    run_id: str
    domain: str
    format: str
    status: str
    score: float
    message: str
    seconds: float
    outcomes: tuple[TableOutcome, ...]


def summarise(run: Run, outcomes: Sequence[TableOutcome], overdue: Sequence[str] = ()) -> Summary:
    """Judge a run from what became of its tables; `overdue` names those that nothing new arrived for."""
    results = [result for o in outcomes if o.gate for result in o.gate.results]
    info, config, status = run.runtime.run, run.runtime.config, _status(outcomes)
    return Summary(
        run_id=info.run_id,
        domain=config.domain.name,
        format=config.format.name,
        status=status,
        score=score(results) if results else float(status == "done"),
        message="; ".join([_message(outcomes), *overdue]),
        seconds=(datetime.now(UTC) - info.started_at).total_seconds(),
        outcomes=tuple(outcomes),
    )


def _status(outcomes: Sequence[TableOutcome]) -> str:
    statuses = {o.status for o in outcomes}
    if "failed" in statuses:
        return "failed"
    return "blocked" if "blocked" in statuses else "done"


def _message(outcomes: Sequence[TableOutcome]) -> str:
    count = {
        s: sum(1 for o in outcomes if o.status == s) for s in ("published", "pushed", "skipped")
    }
    parts = [
        f"{o.table.label} {o.status}: {o.message}"
        for o in outcomes
        if o.status in ("failed", "blocked")
    ]
    if not parts and not count["published"] and not count["pushed"]:
        return "nothing new: no table was changed"
    written = [o.rows for o in outcomes if o.status == "published"]
    rows, removed = (sum(r.get(name, 0) for r in written) for name in ("published", "removed"))
    parts.insert(0, f"{_counted(count['published'], 'table')} published, {_counted(rows, 'row')}")
    if removed:
        parts[0] += f", {removed:,} removed"
    if count["pushed"]:
        rows = sum(o.rows.get("published", 0) for o in outcomes if o.status == "pushed")
        parts.insert(1, f"{_counted(count['pushed'], 'table')} pushed, {_counted(rows, 'row')}")
    if count["skipped"]:
        kept = "keeps its version" if count["skipped"] == 1 else "keep their version"
        parts.append(f"{_counted(count['skipped'], 'table')} downstream {kept}")
    return "; ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
