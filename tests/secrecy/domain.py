"""A small domain outside of the clone, and commands of the platform in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from omegaconf import OmegaConf

from flows.services.ports import HOST, free_port
from tests.sessions import REPOSITORY

HOW_TO = REPOSITORY / "docs" / "how-to"


def page_blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind of a how-to page."""
    text = (HOW_TO / page).read_text("utf-8")
    return [part.split("```")[0] for part in text.split(f"```{kind}\n")[1:]]


@dataclass
class Place:
    """A folder that holds all that commands leave behind: domain, lake, Prefect's records, logs.

    Attributes:
        printed: What each command printed.
    """

    root: Path
    environment: dict[str, str]
    printed: list[str] = field(default_factory=list)

    @property
    def landing(self) -> Path:
        """An empty folder of deliveries."""
        return self.root / "landing"

    def declare(self, *parts: Mapping[str, Any]) -> None:
        """Write the domain `shop` from parts of its file, and for each table a check.

        A gold table takes all columns of its one input.
        """
        domain = OmegaConf.merge(
            {
                "name": "shop", "as_of": "select timestamp '2026-03-01'",
                "roots": {"sql": "../sql", "checks": "../checks"},
            },
            *parts,
        )  # fmt: skip
        folder = self.root / "domains" / "domain"
        folder.mkdir(parents=True, exist_ok=True)
        written = OmegaConf.to_container(domain, resolve=False)
        (folder / "shop.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
        for layer in ("bronze", "silver", "gold"):
            for table, spec in written.get(layer, {}).items():  # type: ignore[union-attr]
                suite = self.root / "domains" / "checks" / layer / f"{table}.yml"
                suite.parent.mkdir(parents=True, exist_ok=True)
                rows = "staged" if layer == "bronze" else "result"
                suite.write_text(f"checks for {rows}:\n  - row_count > 0:\n      name: has rows\n")
                if layer == "gold":
                    sql = self.root / "domains" / "sql" / spec["sql"]
                    sql.parent.mkdir(parents=True, exist_ok=True)
                    sql.write_text(f"select {', '.join(spec['columns'])} from {spec['inputs'][0]}")

    def command(
        self, *arguments: str, overrides: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `lakehouse`, and keep what it prints."""
        done = subprocess.run(
            self._line(arguments, overrides), env=self._variables(), cwd=self.root,
            capture_output=True, text=True, check=False, timeout=800,
        )  # fmt: skip
        self.printed += [done.stdout, done.stderr]
        return done

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Have a Prefect server record what runs in the block; its database is in the folder."""
        port = free_port()
        line = [
            sys.executable,
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            HOST,
            "--port",
            str(port),
        ]
        with (self.root / "prefect-server.log").open("w") as log:
            server = subprocess.Popen(line, env=self._variables(), stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://{HOST}:{port}/api", timeout=60) as client:
                _await(client, server)
            self.environment["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"
            yield
        finally:
            self.environment.pop("PREFECT_API_URL", None)
            server.terminate()
            server.wait(timeout=60)

    @contextmanager
    def serving(self, *, overrides: Sequence[str] = ()) -> Iterator[httpx.Client]:
        """Run `lakehouse api` for the length of the block, and keep what it prints."""
        port = free_port()
        line = self._line(["api"], [*overrides, f"api.port={port}"])
        process = subprocess.Popen(
            line, env=self._variables(), cwd=self.root, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=60) as client:
                _await(client, process)
                yield client
        finally:
            process.terminate()
            self.printed.append(process.communicate(timeout=60)[0])

    def _line(self, arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
        chosen = [] if any(o.startswith("format=") for o in overrides) else ["format=delta"]
        given = [
            "domain=shop", f"domains={self.root / 'domains'}", "env=test", *chosen,
            f"paths.lake={self.root / 'lake'}", "retry.attempts=1", "retry.first_delay_seconds=0.1",
            *overrides,
        ]  # fmt: skip
        return [sys.executable, "-c", "from flows.cli import main; main()", *arguments, *given]

    def _variables(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PREFECT_"))}
        folder = self.root / "tmp"
        for made in (folder, self.landing):
            made.mkdir(exist_ok=True)
        return {
            **clean, "TMPDIR": str(folder), "PREFECT_HOME": str(self.root / "prefect"),
            "PREFECT_LOGGING_LEVEL": "DEBUG", "AWS_MAX_ATTEMPTS": "1", **self.environment,
        }  # fmt: skip


def _await(
    client: httpx.Client,
    process: subprocess.Popen[str] | subprocess.Popen[bytes],
    seconds: float = 60,
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/health")
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{client.base_url} does not answer")
