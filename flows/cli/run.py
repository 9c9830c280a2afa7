"""Commands that move data: run, demo, ingest, rebuild."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from conf.formats import described
from conf.load import load_config
from conf.schema import Config
from flows.cli.follow import follow
from flows.typed import overrides_of
from storage.errors import ConfigurationError, StorageDeniedError, StorageFullError
from tasks.landing.folders import RemoteFolder, is_remote, landing_of
from tasks.landing.names import matching, text_of

if TYPE_CHECKING:
    from flows.progress import Progress
    from flows.report.summary import Summary
    from flows.runtime import Runtime

STATUS = {"done": 0, "failed": 1, "blocked": 3}
MOST_SECONDS = 366 * 24 * 3600
"""Longest pause between two runs."""
SMALL_ROWS = 20_000
"""Up to here the demo runs with `spark=small`, which does without generated code and the slower compiler."""
PARAMETERS = ("domain", "env", "format", "layers", "tables")


@click.command("run")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--follow",
    "seconds",
    type=click.FloatRange(min=0, max=MOST_SECONDS),
    metavar="SECONDS",
    help="Run again and again, with this pause; Ctrl-C or SIGTERM ends it after a run.",
)
def run_command(overrides: tuple[str, ...], *, as_json: bool, seconds: float | None) -> int:
    """Bring the tables of a domain up to date.

    For example: lakehouse run domain=olist format=iceberg paths.landing=DIR paths.lake=DIR
    """
    if seconds is None:
        return run(overrides, as_json=as_json)
    return follow(lambda: run(overrides, as_json=as_json, following=True), seconds)


@click.command("rebuild")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--ops", is_flag=True, help="Only the report: ops.runs, ops.table_metrics, ops.batch_metrics."
)
def rebuild_command(overrides: tuple[str, ...], *, as_json: bool, ops: bool) -> int:
    """Rebuild silver and gold from bronze, in place, through the same gates."""
    if ops:
        return _rebuild_ops(load_config(overrides))
    if not any(o.startswith("layers=") for o in overrides):
        overrides = (*overrides, "layers=[silver,gold,destination]")
    return run(overrides, as_json=as_json, rebuild=True)


@click.command("ingest")
@click.argument("overrides", nargs=-1)
@click.option(
    "--again",
    "files",
    multiple=True,
    help="A delivered file to take in again although bronze has its content.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def ingest_command(overrides: tuple[str, ...], files: tuple[str, ...], *, as_json: bool) -> int:
    """Take new files of the landing folder into bronze only."""
    config = load_config(overrides)
    again = [_delivered(config, file) for file in files]
    layers = () if any(o.startswith("layers=") for o in overrides) else ("layers=[bronze]",)
    return run((*overrides, *layers), as_json=as_json, again=tuple(again))


@click.command("demo")
@click.argument("overrides", nargs=-1)
@click.option("--rows", default=5_000, show_default=True, help="Rows to generate (olist: orders).")
def demo_command(overrides: tuple[str, ...], rows: int) -> int:
    """Generate data unless paths.landing names real files, then run the pipeline."""
    config = load_config(overrides)
    given = any(o.startswith("paths.landing=") for o in overrides)
    given = given or is_remote(config.paths.landing)
    landing = Path(config.paths.landing)
    if not given and not (landing.is_dir() and any(landing.iterdir())):
        from flows.cli.data import generate_files  # noqa: PLC0415

        generate_files(config, landing, rows=rows, seed=7, defects=0.01)
    if not given and rows <= SMALL_ROWS and not any(o.startswith("spark=") for o in overrides):
        overrides = (*overrides, "spark=small")
    return run(overrides)


def _rebuild_ops(config: Config) -> int:
    from flows.runtime import Runtime, domain_lock, new_run  # noqa: PLC0415
    from tasks.ops import report as ops  # noqa: PLC0415

    runtime = Runtime(config, new_run())
    with domain_lock(runtime):
        domain, store = config.domain, runtime.metadata_store()
        commits = ops.rebuild(store, domain.name, domain.tables())
    click.echo(f"ops.runs, table_metrics and batch_metrics rebuilt from {commits} commits")
    return 0


@click.command("push")
@click.argument("overrides", nargs=-1)
@click.option("--whole", is_flag=True, help="Send and compare every row, not only what changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def push_command(overrides: tuple[str, ...], *, whole: bool, as_json: bool) -> int:
    """Merge the published gold tables into their destinations only.

    It asks each destination how far it is, also where nothing is new.
    """
    config = load_config(overrides)
    if not config.domain.pushes():
        raise ConfigurationError(
            f"domain {config.domain.name}: no destination has a url",
            advice=f"Give domain.destinations.NAME.url; see docs/how-to/second-destination.md "
            f"and: lakehouse config domain={config.domain.name}",
        )
    kept = [o for o in overrides if o.split("=", 1)[0] != "layers"]
    return run((*kept, "layers=[destination]"), as_json=as_json, rebuild=whole)


COMMANDS = (run_command, demo_command, ingest_command, rebuild_command, push_command)


def run(
    overrides: Sequence[str],
    *,
    as_json: bool = False,
    rebuild: bool = False,
    again: tuple[str, ...] = (),
    following: bool = False,
) -> int:
    """Run the pipeline flow in this process and show it; returns the exit status.

    With `following`, a run that finds nothing new shows nothing.
    """
    config = load_config(overrides)
    _check_landing(config)
    make_folder(Path(config.paths.lake))
    if "PREFECT_API_URL" in os.environ:
        summary = run_flow(config, overrides, quiet=as_json, rebuild=rebuild, again=again)
    else:
        runtime = _runtime(config, rebuild=rebuild, again=again)
        unchanged = _nothing_new(runtime)
        if unchanged is not None and following:
            return STATUS[unchanged.status]
        summary = unchanged or _run_here(runtime, quiet=as_json)
    if as_json:
        click.echo(json.dumps(as_dict(summary), indent=2))
    else:
        from flows.cli.console import print_summary  # noqa: PLC0415

        print_summary(summary, overrides_of(config))
    return STATUS[summary.status]


def _runtime(config: Config, *, rebuild: bool, again: tuple[str, ...]) -> Runtime:
    from flows.runtime import Runtime, new_run  # noqa: PLC0415

    return Runtime(config, new_run(rebuild=rebuild, again=again, as_of=config.as_of))


def _nothing_new(runtime: Runtime) -> Summary | None:
    """The summary of a run with nothing new, found in a second without Spark and Prefect."""
    from flows.execution import report_unchanged  # noqa: PLC0415

    return report_unchanged(runtime)


def _run_here(runtime: Runtime, *, quiet: bool) -> Summary:
    """Run the steps without Prefect: there is no server that would keep their history."""
    from flows.terminal import run_here  # noqa: PLC0415

    with warm_progress(runtime.config, quiet=quiet) as progress:
        return run_here(runtime, progress)


def run_flow(
    config: Config,
    overrides: Sequence[str],
    *,
    quiet: bool,
    rebuild: bool,
    again: tuple[str, ...],
) -> Summary:
    """Call the pipeline flow, which reports to the server."""
    from flows.pipeline import CALLER, Caller, pipeline  # noqa: PLC0415

    names = {o.split("=", 1)[0] for o in overrides} & set(PARAMETERS)
    rest = [o for o in overrides if o.split("=", 1)[0] not in PARAMETERS]
    chosen = {
        "domain": config.domain.name,
        "env": config.env.name,
        "format": config.format.name,
        "layers": list(config.layers),
        "tables": list(config.tables),
    }
    parameters = {name: chosen[name] for name in names}
    with warm_progress(config, quiet=quiet) as progress:
        token = CALLER.set(Caller(config, progress, again))
        try:
            state = pipeline(**parameters, rebuild=rebuild, overrides=rest, return_state=True)
        finally:
            CALLER.reset(token)
    return cast("Summary", result_of(state))


@contextmanager
def warm_progress(
    config: Config, *, quiet: bool, beside: Callable[[], None] = lambda: None
) -> Iterator[Progress]:
    """Start Spark and, beside it, what else takes its time; tell of the tables while inside."""
    from flows.cli.console import LiveProgress  # noqa: PLC0415
    from flows.progress import Silent  # noqa: PLC0415
    from flows.warmup import warm_up  # noqa: PLC0415

    if not quiet:
        click.echo(f"{config.domain.name} on {described(config.format)}: starting Spark", err=True)
    warm_up(config, beside)
    with Silent() if quiet else LiveProgress(config) as progress:
        yield progress


def result_of(state: Any) -> Any:
    """What a flow returned; its error is raised."""
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result


def make_folder(folder: Path) -> None:
    """Create a folder of the lake.

    Raises:
        StorageDeniedError: It cannot be created with the rights of this process.
        StorageFullError: The disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFullError(
                f"{folder}: {error.strerror}", advice="Free disk space."
            ) from None
        raise StorageDeniedError(
            f"cannot create {folder}: {error.strerror}",
            advice="Give this user write access, or set paths.lake to another folder.",
        ) from None


def as_dict(summary: Summary) -> dict[str, object]:
    """The summary for machines."""
    return {
        "run_id": summary.run_id,
        "domain": summary.domain,
        "format": summary.format,
        "status": summary.status,
        "message": summary.message,
        "score": summary.score,
        "seconds": round(summary.seconds, 3),
        "tables": [
            {
                "table": o.table.label,
                "status": o.status,
                "rows": o.rows,
                "seconds": o.seconds,
                "version": o.version,
                "batches": list(o.gate.batches) if o.gate else [],
                "failed_checks": [
                    {"check": r.name, "outcome": r.outcome.value, "message": r.message}
                    for r in (o.gate.results if o.gate else ())
                    if r.outcome.value != "pass"
                ],
                "message": o.message,
            }
            for o in summary.outcomes
        ],
    }


def _check_landing(config: Config) -> None:
    if is_remote(config.paths.landing) or (config.layers and "bronze" not in config.layers):
        return
    landing = Path(config.paths.landing)
    if not landing.is_dir():
        raise ConfigurationError(
            f"paths.landing: there is no folder {landing}",
            advice="Give the folder that the files arrive in: paths.landing=DIR, or make data to try "
            f"with: lakehouse generate domain={config.domain.name} --to {landing}",
        )


def _delivered(config: Config, file: str) -> str:
    """The full name of a delivered file that is named in full or relative to the landing folder.

    Raises:
        ConfigurationError: There is no such file, or no source takes it.
    """
    landing = landing_of(config.paths.landing, config.paths.landing_options)
    if isinstance(landing, RemoteFolder):
        name = file.removeprefix(f"{landing.url}/")
        if name in {found.name for found in landing.find("*", hidden=True)}:
            _refuse_untaken(config, file, name)
            return f"{landing.url}/{name}"
    else:
        path = Path(file)
        path = path if path.is_absolute() else _first_existing(path.absolute(), landing / path)
        if path.is_file() and landing in path.parents:
            _refuse_untaken(config, file, str(path.relative_to(landing)))
            return str(path)
    raise ConfigurationError(
        f"--again {text_of(file)}: no such file in the landing folder {landing}",
        advice="Name a delivered file, in full or relative to the landing folder.",
    )


def _refuse_untaken(config: Config, file: str, name: str) -> None:
    sources = [source for source in config.domain.bronze.values() if source.pattern]
    if not any(matching(s.pattern, hidden=s.hidden)(name) for s in sources):
        raise ConfigurationError(
            f"--again {text_of(file)}: no source of {config.domain.name} takes a file of that name",
            advice="Compare it with the patterns of the domain. Names that begin with . or _, and those "
            "of files in such folders, are passed over unless the source says hidden: true.",
        )


def _first_existing(*paths: Path) -> Path:
    return next((path for path in paths if path.exists()), paths[0])
