"""The command line without a table: wrong use, configuration, and how it ends."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

import flows.cli
from flows.cli import invoke, rows
from storage.errors import LockTimeoutError

pytestmark = pytest.mark.usefixtures("empty_lake")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["tables", "worker=3"], "unknown key worker; did you mean workers?"),
        (["tables", "format=icebrg"], "format: no choice 'icebrg'; did you mean iceberg?"),
        (["tables", "oops"], "'oops' is not an override"),
        (["tables", "+x=1"], "keys can be set, not added or deleted"),
        (["config", "env=prd"], "env: no choice 'prd'"),
        (["run"], "paths.landing: there is no folder"),
        (["show", "gold.nothing"], "there is no table gold.nothing"),
        (["sql", "select from ("], "sql: line 1, column 13"),
        (["sql", "drop table gold.x"], "sql: only a query is run here"),
        (["sql", "select * from gold.nothing"], "there is no table gold.nothing"),
        (["export", "--to", "x"], "domain olist has no gold table in this lake yet"),
        (["export", "gold.a", "gold.b", "--to", "x.csv"], "name one table, or none for the whole"),
        (["export", "gold.a", "--all", "--to", "x"], "name one table, or none for the whole"),
        (["export", "gold.a", "--to", "x.xlsx"], "must end in .csv or .parquet"),
        (["export", "gold.nothing", "--to", "x.csv"], "there is no table gold.nothing"),
        (["batch", "reject", "orders-123"], "no delivery or attempt of orders has this id"),
        (["batch", "reject", "nothing-123"], "no table of domain olist is called 'nothing'"),
        (["batch", "accept", "orders-123", "--reason", "x"], "no delivery or attempt of orders"),
        (["ingest", "--again", "gone.csv"], "--again gone.csv: no such file in the landing folder"),
        (["generate", "rows=many", "--to", "x"], "generate: rows=many is not of type int"),
        (["generate", "rows=1", "--to", "x"], "generate: rows (orders) must be at least 50"),
        (
            ["generate", "orders=100", "--to", "x"],
            "Give key=value with one of: rows, seed, defects.",
        ),
        (
            ["generate", "domain=finance", "form=xml", "--to", "x"],
            "form=xml is none of csv, parquet",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_explained_with_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert invoke(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("lakehouse-*.log"))


@pytest.mark.parametrize("name", ["_old/olist_orders_dataset.csv", "orders.txt"])
def test_known_content_of_a_file_that_no_source_takes_cannot_be_asked_for(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "in" / name
    file.parent.mkdir(parents=True)
    file.touch()
    assert invoke(["ingest", "--again", name, f"paths.landing={tmp_path / 'in'}"]) == 2
    assert (
        f"--again {name}: no source of olist takes a file of that name" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["tables", "--nothing"], ["export"], ["batch", "accept", "x"], ["sql"]],
    ids=" ".join,
)
def test_wrong_use_of_the_shell_has_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(arguments) == 2
    assert "Usage: " in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--version"]) == 0
    assert version("lakehouse-platform") in capsys.readouterr().out


def test_the_configuration_is_printed_with_references_unresolved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_LAKE", "/hidden")
    assert invoke(["config", "env=prod", "workers=7"]) == 0
    out = capsys.readouterr().out
    assert "workers: 7\n" in out
    assert "lake: ${oc.env:LAKEHOUSE_LAKE}\n" in out
    assert "/hidden" not in out


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (LockTimeoutError("held", advice="wait"), 1, "error: held\nwait\n"),
        (ZeroDivisionError("odd"), 1, "unexpected error, the details are in"),
    ],
    ids=["failed", "unexpected"],
)
def test_each_kind_of_end_has_its_status(
    error: Exception,
    status: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def fail(overrides: object) -> None:
        raise error

    monkeypatch.setattr(rows, "load_config", fail)
    assert invoke(["tables"]) == status
    assert shown in capsys.readouterr().err
    logs = list(tmp_path.glob("lakehouse-*.log"))
    assert ["ZeroDivisionError: odd" in log.read_text() for log in logs] == [True] * len(logs)
    assert len(logs) == (1 if isinstance(error, ZeroDivisionError) else 0)


def test_an_interrupt_leaves_at_once_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left: list[int] = []

    def interrupt(overrides: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "load_config", interrupt)
    monkeypatch.setattr(flows.cli, "_leave", left.append)
    assert invoke(["tables"]) == 130
    assert left == [130]
    assert "run the same command again" in capsys.readouterr().err


def test_an_empty_lake_is_shown_as_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["tables", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert invoke(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "runs": [],
        "stopped": [],
        "quarantined": [],
        "overdue": [],
    }
