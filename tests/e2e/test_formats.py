"""A lake whose layers differ in format, and a table that moves: the commands of the page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli import invoke
from tests.e2e.lakehouse import Lakehouse

pytestmark = pytest.mark.spark

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "formats-and-migrate.md"
MIXED = ("format.bronze=parquet", "format.silver=delta", "format.gold=iceberg")
HEADER = ("sale_id", "shop", "sold_on", "amount")
Make = Callable[..., Lakehouse]


def commands() -> list[list[str]]:
    """The words after `lakehouse` of each command on the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def gold(lake: Lakehouse) -> list[dict[str, Any]]:
    [label] = [ref.label for ref in lake.reader.tables() if ref.layer == "gold"]
    rows = lake.table(label).to_pylist()
    found = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
    return sorted(found, key=repr)


def sell(lake: Lakehouse, name: str, *sales: tuple[str, ...]) -> None:
    lake.deliver(f"sales_{name}.csv", HEADER, *sales)


FIRST = [("1", "north", "2026-03-01", "10.50"), ("2", "south", "2026-03-01", "4.00")]
SECOND = [("2", "south", "2026-03-01", "5.00"), ("3", "north", "2026-03-02", "1.25")]
THIRD = [("1", "north", "2026-03-01", "10.75"), ("4", "west", "2026-03-03", "2.00")]


@pytest.mark.slow
def test_the_pages_commands_keep_gold_what_it_is_on_one_format(
    tmp_path: Path, make_lakehouse: Make
) -> None:
    text = "\n".join(",".join(row) for row in (HEADER, *FIRST)) + "\n"
    (tmp_path / "sales_1.csv").write_text(text)
    folder = str(tmp_path / "domains")
    given = ["--from", str(tmp_path / "sales_1.csv"), "--to", folder]
    assert invoke(["init", "domain", "bakery", *given]) == 0
    own = ("domain=bakery", f"domains={folder}")
    mixed = make_lakehouse("delta", *own, *MIXED, root=tmp_path / "mixed")
    plain = make_lakehouse("delta", *own, root=tmp_path / "plain")
    run, there, back, finish = commands()

    for lake in (mixed, plain):
        sell(lake, "1", *FIRST)
    assert mixed.run(*run[1:]).status == plain.run().status == 0
    assert gold(mixed) == gold(plain)
    store = mixed.reader.store
    assert {ref.layer: store.format_of(ref) for ref in mixed.reader.tables()} == {
        "bronze": "parquet", "silver": "delta", "gold": "iceberg", "ops": "delta"
    }  # fmt: skip

    assert mixed.command(*there)[0] == 0
    assert set(mixed.run().statuses().values()) == {"unchanged"}
    for lake in (mixed, plain):
        sell(lake, "2", *SECOND)
    assert mixed.run().statuses() == plain.run().statuses()
    assert gold(mixed) == gold(plain)

    status, out, _ = mixed.command(*back)
    assert (status, "is now in delta" in out) == (0, True)
    assert mixed.command(*finish)[0] == 0
    status, _, err = mixed.command(*back)
    assert (status, "no earlier copy" in err) == (2, True)
    for lake in (mixed, plain):
        sell(lake, "3", *THIRD)
    assert mixed.run().statuses() == plain.run().statuses()
    assert gold(mixed) == gold(plain)
    assert mixed.command("migrate", "silver.sales__quarantine", "--to", "iceberg")[0] == 0
    assert set(mixed.run().statuses().values()) == {"unchanged"}
