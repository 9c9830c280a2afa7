"""The command that runs the cases of a domain's SQL: test."""

from __future__ import annotations

from collections import Counter

import click

from conf.load import load_config
from storage.errors import ConfigurationError

EXIT_DIFFERENT = 1


@click.command("test")
@click.argument("overrides", nargs=-1)
def test_command(overrides: tuple[str, ...]) -> int:
    """Run the given/expect cases of a domain's SQL, without a lake.

    They are in <roots.sql>/tests/<layer>/<table>.yml. For example:
    lakehouse test domain=olist tables=[gold.daily_revenue]
    """
    from flows.scratch import scratch_session, with_small_profile  # noqa: PLC0415
    from tasks.authoring.cases import reading, tables  # noqa: PLC0415 - keeps the other commands quick
    from tasks.authoring.cases.running import Outcome, Runner  # noqa: PLC0415

    config = load_config(with_small_profile(overrides))
    domain = config.domain
    cases = reading.read(domain, config.tables)
    if not cases:
        raise ConfigurationError(
            f"domain {domain.name} has no cases",
            advice=f"Write them in {tables.folder(domain)}/<layer>/<table>.yml",
        )
    outcomes: list[Outcome] = []
    with scratch_session(config) as session:
        runner = Runner(session, domain)
        for case in cases:
            outcomes.append(runner.run(case))
            if not outcomes[-1].passed:
                click.secho(f"{case.place}: failed: {case.name}", fg="red")
                click.echo("".join(f"  {line}\n" for line in outcomes[-1].differences), nl=False)
    ran, failed = Counter(c.table.label for c in cases), Counter[str]()
    failed.update(o.case.table.label for o in outcomes if not o.passed)
    for label, count in ran.items():
        bad = f", {failed[label]} failed" if failed[label] else ""
        click.echo(f"{'✗' if bad else '✓'} {label:<32} {count:>3} case{'s' * (count > 1)}{bad}")
    bare = [ref.label for ref in tables.testable(domain) if ref.label not in ran]
    if bare and not config.tables:
        click.echo(f"without cases: {', '.join(bare)}")
    total, bad_total = sum(ran.values()), sum(failed.values())
    seconds = sum(outcome.seconds for outcome in outcomes)
    text = f"{total - bad_total} of {total} cases passed, {bad_total} failed, in {seconds:.1f} s"
    click.secho(text, fg="red" if bad_total else "green")
    return EXIT_DIFFERENT if bad_total else 0


COMMANDS = (test_command,)
