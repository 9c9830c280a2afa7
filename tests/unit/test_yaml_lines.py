from __future__ import annotations

from pathlib import Path

import pytest

from tasks.domain.yaml_lines import Lines, read, shown

TEXT = """\
name: shop
gold:
  sales:
    key: [day]
    inputs:
      - silver.sales
      - silver.shops
    groups:
      silver.sales: day
      silver.sales.old: day
    columns:
      day: {type: date}
      table: {type: int}
"""


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    file = tmp_path / "shop.yaml"
    file.write_text(TEXT, "utf-8")
    return Lines(read(file))


@pytest.mark.parametrize(
    ("path", "near", "line"),
    [
        ("name", "", 1),
        ("gold.sales", "", 3),
        ("gold.sales.columns.day.type", "", 12),
        ("gold.sales.groups.silver.sales", "", 9),
        ("gold.sales.groups.silver.sales.old", "", 10),
        ("gold.sales.columns.night.type", "", 11),
        ("gold.sales", "unknown table silver.shops", 7),
        ("gold.sales.columns", "table is not good", 13),
        ("gold.sales.columns.night", "silver.shops", 11),
        ("silver", "", 1),
        ("", "silver.shops", 7),
    ],
)
def test_a_key_has_the_line_of_the_deepest_part_that_is_there(
    lines: Lines, path: str, near: str, line: int
) -> None:
    assert lines.at(path, near) == line


def test_an_empty_file_has_its_first_line() -> None:
    assert Lines(None).at("gold.sales", "day") == 1


def test_a_path_is_shown_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.yml") == "a/b.yml"
    assert shown(Path("/elsewhere/b.yml")) == "/elsewhere/b.yml"
