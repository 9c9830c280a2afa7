"""The command that rebuilds what was written with another meaning: upgrade."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from conf.load import load_config
from flows.cli.run import run
from flows.runtime import Runtime, new_run
from storage.evolution import AddColumn
from tasks.domain.spec import EVENTS
from tasks.ops.tables import add_lacking_columns, lacking_columns
from tasks.records.contracts import Outdated, outdated

Added = Mapping[str, Sequence[AddColumn]]


@click.command("upgrade")
@click.argument("overrides", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def upgrade_command(overrides: tuple[str, ...], *, dry_run: bool, as_json: bool) -> int:
    """Rebuild from bronze what an older version of the code, the SQL or a contract wrote.

    Each table is replaced in one commit, rows and columns, through the same gates; what did not change
    is left alone. Operational tables get the columns that they lack.
    """
    config = load_config(overrides)
    context = Runtime(config, new_run()).context(spark=False)
    found = outdated(context, config.domain.tables())
    added = lacking_columns(context.store) if dry_run else add_lacking_columns(context.store)
    if not found or dry_run:
        shown = [*map(_as_dict, found), *_ops_as_dicts(added)]
        click.echo(json.dumps(shown, indent=2) if as_json else _text(found, added))
        return 0
    if not as_json:
        click.echo(_text(found, added))
    labels = ",".join(dict.fromkeys(o.table.label.removesuffix(EVENTS) for o in found))
    kept = [o for o in overrides if o.split("=", 1)[0] not in ("tables", "layers")]
    chosen = (f"tables=[{labels}]", "layers=[silver,gold,destination]")
    return run((*kept, *chosen), as_json=as_json, rebuild=True)


def _text(found: Sequence[Outdated], added: Added) -> str:
    lines = [
        f"ops.{name} gets {', '.join(column.name for column in columns)}"
        for name, columns in added.items()
    ]
    if found:
        lines += ["to rebuild from bronze:", *(f"  {o}" for o in found)]
    said = "nothing to upgrade: every table was written with the meaning declared now"
    return "\n".join(lines) or said


def _as_dict(found: Outdated) -> dict[str, object]:
    return {
        "table": found.table.label,
        "found": found.found,
        "wanted": found.wanted,
        "code": found.code,
        "because": found.because,
        "changes": list(found.changes),
    }


def _ops_as_dicts(added: Added) -> list[dict[str, object]]:
    return [
        {"table": f"ops.{name}", "columns": [column.name for column in columns]}
        for name, columns in added.items()
    ]


COMMANDS = (upgrade_command,)
