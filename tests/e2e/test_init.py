"""A domain that `lakehouse init domain` wrote runs as it is, whatever the file looks like."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli import invoke
from storage.types import TableRef
from tests.e2e.lakehouse import Lakehouse
from tests.sessions import BOTH
from tests.steps.starter import ODD

pytestmark = pytest.mark.spark

FILES = {
    "quotes and line breaks": (
        "id,note,price\n" + "".join(f'{n},"line ""{n}""\nand, more",{n}.5\n' for n in range(40)), ","
    ),
    "semicolons, mark, names": (
        "\ufeffOrder No.;Zip Code;Größe;order;Ordered at\n"
        "1;01234;;5;2026-01-31 08:00:00\n2;98765;1,5;;2026-02-01T09:30:00\n3;;2;7;\n", ";"
    ),
    "dates and nulls": (
        "booked,account,amount,exchange\n2026-01-01,a,-1.50,1.1e0\n2026-01-01,b,,\n2026-02-01,a,20,0.9\n",
        ",",
    ),
    "names and values of SQL, YAML and the platform": (ODD["all at once"], ","),
    "nothing but keys": ("code|kind\n001|x\n002|x\n003|\n", "|"),
}  # fmt: skip

WIDE = (
    ",".join(["id", *(f"c{n}" for n in range(800))])
    + "".join(f"\nk{row}," + ",".join(str(row * n) for n in range(800)) for row in range(20))
    + "\n"
)
"""More columns than there once was memory for; their YAML is longer than OmegaConf reads by default."""


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        *(pytest.param(*file, id=which) for which, file in FILES.items()),
        pytest.param(WIDE, ",", id="800 columns", marks=pytest.mark.slow),
    ],
)
def test_it_publishes_every_row_and_then_finds_nothing_new(
    name: str,
    text: str,
    delimiter: str,
    tmp_path: Path,
    make_lakehouse: Callable[..., Lakehouse],
) -> None:
    file = tmp_path / "things_2026.csv"
    file.write_text(text, "utf-8")
    records = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))[1:]
    domains = tmp_path / "our domains"
    assert invoke(["init", "domain", "odd", "--from", str(file), "--to", str(domains)]) == 0
    lake = make_lakehouse(name, "domain=odd", f"domains={domains}")
    lake.landing.mkdir(parents=True)
    shutil.copy(file, lake.landing)

    first = lake.run()
    assert first.status == 0
    assert set(first.statuses().values()) == {"published"}
    silver = first.table("silver.things")
    assert silver["rows"]["published"] == len(records)
    assert silver["rows"]["quarantined"] == 0
    [gold] = [t for t in first.statuses() if t.startswith("gold.")]
    counted = sum(lake.reader.table(TableRef.parse("odd", gold))["number_of_rows"].to_pylist())
    assert 0 < counted <= len(records)

    again = lake.run()
    assert set(again.statuses().values()) == {"unchanged"}
    assert lake.command("tables")[0] == lake.command("show", gold)[0] == 0
