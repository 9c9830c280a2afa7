"""The tutorial, done as it says: every command works and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from flows.cli import invoke
from tests import tutorial


def test_the_tutorial_does_what_it_shows(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del spark  # the runs find it
    monkeypatch.chdir(tmp_path)
    for name in ("LAKE", "LANDING", "DOMAINS"):
        monkeypatch.delenv(f"LAKEHOUSE_{name}", raising=False)

    def lakehouse(arguments: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        status = invoke(arguments)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    reader = tutorial.Reader(tmp_path, lakehouse, monkeypatch.setenv)
    output, transcript, missing = "", "", []
    for block in tutorial.blocks():
        if block.file:
            path = tmp_path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.kind == "sh":
            output = ""
            for line in tutorial.commands(block.text):
                output += reader.does(line)
                transcript += f"$ {line}\n{output}\n"
        elif block.kind == "text":
            shown = {*tutorial.masked(output), tutorial.LEFT_OUT}
            missing += [line for line in tutorial.masked(block.text) if line not in shown]
    assert not missing, f"{missing}\n{transcript}"
