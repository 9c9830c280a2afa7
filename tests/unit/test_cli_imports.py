"""Commands import what they need, and no more."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from flows.cli import cli
from flows.cli.commands import COMMANDS

PROGRAM = """
import sys
from flows.cli import invoke
sys.stdout = sys.stderr
status = invoke({arguments!r})
sys.stdout = sys.__stdout__
print(status, *sorted({{name.split(".")[0] for name in sys.modules}} & set({slow!r})))
"""


def imported(*arguments: str, slow: tuple[str, ...]) -> list[str]:
    """Exit status of a command, then those of the slow packages that it has imported."""
    program = PROGRAM.format(arguments=list(arguments), slow=slow)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_no_engine(argument: str) -> None:
    slow = ("prefect", "pyspark", "soda", "hydra", "pyarrow", "sqlalchemy")
    assert imported(argument, slow=slow) == ["0"]


@pytest.mark.parametrize("command", ["status", "tables", "config"])
def test_metadata_is_read_without_prefect_and_soda(command: str) -> None:
    assert imported(command, "domain=olist", slow=("prefect", "soda")) == ["0"]


def test_a_run_on_a_terminal_imports_soda_and_prefect_late_or_never() -> None:
    program = (
        "import sys, flows.cli.run, flows.execution, flows.terminal\n"
        "sys.exit(bool({'prefect', 'soda'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=300) == COMMANDS[name][1]


def test_an_unknown_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    from flows.cli import invoke  # noqa: PLC0415

    assert invoke(["runn"]) == 2
    assert "runn" in capsys.readouterr().err
