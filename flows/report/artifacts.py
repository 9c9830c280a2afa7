"""A run's gate results and summary as Prefect artifacts."""

from __future__ import annotations

import hashlib
import re

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from checks.model import Outcome
from flows.report.summary import Summary
from tasks.ops.report import TableOutcome, passed
from tasks.ops.tables import WRITTEN
from tasks.records.backfill_ledger import Backfill, Ledger


def _key(name: str) -> str:
    """A name as Prefect takes it in a key: lower-case letters, digits, dashes; a hash tells others apart."""
    plain = name.replace("_", "-")
    key = re.sub("[^a-z0-9-]", "-", plain.lower())
    return key if key == plain else f"{key}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def publish_artifacts(summary: Summary) -> None:
    """Write the summary, and the gate results where gates were evaluated."""
    suffix = _key(f"{summary.domain}-{summary.format}")
    create_markdown_artifact(
        key=f"summary-{suffix}", markdown=markdown(summary), description=summary.message[:500]
    )
    rows = [
        {
            "table": outcome.table.label,
            "check": result.name,
            "outcome": result.outcome.value,
            "value": result.value,
            "threshold": result.threshold or "",
            "severity": result.severity.value,
            "message": "" if result.outcome is Outcome.PASS else result.message,
        }
        for outcome in summary.outcomes
        if outcome.gate
        for result in outcome.gate.results
    ]
    if rows:
        create_table_artifact(
            key=f"gates-{suffix}",
            table=sorted(rows, key=lambda row: row["outcome"] == Outcome.PASS.value),
            description=f"{len(rows)} checks, score {summary.score:.3f}",
        )


def publish_grid(backfill: Backfill, ledger: Ledger) -> None:
    """Write the state of every partition of a backfill."""
    rows = [
        {"table": table.label, "partition": partition.label, "state": entry.state.value,
         "version": entry.version, "message": entry.message}
        for (table, partition), entry in ledger.items()
    ]  # fmt: skip
    create_table_artifact(
        key=f"backfill-{backfill.id}", table=rows, description=f"{len(rows)} partitions"
    )


def markdown(summary: Summary) -> str:
    """The summary as a Markdown table, one row a table."""
    lines = [
        f"## {summary.domain} on {summary.format}: {summary.status}",
        "",
        f"{summary.message}  ",
        f"run `{summary.run_id}`, {summary.seconds:.1f} s, quality score {summary.score:.3f}",
        "",
        "| table | status | in | published | quarantined | checks | seconds |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    lines += [_row(outcome) for outcome in summary.outcomes]
    advice = [o.advice for o in summary.outcomes if o.advice]
    if advice:
        lines += ["", "### What to do next", "", "```", *advice, "```"]
    return "\n".join(lines)


def _row(outcome: TableOutcome) -> str:
    rows = outcome.rows
    good, total = passed(outcome.gate) if outcome.gate else (0, 0)
    cells = [
        outcome.table.label,
        outcome.status,
        f"{rows.get('ingested', rows.get('computed', 0)):,}",
        outcome.written() if outcome.status in WRITTEN else "",
        f"{rows.get('quarantined', 0):,}" if rows else "",
        f"{good}/{total}" if total else "",
        f"{outcome.seconds:.1f}" if outcome.seconds else "",
    ]
    return "| " + " | ".join(cells) + " |"
