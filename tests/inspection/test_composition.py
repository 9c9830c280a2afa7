"""Faults of a domain's declarations, found by composition alone: each with its line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf import load
from conf.examine import Examined, examine
from storage.errors import ConfigurationError
from tests.inspection import shop

DOMAIN = "conf/domain/shop.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(load, "CONF", shop.write(tmp_path))
    monkeypatch.setattr(load, "PACKAGES", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _examined(folder: Path) -> Examined:
    return examine("shop", folder / DOMAIN, ["paths.lake=/l"])


FAULTS = {
    "a misspelt key": (
        "    pattern: shops*.csv", "    patern: shops*.csv", "patern",
        "domain.bronze.shops.patern: unknown key domain.bronze.shops.patern; did you mean pattern?",
    ),
    "a value of another type": (
        "      name: {}", "      name: {required: perhaps}", "perhaps",
        "domain.silver.shops.columns.name.required: 'perhaps' is not true or false",
    ),
    "a choice that is none": (
        "strategy: scd2", "strategy: scd3", "scd3",
        "domain.silver.shop_names.strategy: 'scd3' is not one of upsert, append, events, snapshot, scd2",
    ),
    "a reference to no table": (
        "      shops: {table: silver.shops, by: {shop_id: id}}\n    columns",
        "      shops: {table: silver.shoops, by: {shop_id: id}}\n    columns", "silver.shoops",
        "domain.silver.sales: unknown table silver.shoops",
    ),
    "a key that is not a column": (
        "    key: [place]", "    key: [spot]", "[spot]", "domain.silver.places.key: spot is not a column",
    ),
    "an unknown type": (
        "floor: {type: int}", "floor: {type: number}", "number",
        "domain.silver.shops.columns.floor.type: type 'number' is none of",
    ),
    "no SQL file": (
        "sql: gold/ranked.sql", "sql: gold/rank.sql", "gold/rank.sql", "domain.gold.ranked.sql: no file",
    ),
    "no value": ("as_of: select", "as_of: ??? # select", "as_of", "domain.as_of: no value is given"),
    "a key that is given twice": (
        "    pattern: places*.csv", "    pattern: places*.csv\n    pattern: spots*.csv", "spots",
        "not readable as YAML: found duplicate key pattern",
    ),
    "a reference that is not closed": (
        "as_of: select", "as_of: ${oc.env:DAY select", "as_of", "as_of: token",
    ),
    "no YAML": ("    key: [day]", "    key: [day", "inputs: [silver.sales]", "not readable as YAML: "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_line(
    folder: Path, old: str, new: str, at: str, message: str
) -> None:
    shop.plant(folder, DOMAIN, old, new)
    (finding,) = _examined(folder).findings.found
    lines = (folder / DOMAIN).read_text("utf-8").splitlines()
    assert at in lines[finding.line - 1]
    assert str(finding).startswith(f"{DOMAIN}:{finding.line}: error: {message}")


def test_a_good_domain_has_no_fault(folder: Path) -> None:
    examined = _examined(folder)
    assert examined.findings.found == []
    assert examined.config is not None


def test_every_fault_is_named_at_once(folder: Path) -> None:
    for old, new in (
        ("strategy: scd2", "strategy: scd3"),
        ("floor: {type: int}", "floor: {typ: int}"),
        ("    pattern: places*.csv", "    pattern: [places]"),
    ):
        shop.plant(folder, DOMAIN, old, new)
    found = [str(f) for f in _examined(folder).findings.found]
    assert len(found) == 3
    assert all(key in " ".join(found) for key in ("'scd3'", "floor.typ", "places.pattern"))


def test_a_circle_is_named_with_its_tables(folder: Path) -> None:
    shop.plant(folder, DOMAIN, "inputs: [silver.sales, silver.shops]", "inputs: [gold.daily]")
    shop.plant(
        folder, DOMAIN, "    inputs: [silver.sales]\n    sql", "    inputs: [gold.ranked]\n    sql"
    )
    shop.plant(folder, DOMAIN, "      silver.sales: day\n", "      gold.ranked: day\n")
    (finding,) = _examined(folder).findings.found
    assert "tables read each other in a cycle: " in finding.message
    assert finding.line > shop.line_with(folder / DOMAIN, "gold:")


def test_secrets_need_not_be_set(folder: Path) -> None:
    url = "    kind: jdbc\n    url: ${oc.env:SHOP_URL_NOT_SET}\n    table: shops"
    shop.plant(folder, DOMAIN, "    pattern: shops*.csv", url)
    examined = _examined(folder)
    (finding,) = examined.findings.found
    line = shop.line_with(folder / DOMAIN, "SHOP_URL_NOT_SET")
    assert str(finding).startswith(
        f"{DOMAIN}:{line}: warning: domain.bronze.shops.url: the environment variable SHOP_URL_NOT_SET"
    )
    assert examined.config is not None


def test_a_domain_that_would_hide_another_is_named_with_both_files(folder: Path) -> None:
    other = folder / "more" / "domain" / "shop.yaml"
    other.parent.mkdir(parents=True)
    other.write_text("name: shop\n", "utf-8")
    overrides = ["paths.lake=/l", f"domains={folder / 'more'}"]
    examined = examine("shop", load.domain_files(overrides)["shop"], overrides)
    assert examined.config is None
    (finding,) = examined.findings.found
    assert finding.file == "more/domain/shop.yaml"
    assert finding.message == f"domain shop: there are two, {folder / DOMAIN} and {other}"


def test_a_key_that_is_given_twice_stops_a_run_with_its_line(folder: Path) -> None:
    shop.plant(folder, DOMAIN, "    key: [place]\n", "    key: [place]\n    key: [lat]\n")
    line = shop.line_with(folder / DOMAIN, "key: [lat]")
    with pytest.raises(ConfigurationError) as refused:
        load.load_config(["domain=shop", "paths.lake=/l"])
    says = f"{folder / DOMAIN}:{line}: not readable as YAML: found duplicate key key"
    assert refused.value.message == says


def test_the_domains_of_the_search_path_are_found_with_their_files(folder: Path) -> None:
    assert load.domain_files() == {"shop": folder / DOMAIN}
