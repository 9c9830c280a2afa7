"""A small domain outside of the clone, and commands of the platform in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

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
    environment: Mapping[str, str]
    printed: list[str] = field(default_factory=list)

    def declare(self, *parts: Mapping[str, Any]) -> None:
        """Write the domain `shop` from parts of its file, and a check for each of its tables."""
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
        (folder / "shop.yaml").write_text(yaml.safe_dump(written))
        for layer in ("bronze", "silver"):
            for table in written.get(layer, ()):  # type: ignore[union-attr]
                suite = self.root / "domains" / "checks" / layer / f"{table}.yml"
                suite.parent.mkdir(parents=True, exist_ok=True)
                suite.write_text("checks for staged:\n  - row_count > 0:\n      name: has rows\n")

    def command(
        self, *arguments: str, overrides: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `lakehouse`, and keep what it prints."""
        given = [
            "domain=shop", f"domains={self.root / 'domains'}", "env=test", "format=delta",
            f"paths.lake={self.root / 'lake'}", "retry.attempts=1", *overrides,
        ]  # fmt: skip
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PREFECT_"))}
        folder = self.root / "tmp"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", "from flows.cli import main; main()", *arguments, *given],
            env={
                **clean, "TMPDIR": str(folder), "PREFECT_HOME": str(self.root / "prefect"),
                "PREFECT_LOGGING_LEVEL": "DEBUG", "AWS_MAX_ATTEMPTS": "1", **self.environment,
            },
            cwd=self.root, capture_output=True, text=True, check=False, timeout=800,
        )  # fmt: skip
        self.printed += [done.stdout, done.stderr]
        return done
