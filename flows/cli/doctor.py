"""`lakehouse doctor`: what is installed beside what is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

import flows
from conf.schema import Config
from flows.doctor import diagnose, healthy
from flows.runtime import spark_session
from storage.secrets import names
from storage.spark.session import extensions, missing_extensions

GIB = 1024**3


def examine(config: Config) -> int:
    """Print every finding; 0 when all is well, 1 when something has to be done."""

    def loaded() -> Sequence[str]:
        missing = missing_extensions(spark_session(config))
        return [e.name for e in extensions() if e.name not in missing]

    lock = Path(flows.__file__).parents[1] / "requirements.lock"
    findings = diagnose(
        Path(config.paths.lake),
        cache=Path(config.paths.cache),
        lock=lock if lock.is_file() else None,
        min_free_bytes=int(config.env.min_free_disk_gib * GIB),
        min_memory_bytes=int(config.env.min_memory_gib * GIB),
        session_extensions=loaded,
        needed_extensions=tuple(e.name for e in extensions()),
        secrets=sorted(set(names(json.dumps(asdict(config))))),
    )
    table = Table(header_style="dim")
    for name in ("", "part", "found", "needed", "what to do"):
        table.add_column(name, overflow="fold")
    for f in findings:
        mark = "[green]✓[/]" if f.ok else "[bold red]✗[/]"
        table.add_row(mark, f.name, f.found, f.needed, "" if f.ok else f.advice)
    console = Console()
    console.print(table)
    console.print("all is well" if healthy(findings) else "something has to be done, see above")
    return 0 if healthy(findings) else 1
