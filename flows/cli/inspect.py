"""Commands that only look: config, doctor, status, tables, show, sql, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from conf.formats import described
from conf.load import compose_config, load_config
from flows.cli.rows import SHOWN_ROWS, print_rows, reader_of, rows_of, short
from flows.json_values import plain
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from storage.types import Snapshot, TableRef


@click.command("config")
@click.argument("overrides", nargs=-1)
def config_command(overrides: tuple[str, ...]) -> None:
    """Print the composed configuration; references to secrets stay references."""
    from omegaconf import OmegaConf  # noqa: PLC0415

    click.echo(OmegaConf.to_yaml(compose_config(overrides), resolve=False), nl=False)


@click.command("doctor")
@click.argument("overrides", nargs=-1)
def doctor_command(overrides: tuple[str, ...]) -> int:
    """Compare this machine with what is needed and say what to do."""
    from flows.cli.doctor import examine  # noqa: PLC0415

    return examine(load_config(overrides))


@click.command("tables")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def tables_command(overrides: tuple[str, ...], *, as_json: bool) -> None:
    """List the tables of the lake with version, rows, files and bytes."""
    reader = reader_of(overrides)
    rows = []
    for ref in reader.tables():
        stats, head = reader.store.stats(ref), reader.store.head(ref)
        rows.append(
            {
                "table": ref.label, "format": reader.store.format_of(ref),
                "version": head.version, "rows": stats.rows, "files": stats.files, "bytes": stats.bytes,
                "committed_at": head.committed_at.isoformat(timespec="seconds"),
            }
        )  # fmt: skip
    print_rows(
        rows,
        as_json=as_json,
        title=f"{reader.config.domain.name}, {described(reader.config.format)}",
    )


@click.command("status")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many runs to show.",
)
def status_command(overrides: tuple[str, ...], *, as_json: bool, runs: int) -> None:
    """Show the last runs and what waits: blocked batches and quarantined rows."""
    reader = reader_of(overrides)
    report = TableRef("ops", "ops", "runs")
    rows: list[dict[str, Any]] = []
    if reader.store.exists(report):
        rows = [
            r for r in reader.table(report).to_pylist() if r["domain"] == reader.config.domain.name
        ]
    rows.sort(key=lambda r: r["started_at"], reverse=True)
    stopped = _stopped(reader)
    held = [
        {"table": ref.label, "rows": reader.store.stats(ref).rows}
        for ref in reader.tables()
        if ref.name.endswith("__quarantine") and reader.store.stats(ref).rows
    ]
    overdue = _overdue(reader)
    if as_json:
        shown = {
            "runs": rows[:runs], "stopped": stopped, "quarantined": held, "overdue": overdue,
        }  # fmt: skip
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    wanted = (
        "run_id",
        "status",
        "seconds",
        "tables_published",
        "rows_published",
        "score",
        "message",
    )
    print_rows([{k: short(r[k]) for k in wanted} for r in rows[:runs]], title="runs")
    if stopped:
        print_rows(
            [{k: short(", ".join(v) if isinstance(v, list) else v) for k, v in row.items()}
             for row in stopped],
            title="tables that stopped in their last run",
        )  # fmt: skip
    if held:
        print_rows(held, title="rows in quarantine")
    for line in overdue:
        click.echo(line)


@click.command("show")
@click.argument("table")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=SHOWN_ROWS,
    show_default=True,
    help="How many rows to show.",
)
def show_command(table: str, overrides: tuple[str, ...], *, as_json: bool, rows: int) -> None:
    """Show a table: columns with their meaning, versions, what it was made from, and some rows."""
    reader = reader_of(overrides)
    ref = reader.ref(table)
    data = reader.table(ref)
    docs = _docs(reader.config.domain, ref)
    columns = [
        {"column": f.name, "type": str(f.type), "meaning": docs.get(f.name, "")}
        for f in data.schema
    ]
    versions = [_version(entry) for entry in reader.store.history(ref, limit=5)]
    head = reader.store.head(ref).record
    sample = rows_of(data.slice(0, rows))
    if as_json:
        shown = {
            "table": ref.label, "rows": data.num_rows, "columns": columns, "versions": versions,
            "inputs": dict(head.inputs) if head else {}, "sample": plain(sample),
        }  # fmt: skip
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    click.echo(f"{ref.label}: {data.num_rows:,} rows")
    print_rows(columns, title="columns")
    print_rows(versions, title="newest versions")
    if head and head.inputs:
        made = [{"table": label, "version": version} for label, version in head.inputs.items()]
        print_rows(made, title="made from")
    business = [c for c in data.schema.names if not c.startswith("_")] or data.schema.names
    print_rows([{c: short(r[c]) for c in business} for r in sample], title="rows")


@click.command("sql")
@click.argument("query")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many rows to print.",
)
def sql_command(query: str, overrides: tuple[str, ...], *, as_json: bool, rows: int) -> None:
    """Query the tables as layer.table.

    For example: lakehouse sql "select * from gold.daily_revenue"
    """
    result = reader_of(overrides).query(query)
    print_rows(rows_of(result.slice(0, rows)), as_json=as_json)
    if result.num_rows > rows and not as_json:
        click.echo(f"{rows} of {result.num_rows:,} rows; more with --rows", err=True)


@click.command("export")
@click.argument("arguments", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="The whole domain, as without a table.")
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="File of a table, or folder."
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="Kind of the files of a domain.",
)
def export_command(arguments: tuple[str, ...], to: Path, kind: str, *, everything: bool) -> None:
    """Write a table to a .csv or .parquet file, or all gold tables with the quality report.

    A file appears whole or not at all. For a domain, files of unchanged tables are left as they are.

    For example: lakehouse export domain=olist --to out
    """
    from flows.export import export_domain, export_table  # noqa: PLC0415 - DuckDB takes a while

    labels = [a for a in arguments if "=" not in a]
    reader = reader_of(tuple(a for a in arguments if "=" in a))
    if len(labels) > 1 or (labels and everything):
        raise ConfigurationError(
            "name one table, or none for the whole domain", advice="See: lakehouse export -h"
        )
    if labels and to.suffix not in (".csv", ".parquet"):
        raise ConfigurationError(f"--to {to}: the file's name must end in .csv or .parquet")
    done = (
        [export_table(reader, reader.ref(labels[0]), to)]
        if labels
        else export_domain(reader, to, kind)
    )
    exported = 0
    for made in done:
        exported += 1
        told = f"{made.rows:,} rows to" if made.written else "unchanged in"
        click.echo(f"{made.table.label}: {told} {made.file}")
    if not exported:
        raise ConfigurationError(
            f"domain {reader.config.domain.name} has no gold table in this lake yet",
            advice=f"Load it first: lakehouse run {overrides_of(reader.config)}",
        )


COMMANDS = (config_command, doctor_command, tables_command, status_command, show_command,
            sql_command, export_command)  # fmt: skip


def _stopped(reader: Any) -> list[dict[str, Any]]:
    """Tables whose last run was blocked or failed, and the batches to resolve."""
    report = TableRef("ops", "ops", "table_metrics")
    if not reader.store.exists(report):
        return []
    last: dict[str, dict[str, Any]] = {}
    for row in sorted(reader.table(report).to_pylist(), key=lambda r: r["recorded_at"]):
        if row["domain"] == reader.config.domain.name:
            last[row["table_name"]] = row
    wanted = {"table_name": "table", "status": "status", "blocked_batches": "batches",
              "message": "message"}  # fmt: skip
    return [
        {name: row[column] for column, name in wanted.items()}
        for row in last.values()
        if row["status"] in ("blocked", "failed")
    ]


def _overdue(reader: Any) -> list[str]:
    """Tables whose newest delivery is older than they promise."""
    from flows.runtime import Runtime, new_run  # noqa: PLC0415
    from tasks.gate import freshness  # noqa: PLC0415

    context = Runtime(reader.config, new_run()).context(spark=False)
    return freshness.overdue(context, reader.config.domain.tables())


def _docs(domain: Any, ref: TableRef) -> dict[str, str]:
    columns = getattr(domain.find(ref), "columns", {})
    return {n: c.doc for n, c in columns.items()} if isinstance(columns, dict) else {}


def _version(entry: Snapshot) -> dict[str, Any]:
    record = entry.record
    return {
        "version": entry.version,
        "committed_at": entry.committed_at.isoformat(timespec="seconds"),
        "operation": entry.operation,
        "run": record.run_id if record else "",
        "rows": ", ".join(f"{n:,} {k}" for k, n in record.rows.items() if n) if record else "",
    }
