"""A lake and a landing folder whose names hold every sign that is taken, through every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli import invoke
from tests.e2e.lakehouse import Lakehouse

pytestmark = pytest.mark.spark
Make = Callable[..., Lakehouse]
ODD = "l\u00e4ke \u65e5 =%+&'\":;!$@()<>`~ 50%off"
HEADER = ("sale_id", "shop", "sold_on", "amount")


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["delta", "iceberg"])
def test_every_command_works_in_folders_with_odd_names(
    tmp_path: Path, make_lakehouse: Make, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "sale_id,shop,sold_on,amount\n1,north,2026-03-01,10.50\n2,south,2026-03-01,4.00\n"
    (tmp_path / "sales_1.csv").write_text(text)
    folder = tmp_path / ODD.replace(":", "") / "domains"
    given = ["--from", str(tmp_path / "sales_1.csv"), "--to", str(folder)]
    assert invoke(["init", "domain", "bakery", *given]) == 0
    lake = make_lakehouse(format_name, "domain=bakery", root=tmp_path / ODD)
    monkeypatch.setenv("LAKEHOUSE_DOMAINS", str(folder))

    lake.write("in #?%20*[a]{b}/sales_1.csv", text)
    assert lake.run().status == 0
    lake.deliver(
        "sales_2.csv", HEADER, ("2", "south", "2026-03-01", "5.00"), ("3", "x", "no day", "1")
    )
    second = lake.run()
    assert second.status == 0
    assert set(lake.run().statuses().values()) == {"unchanged"}
    [gold] = [ref.label for ref in lake.reader.tables() if ref.layer == "gold"]

    for command in (["status"], ["tables"], ["show", "silver.sales"], ["quarantine", "list"],
                    ["quarantine", "check"], ["config"], ["backfill", "status"], ["doctor"], ["ingest"],
                    ["contract", gold], ["validate"], ["test"], ["upgrade", "--dry-run"]):  # fmt: skip
        status, out, err = lake.command(*command)
        assert status == 0, (command, out, err)
    status, out, _ = lake.command("sql", "select amount from silver.sales where sale_id = 2")
    assert (status, "5.00" in out) == (0, True)

    files = tmp_path / ODD / "export #?*"
    assert lake.command("export", "--all", "--to", str(files))[0] == 0
    assert json.loads((files / "export.json").read_text())
    assert len((files / f"{gold.split('.')[1]}.csv").read_text().splitlines()) == 2

    other = "iceberg" if format_name == "delta" else "delta"
    assert lake.command("migrate", "silver.sales", "--to", other)[0] == 0
    assert lake.command("rollback", "--run", second.summary["run_id"])[0] == 0
    assert lake.run().status == 0
    assert lake.run(command="rebuild").status == 0
    assert lake.table("silver.sales").num_rows == 2
    assert [
        p.name for p in (tmp_path / ODD).iterdir() if p.name not in ("lake", "landing", "domains")
    ] == [files.name]
    assert {p.name for p in tmp_path.iterdir()} == {"sales_1.csv", ODD, ODD.replace(":", "")}
