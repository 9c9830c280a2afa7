"""The command that checks domains without data: validate."""

from __future__ import annotations

import json

import click

from conf.load import domain_files
from storage.errors import ConfigurationError
from tasks.authoring.inspection.findings import Findings, Level

EXIT_WRONG = 2


@click.command("validate")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def validate_command(overrides: tuple[str, ...], *, as_json: bool) -> int:
    """Check domains without data: declarations, SQL, checks, and what nobody uses.

    Without domain=... every domain is checked. Spark resolves the SQL against empty views of the declared
    tables, which takes a session of a few seconds. Errors end with 2, warnings with 0.
    """
    from conf.examine import examine  # noqa: PLC0415 - keeps the other commands quick
    from flows.scratch import scratch_session, with_small_profile  # noqa: PLC0415
    from tasks.authoring.inspection.looking import inspect_domain  # noqa: PLC0415

    files = domain_files(overrides)
    chosen = [o.split("=", 1)[1] for o in overrides if o.startswith("domain=")]
    for name in chosen:
        if name not in files:
            raise ConfigurationError(
                f"domain: no choice {name!r}", advice=f"Domains: {', '.join(sorted(files))}"
            )
    others = [o for o in overrides if not o.startswith("domain=")]
    examined = {n: examine(n, files[n], with_small_profile(others)) for n in chosen or files}
    configs = [e.config for e in examined.values() if e.config is not None]
    if configs:
        with scratch_session(configs[0]) as session:
            for one in examined.values():
                if one.config is not None:
                    inspect_domain(session, one.config.domain, one.findings)
    if as_json:
        shown = {n: [f.as_dict() for f in e.findings.found] for n, e in examined.items()}
        click.echo(json.dumps(shown, indent=2))
    else:
        for name, one in examined.items():
            _print(name, one.findings)
    return EXIT_WRONG if any(e.findings.errors for e in examined.values()) else 0


def _print(name: str, findings: Findings) -> None:
    for finding in sorted(findings.found, key=lambda f: (f.file, f.line)):
        click.secho(str(finding), fg="red" if finding.level is Level.error else "yellow")
    errors, warnings = findings.errors, len(findings.found) - findings.errors
    text = f"{name}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    click.secho(text, fg="red" if errors else "green")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


COMMANDS = (validate_command,)
