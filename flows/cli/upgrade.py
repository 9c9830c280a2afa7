"""The command that rebuilds what was written with another meaning: upgrade."""

from __future__ import annotations

import json

import click

from conf.load import load_config
from flows.cli.run import run
from flows.runtime import Runtime, new_run
from tasks.contracts import Outdated, outdated


@click.command("upgrade")
@click.argument("overrides", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would be rebuilt.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def upgrade_command(overrides: tuple[str, ...], *, dry_run: bool, as_json: bool) -> int:
    """Rebuild from bronze what an older version of the code, the SQL or a contract wrote.

    Each table is replaced in one commit, through the same gates; what did not change is left alone.
    """
    config = load_config(overrides)
    found = outdated(Runtime(config, new_run()).bench(spark=False), config.domain.tables())
    if not found or dry_run:
        click.echo(json.dumps([_as_dict(o) for o in found], indent=2) if as_json else _text(found))
        return 0
    if not as_json:
        click.echo(_text(found))
    labels = ",".join(o.table.label for o in found)
    kept = [o for o in overrides if o.split("=", 1)[0] not in ("tables", "layers")]
    return run((*kept, f"tables=[{labels}]"), as_json=as_json, rebuild=True)


def _text(found: list[Outdated]) -> str:
    if not found:
        return "nothing to upgrade: every table was written with the meaning declared now"
    return "\n".join(["to rebuild from bronze:", *(f"  {o}" for o in found)])


def _as_dict(found: Outdated) -> dict[str, str]:
    return {
        "table": found.table.label,
        "found": found.found,
        "wanted": found.wanted,
        "code": found.code,
        "because": found.because,
    }


COMMANDS = (upgrade_command,)
