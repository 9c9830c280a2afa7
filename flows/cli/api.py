"""`lakehouse api`: serve the REST API."""

from __future__ import annotations

import click

from conf.load import load_config


@click.command("api")
@click.argument("overrides", nargs=-1)
def api_command(overrides: tuple[str, ...]) -> None:
    """Take records and show tables over HTTP.

    For example: lakehouse api domain=finance api.port=8000

    Keys are read from LAKEHOUSE_API_WRITE_KEYS and LAKEHOUSE_API_READ_KEYS, separated by commas.
    """
    import uvicorn  # noqa: PLC0415 - only this command serves

    from flows.api.app import make_app  # noqa: PLC0415

    config = load_config(overrides)
    app = make_app(config)
    where = f"http://{config.api.host}:{config.api.port}"
    click.echo(f"{where}\n  calls  {where}/docs\n  stop   Ctrl-C", err=True)
    uvicorn.run(
        app, host=config.api.host, port=config.api.port, log_level="warning", server_header=False
    )


COMMANDS = (api_command,)
