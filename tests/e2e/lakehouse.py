"""A lake driven through the command line, as a person would, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conf.load import load_config
from conf.overrides import assigned
from conf.schema import Config
from flows.cli import invoke
from flows.reading import Reader
from flows.runtime import Runtime, new_run
from storage.base import TableStore
from tasks.domain.schemas import DELETED
from tests.oracle.compare import assert_equal
from tests.oracle.olist import KEYS


class Oracle(Protocol):
    """What an independent computation expects, by table; quarantine has file, record and rule."""

    @property
    def silver(self) -> Mapping[str, pa.Table]: ...

    @property
    def gold(self) -> Mapping[str, pa.Table]: ...

    @property
    def quarantine(self) -> Mapping[str, pa.Table]: ...


@dataclass(frozen=True)
class Result:
    """Exit status and summary of a command."""

    status: int
    summary: dict[str, Any]

    def statuses(self) -> dict[str, str]:
        """What became of each table."""
        return {t["table"]: t["status"] for t in self.summary["tables"]}

    def table(self, label: str) -> dict[str, Any]:
        """The part of one table."""
        found: dict[str, Any] = next(t for t in self.summary["tables"] if t["table"] == label)
        return found


@lru_cache
def _composed(overrides: tuple[str, ...]) -> Config:
    """The configuration of a lake, composed once for all its tables, since that takes a second."""
    return load_config(list(overrides))


@dataclass
class Lakehouse:
    """One lake and its landing folder."""

    format: str
    root: Path
    capsys: pytest.CaptureFixture[str]
    extra: list[str] = field(default_factory=list)

    @property
    def domain(self) -> str:
        """The domain that the settings choose."""
        chosen = [text.removeprefix("domain=") for text in self.extra if text.startswith("domain=")]
        return chosen[0] if chosen else "olist"

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def overrides(self) -> list[str]:
        return [
            "env=test",
            f"format={self.format}",
            assigned("paths.landing", str(self.landing)),
            assigned("paths.lake", str(self.root / "lake")),
            *self.extra,
        ]

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; its status, output and errors."""
        self.capsys.readouterr()
        status = invoke([*arguments, *self.overrides])
        printed = self.capsys.readouterr()
        return status, printed.out, printed.err

    def run(self, *overrides: str, command: str = "run") -> Result:
        """Run the pipeline."""
        self.landing.mkdir(parents=True, exist_ok=True)
        status, out, err = self.command(command, "--json", *overrides)
        try:
            return Result(status, json.loads(out))
        except ValueError:
            raise AssertionError(f"exit status {status}\n{out}\n{err}") from None

    def run_apart(self, *overrides: str) -> Result:
        """Run the pipeline in a process of its own, with its own Spark."""
        program = [sys.executable, "-c", "from flows.cli import main; main()"]
        done = subprocess.run(
            [*program, "run", "--json", *self.overrides, *overrides],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            return Result(done.returncode, json.loads(done.stdout))
        except ValueError:
            raise AssertionError(f"exit status {done.returncode}\n{done.stderr}") from None

    def deliver(self, name: str, header: Sequence[str], *records: Sequence[str]) -> Path:
        """Put a CSV file into the landing folder."""
        return self.write(name, "\n".join(",".join(r) for r in (header, *records)) + "\n")

    def write(self, name: str, text: str | bytes) -> Path:
        """Put a file with this content into the landing folder."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    @property
    def reader(self) -> Reader:
        return Reader(_composed(tuple(self.overrides)), lambda text: None)

    def with_spark(self) -> TableStore:
        """A store that can write, on the process's session."""
        return Runtime(load_config(self.overrides), new_run()).context().store

    def table(self, label: str) -> pa.Table:
        """The rows of a table."""
        reader = self.reader
        return reader.table(reader.config.domain.ref(label))

    def live(self, label: str) -> pa.Table:
        """The rows of a table without those that are marked as deleted."""
        rows = self.table(label)
        marked = DELETED in rows.column_names
        return rows.filter(pc.invert(rows[DELETED])) if marked else rows

    def versions(self) -> dict[str, str]:
        """The version of each table of the domain that exists."""
        reader = self.reader
        return {
            ref.label: reader.store.head(ref).version
            for ref in reader.tables()
            if ref.layer != "ops"
        }

    def assert_equals(self, oracle: Oracle, keys: Mapping[str, Sequence[str]] = KEYS) -> None:
        """Every silver and gold table, and the quarantine, equal the independent computation."""
        for layer, tables in (("silver", oracle.silver), ("gold", oracle.gold)):
            for name, expected in tables.items():
                assert_equal(self.live(f"{layer}.{name}"), expected, keys[name], name=name)
        for name, expected in oracle.quarantine.items():
            assert self.quarantined(name) == sorted(
                tuple(row.values()) for row in expected.to_pylist()
            ), name

    def quarantined(self, name: str) -> list[tuple[Any, ...]]:
        """File, record number and rule of each quarantined row."""
        rows = self.table(f"silver.{name}__quarantine").to_pylist()
        return sorted((Path(r["_source_file"]).name, r["_record_number"], r["_rule"]) for r in rows)
