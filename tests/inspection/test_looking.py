"""Faults that Spark's analyzer and the files show: each planted, each named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf import load
from conf.examine import examine
from tasks.authoring.inspection.findings import Finding, Level
from tasks.authoring.inspection.looking import inspect_domain
from tests.inspection import shop

DOMAIN = "conf/domain/shop.yaml"
SHOP = "sql/gold/daily.sql"


def _found(folder: Path, session: SparkSession) -> list[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "CONF", folder / "conf")
        patch.setattr(load, "PACKAGES", folder)
        patch.chdir(folder)
        examined = examine("shop", folder / DOMAIN, ["paths.lake=/l"])
        assert examined.config is not None
        inspect_domain(session, examined.config.domain, examined.findings)
    return examined.findings.found


FAULTS: dict[str, tuple[str, str, str, str, str, str]] = {
    # name: file, text, planted text, file and text of the line that is named, message
    "a column that its input lacks": (
        "sql/gold/ranked.sql", "sales.shop_id = shops.id", "sales.shop = shops.id",
        "sql/gold/ranked.sql", "sales.shop = shops.id",
        "error: domain.gold.ranked.sql: A column, variable, or function parameter with name `sales`.`shop`",
    ),
    "SQL that does not parse": (
        "sql/silver/shop_names.sql", "    sold_at,\n", "    sold_at,,\n",
        "sql/silver/shop_names.sql", "sold_at,,",
        "error: domain.silver.shop_names.events: Syntax error at or near ','",
    ),
    "a column of another type": (
        SHOP, "count(*) as sales", "cast(count(*) as int) as sales", DOMAIN, "sales: {type: bigint",
        "error: domain.gold.daily.columns.sales: gold/daily.sql gives sales as int, declared is bigint",
    ),
    "a column that is not declared": (
        SHOP, "    day,\n", "    day,\n    min(id) as first_id,\n", SHOP, "select",
        "error: domain.gold.daily.sql: gives first_id, which is not declared",
    ),
    "a column that the query lacks": (
        "sql/silver/places.sql", "    max(_sequence) as _sequence,\n", "", DOMAIN,
        "reduce: silver/places.sql",
        "error: domain.silver.places.reduce: silver/places.sql gives no column _sequence",
    ),
    "groups of too many columns": (
        DOMAIN, "      silver.sales: day\n", "      silver.sales: day, shop_id\n",
        DOMAIN, "silver.sales: day, shop_id",
        "error: domain.gold.daily.groups.silver.sales: gives 2 columns (day, shop_id), wanted 1 (day)",
    ),
    "groups of another type": (
        DOMAIN, "      silver.sales: shop_id\n", "      silver.sales: sold_at\n",
        DOMAIN, "silver.sales: sold_at",
        "error: domain.silver.shop_names.groups.silver.sales: gives timestamp for shop_id, which is a string",
    ),
    "a query of a silver table over no column": (
        "sql/silver/totals.sql", "sum(amount)", "sum(amuont)", "sql/silver/totals.sql", "sum(amuont)",
        "error: domain.silver.totals.sql: A column, variable, or function parameter with name `amuont`",
    ),
    "groups of a silver table of too many columns": (
        DOMAIN, "{silver.sales: shop_id}", '{silver.sales: "shop_id, sold_at"}',
        DOMAIN, '{silver.sales: "shop_id, sold_at"}',
        "error: domain.silver.totals.groups.silver.sales: gives 2 columns (shop_id, sold_at), wanted 1",
    ),
    "groups that are not those of group_by": (
        DOMAIN, '{silver.sales: "shop_id, day"}', "{silver.sales: id}", DOMAIN, "{silver.sales: id}",
        "error: domain.gold.largest.groups.silver.sales: gives 1 columns (id), wanted 2 (shop_id, day)",
    ),
    "a column computed of none": (
        DOMAIN, "expr: dayofweek(day)", "expr: dayofweek(dy)", DOMAIN, "expr: dayofweek(dy)",
        "error: domain.gold.largest.columns.weekday.expr: A column, variable, or function parameter",
    ),
    "a volume over no column": (
        DOMAIN, "output: coalesce(sum(sales), 0)", "output: coalesce(sum(sale), 0)",
        DOMAIN, "sum(sale)",
        "error: domain.gold.daily.volume.output: A column, variable, or function parameter with name `sale`",
    ),
    "a volume that is not a number": (
        DOMAIN, "input: select count(*) from silver.sales", "input: select max(day) from silver.sales",
        DOMAIN, "input: select max(day)",
        "error: domain.gold.daily.volume.input: gives date; one number is wanted",
    ),
    "an as_of of no table": (
        DOMAIN, "as_of: select max(day) from silver.sales", "as_of: select max(day) from silver.sale",
        DOMAIN, "as_of:", "error: domain.as_of: there is no table silver.sale",
    ),
    "a rule on no column": (
        DOMAIN, "when: amount < 0", "when: amuont < 0", DOMAIN, "when: amuont < 0",
        "error: domain.silver.sales.rules.negative.when: A column, variable, or function parameter with",
    ),
    "a rule that is not a condition": (
        DOMAIN, "when: sold_at is null", "when: concat(id, note)", DOMAIN, "when: concat(id, note)",
        "error: domain.silver.sales.rules.undated.when: gives string; true or false is wanted",
    ),
    "an expression over no column": (
        DOMAIN, "expr: to_date(sold_at)", "expr: to_date(sold)", DOMAIN, "expr: to_date(sold)",
        "error: domain.silver.sales.columns.day.expr: A column, variable, or function parameter with",
    ),
    "a delete over no column": (
        DOMAIN, "delete_when: note = 'deleted'", "delete_when: op = 'deleted'",
        DOMAIN, "delete_when: op", "error: domain.silver.sales.delete_when: A column, variable, or",
    ),
    "a default that does not parse": (
        DOMAIN, "\"'nobody'\"", "\"'nobody\"", DOMAIN, "default: \"'nobody\"",
        "error: domain.silver.sales.columns.shop_name.default: ",
    ),
    "a gold column without a meaning": (
        DOMAIN, 'place: {type: int, doc: "Rank by amount."}', "place: {type: int}",
        DOMAIN, "place: {type: int}", "error: domain.gold.ranked.columns.place: has no doc",
    ),
    "a check of no column": (
        "checks/gold/daily.yml", "duplicate_count(day)", "duplicate_count(days)",
        "checks/gold/daily.yml", "duplicate_count(days)", "error: day is unique: result has no column days",
    ),
    "a condition of a check over no column": (
        "checks/gold/daily.yml", "fail condition: amount < 0", "fail condition: sum < 0",
        "checks/gold/daily.yml", "fail condition: sum", "error: amounts are not negative: A column,",
    ),
    "a query of a check over no column": (
        "checks/gold/daily.yml", "WHERE s.day IS NULL", "WHERE s.date IS NULL",
        "checks/gold/daily.yml", "WHERE s.date IS NULL", "error: days are those of the sales: A column,",
    ),
    "an expression whose values its column would round": (
        DOMAIN, "expr: cast(amount * 100 as bigint)", "expr: amount * 100", DOMAIN, "expr: amount * 100",
        "error: domain.gold.largest.columns.cents.expr: gold.largest.cents: its expr gives decimal(22,2), of "
        "which bigint does not hold every value",
    ),
    "a check of no view": (
        "checks/gold/daily.yml", "exist in silver_sales", "exist in silver_sale",
        "checks/gold/daily.yml", "exist in silver_sale ", "error: days exist: there is no view silver_sale",
    ),
    "a section of checks for no view": (
        "checks/silver/shops.yml", "checks for staged", "checks for stage",
        "checks/silver/shops.yml", "row_count", "error: rows came: there is no view stage; views: staged",
    ),
    "a check without a name": (
        "checks/silver/sales.yml", "name: rows came", "nam: rows came",
        "checks/silver/sales.yml", "row_count", "error: checks for staged, item 1: 'row_count > 0' has no",
    ),
    "a bronze table that nothing reads": (
        DOMAIN, "  places:\n    pattern",
        "  ghosts:\n    pattern: g*\n    columns: [a]\n  places:\n    pattern",
        DOMAIN, "ghosts:", "warning: domain.bronze.ghosts: no table reads it",
    ),
    "a bronze column that nothing reads": (
        DOMAIN, "columns: [place, lat]", "columns: [place, lat, colour]", DOMAIN, "colour]",
        "warning: domain.bronze.places.columns: colour is read by no silver table",
    ),
    "an input that the query does not read": (
        DOMAIN, "    inputs: [silver.sales]\n    sql", "    inputs: [silver.sales, silver.places]\n    sql",
        DOMAIN, "inputs: [silver.sales, silver.places]",
        "warning: domain.gold.daily.inputs: silver.places is not read by gold/daily.sql",
    ),
}  # fmt: skip
MADE = {
    "sql/gold/old.sql": ("select 1\n", "warning: no table of the domain reads this file"),
    "checks/gold/dayly.yml": ("{}\n", "warning: checks of no table: the domain has no gold.dayly"),
    "sql/tests/gold/dayly.yml": ("[]\n", "warning: cases of no table that a query makes"),
}


@pytest.fixture(scope="module")
def broken(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> tuple[Path, list[Finding]]:
    """A domain with all faults at once, and what is found in it."""
    folder = tmp_path_factory.mktemp("broken")
    shop.write(folder)
    for file, old, new, *_ in FAULTS.values():
        shop.plant(folder, file, old, new)
    # the groups of the input that the query does not read
    shop.plant(
        folder, DOMAIN, "day, shop_id\n", "day, shop_id\n      silver.places: cast(null as date)\n"
    )
    for file, (text, _) in MADE.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, "utf-8")
    (folder / "checks" / "silver" / "places.yml").rename(
        folder / "checks" / "bronze" / "ghosts.yml"
    )
    return folder, _found(folder, spark)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_file_and_line(broken: tuple[Path, list[Finding]], name: str) -> None:
    folder, found = broken
    *_, file, text, message = FAULTS[name]
    line = shop.line_with(folder / file, text)
    assert [f for f in found if str(f).startswith(f"{file}:{line}: {message}")], "\n".join(
        map(str, found)
    )


@pytest.mark.parametrize("file", MADE)
def test_a_file_that_nobody_reads_is_named(broken: tuple[Path, list[Finding]], file: str) -> None:
    _, found = broken
    assert [f for f in found if str(f).startswith(f"{file}:1: {MADE[file][1]}")]


def test_a_table_without_checks_is_named(broken: tuple[Path, list[Finding]]) -> None:
    folder, found = broken
    (finding,) = [f for f in found if f.key == "domain.silver.places"]
    assert finding.message.startswith("has no checks; write them in ")
    lines = (folder / DOMAIN).read_text("utf-8").splitlines()
    assert lines[finding.line - 1] == "  places:"


def test_nothing_else_is_found(broken: tuple[Path, list[Finding]]) -> None:
    _, found = broken
    planted = [*(m for *_, m in FAULTS.values()), *(m for _, m in MADE.values())]
    missing_checks = "error: domain.silver.places: has no checks"
    others = [
        str(f)
        for f in found
        if not any(m in f"{f.level}: {f.key + ': ' if f.key else ''}{f.message}"
                   for m in (*planted, missing_checks))
    ]  # fmt: skip
    assert others == []


def test_a_good_domain_is_clean(tmp_path: Path, spark: SparkSession) -> None:
    shop.write(tmp_path)
    assert _found(tmp_path, spark) == []


@pytest.mark.parametrize("name", sorted(load.domain_files()))
def test_the_domains_of_the_platform_are_clean(name: str, spark: SparkSession) -> None:
    examined = examine(name, load.domain_files()[name], ["paths.lake=/l", "paths.landing=/in"])
    assert examined.config is not None, examined.findings.found
    inspect_domain(spark, examined.config.domain, examined.findings)
    errors = [str(f) for f in examined.findings.found if f.level is Level.error]
    assert errors == []
