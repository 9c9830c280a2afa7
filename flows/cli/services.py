"""Commands that start and stop what a laptop needs: up, down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.domains import VARIABLE
from conf.load import load_config
from storage.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.services.local import ServiceSettings, Status

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the services' state and logs. [default: .lakehouse/services of the project]",
)


@click.command("up")
@click.argument("overrides", nargs=-1)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The server's port, 0 for any. [default: 4200]"
)
@_folder
def up_command(overrides: tuple[str, ...], port: int | None, folder: Path | None) -> None:
    """Start Prefect's server, a worker and the deployments on this machine.

    Runs of the deployments use the folders of this configuration, for example:
    lakehouse up paths.landing=DIR paths.lake=DIR
    """
    from flows.services import local as services  # noqa: PLC0415 - Prefect takes a second to import

    status = services.up(settings(overrides, port=port, folder=folder), _say)
    click.echo(where_to_look(status))


@click.command("down")
@_folder
def down_command(folder: Path | None) -> None:
    """Stop what `lakehouse up` started, and nothing else."""
    from flows.services import local as services  # noqa: PLC0415

    stopped = services.down(services.ServiceSettings(folder=_absolute(folder)), _say)
    click.echo(f"stopped {len(stopped)} processes" if stopped else "nothing was running")


COMMANDS = (up_command, down_command)


def settings(
    overrides: tuple[str, ...], *, port: int | None = None, folder: Path | None = None
) -> ServiceSettings:
    """Settings whose runs use the folders of the composed configuration.

    Raises:
        storage.errors.ConfigurationError: The configuration does not compose.
    """
    from flows.services.local import ServiceSettings  # noqa: PLC0415

    config = load_config(overrides)
    paths = config.paths
    if paths.landing_options:
        raise ConfigurationError(
            "paths.landing_options: runs that Prefect starts do not get them",
            advice="Let the object store's library find them itself: AWS_ENDPOINT_URL, "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the machine's role.",
        )
    given = {
        "LAKEHOUSE_LANDING": paths.landing,
        "LAKEHOUSE_LAKE": paths.lake,
        "LAKEHOUSE_CACHE": paths.cache,
        **({VARIABLE: config.domains} if config.domains else {}),
    }
    return ServiceSettings(folder=_absolute(folder), paths=given, port=port)


def where_to_look(status: Status) -> str:
    """What to type and open next."""
    folder = "" if status.folder == _absolute(None) else f" --folder {status.folder}"
    did = f"started: {', '.join(status.changes)}" if status.changes else "already running"
    return f"""{did}
  user interface  {status.url}
  logs            {status.folder / "server.log"}
                  {status.folder / "worker.log"}
  run             export PREFECT_API_URL={status.api_url} DO_NOT_TRACK=1
                  prefect deployment run 'pipeline/olist' -p format=iceberg --watch
  stop            lakehouse down{folder}"""


def _absolute(folder: Path | None) -> Path:
    from flows.services.local import ROOT  # noqa: PLC0415

    return (folder or ROOT / ".lakehouse" / "services").expanduser().absolute()


def _say(line: str) -> None:
    click.echo(line, err=True)
