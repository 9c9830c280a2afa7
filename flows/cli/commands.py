"""The commands of `lakehouse`: each module is imported when one of its commands is called."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "api": ("api", "Take records and show tables over HTTP."),
    "backfill": (
        "backfill",
        "Restate partitions of tables from bronze, and bring what reads them up to date.",
    ),
    "batch": ("batches", "Accept or reject a batch that a gate blocked."),
    "config": (
        "inspect",
        "Print the composed configuration; references to secrets stay references.",
    ),
    "contract": (
        "contract",
        "Print the contract of a table, or of all tables, in the Open Data Contract Standard.",
    ),
    "demo": ("run", "Generate data unless paths.landing names real files, then run the pipeline."),
    "doctor": ("inspect", "Compare this machine with what is needed and say what to do."),
    "down": ("services", "Stop what `lakehouse up` started, and nothing else."),
    "export": (
        "inspect",
        "Write a table to a .csv or .parquet file, or all gold tables with the quality report.",
    ),
    "generate": ("data", "Write data to try a domain with, the same rows for the same seed."),
    "ingest": ("run", "Take new files of the landing folder into bronze only."),
    "init": ("init", "Begin something new."),
    "migrate": ("migrate", "Move a table, with every version and its record, to another format."),
    "push": ("run", "Merge the published gold tables into their destinations only."),
    "quarantine": ("quarantine", "Look at rows that are kept out of silver, and let them in."),
    "rebuild": ("run", "Rebuild silver and gold from bronze, in place, through the same gates."),
    "rollback": (
        "rollback",
        "Take a table, a layer or a whole run back to the state before, as new commits.",
    ),
    "run": ("run", "Bring the tables of a domain up to date."),
    "show": (
        "inspect",
        "Show a table: columns with their meaning, versions, what it was made from, and some rows.",
    ),
    "sql": ("inspect", "Query the tables as layer.table."),
    "status": (
        "inspect",
        "Show the last runs and what waits: blocked batches and quarantined rows.",
    ),
    "tables": ("inspect", "List the tables of the lake with version, rows, files and bytes."),
    "test": ("cases", "Run the given/expect cases of a domain's SQL, without a lake."),
    "up": ("services", "Start Prefect's server, a worker and the deployments on this machine."),
    "upgrade": (
        "upgrade",
        "Rebuild from bronze what an older version of the code, the SQL or a contract wrote.",
    ),
    "validate": (
        "validate",
        "Check domains without data: declarations, SQL, checks, and what nobody uses.",
    ),
}
"""Module and short help of each command, so that the list is shown without importing any."""


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"flows.cli.{COMMANDS[cmd_name][0]}")
        found: dict[str | None, click.Command] = {c.name: c for c in module.COMMANDS}
        return found[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])
