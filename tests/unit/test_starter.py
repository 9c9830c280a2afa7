"""What is guessed of a CSV file, and the files that `lakehouse init domain` writes."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from checks.model import CheckSuite
from conf.domains import VARIABLE
from conf.load import load_config
from conf.overrides import assigned
from flows.cli import invoke
from storage.errors import InputError
from tasks.authoring.starter.csv_profile import read_profile
from tasks.authoring.starter.guesses import Guess, guess
from tasks.authoring.starter.plan import pattern_of, table_name
from tasks.authoring.starter.text import quoted, scalar, sql
from tasks.domain.sql_text import named_tables
from tests.steps.starter import ODD


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def csv_file(folder: Path, content: str | bytes, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def guessed(folder: Path, content: str, key: tuple[str, ...] = ()) -> Guess:
    return guess(read_profile(csv_file(folder, content), key=key))


TYPES = {
    "whole": (["1", "-20", "0"], "int"),
    "long": (["1", "3000000000", ""], "bigint"),
    "too long": (["1", "92233720368547758080", ""], "string"),
    "money": (["1", "-2.5", "3.25"], "decimal(18,2)"),
    "fine": (["0.1234", ".5", "1."], "decimal(18,4)"),
    "wide": (["12345678901234567890.5", "1", ""], "decimal(22,2)"),
    "very fine": (["0.12345678", "1", "2"], "double"),
    "exponent": (["1e5", "2.5", "3"], "double"),
    "leading zeros": (["01234", "98765", "00000"], "string"),
    "plus": (["+351912", "+491", "12"], "string"),
    "zip_code": (["10115", "20095", "80331"], "string"),
    "day": (["2026-01-31", "2024-02-29", ""], "date"),
    "no day": (["2026-02-30", "2026-01-01", "2026-01-02"], "string"),
    "moment": (["2026-01-31 08:00:00", "2026-01-31T08:00:00.5", ""], "timestamp"),
    "no moment": (["2026-01-31 28:00:00", "2026-01-31 08:00:00", ""], "string"),
    "zone": (["2026-01-31T08:00:00Z", "2026-01-31T08:00:00.1234567+01:00", ""], "timestamp"),
    "yes": (["true", "FALSE", ""], "boolean"),
    "spaces": (["1", " 2", "3"], "string"),
    "nothing": (["", "", ""], "string"),
    "mixed": (["1", "2", "n/a"], "string"),
}


@pytest.mark.parametrize(("name", "case"), TYPES.items(), ids=TYPES)
def test_a_column_has_the_narrowest_type_that_holds_all_its_values(
    tmp_path: Path, name: str, case: tuple[list[str], str]
) -> None:
    values, expected = case
    records = "".join(f"r{n},{value}\n" for n, value in enumerate(values))
    found = guessed(tmp_path, f"id,{name}\n{records}")
    assert found.columns[1].type == expected


NOTES = {
    "day.month": (["31.12.2026", "1/2/2027"], "try_to_timestamp(v, 'dd.MM.yyyy')"),
    "comma": (["1.234,50", "3"], "replace(replace(v, '.', ''), ',', '.')"),
    "zone": (["2026-01-31T08:00Z", "2026-01-31T08:00+01:00"], "try_cast(v as timestamp)"),
    "zeros": (["007", "8"], "leading zeros"),
    "some": (["2026-01-01", "2026-01-02", "soon"], "2 of 3 values are a date"),
    "empty": (["", ""], "empty in the whole file"),
}


@pytest.mark.parametrize(("values", "said"), NOTES.values(), ids=NOTES)
def test_what_stays_text_is_said_with_what_can_be_done(
    tmp_path: Path, values: list[str], said: str
) -> None:
    records = "".join(f"r{n};{value}\n" for n, value in enumerate(values))
    assert said in guessed(tmp_path, f"id;v\n{records}").columns[1].note


KEYS = {
    "the column named so": ("name,sale_id\na,1\nb,2\n", ("sale_id",)),
    "the first that is unique": ("shop,city,n\na,x,1.5\na,y,2.5\n", ("city",)),
    "not a price": ("price,code\n1.5,a\n2.5,b\n", ("code",)),
    "two columns": ("order_id,item,x\n1,1,7\n1,2,7\n2,1,7\n", ("order_id", "item")),
    "three columns": ("a,b,c\n1,1,1\n1,1,2\n1,2,1\n2,1,1\n2,2,1\n2,2,2\n2,1,2\n", ("a", "b", "c")),
    "none that is ever empty": ("a_id,b\n1,x\n,y\n3,z\n", ("b",)),
    "spaces are empty": ("a_id,b\n1,x\n  ,y\n3,z\n", ("b",)),
}


@pytest.mark.parametrize(("text", "key"), KEYS.values(), ids=KEYS)
def test_the_key_is_what_identifies_a_record(
    tmp_path: Path, text: str, key: tuple[str, ...]
) -> None:
    assert guessed(tmp_path, text).key == key


@pytest.mark.parametrize(
    "name", ["select", "order", "user", "Order", "current_date", "1e3", "имя", "a b", "a`b"]
)
def test_a_name_that_is_none_in_sql_is_quoted(name: str) -> None:
    assert sql(name) == "`" + name.replace("`", "``") + "`"
    assert sql("order_id") == "order_id"


@pytest.mark.parametrize(
    "text",
    ["${oc.env:HOME}", r"\${x}", r"\\${x}", "it's", "yes", "1e3", "a: b", "\n", "имя", "\x85", ""],
)
def test_a_text_of_the_configuration_is_that_text(text: str) -> None:
    config = OmegaConf.create(f"a: {scalar(text)}")
    assert config.a == text
    assert yaml.safe_load(quoted(text)) == text


def test_a_given_key_counts_the_records_that_repeat_it(tmp_path: Path) -> None:
    found = guessed(tmp_path, "a,b\n1,x\n1,x\n2,x\n", key=("a",))
    assert (found.key, found.profile.repeated) == (("a",), 1)
    assert "1 of 3 records" in _yaml(tmp_path, "a,b\n1,x\n1,x\n2,x\n", "--key", "a")


def test_personal_data_is_tagged_by_name(tmp_path: Path) -> None:
    header = (
        "id,first_name,Email,customerPhone,street,birth_date,iban,product_name,image,manage,remark"
    )
    found = guessed(tmp_path, header + "\n" + ",".join("abcdefghijk") + "\n")
    assert {c.name: c.personal for c in found.columns if c.personal} == {
        "first_name": "name", "Email": "contact", "customerPhone": "contact", "street": "address",
        "birth_date": "birth", "iban": "payment", "remark": "free text",
    }  # fmt: skip


REFUSED = {
    "empty": (b"", "sales.csv: the file is empty"),
    "no header": (
        b"1,s1,3.20\n2,s2,4.10\n",
        "the first line is not a header: '1' cannot be the name of a column",
    ),
    "an empty name": (b"id,,x\n1,2,3\n", "the header has no name for the fields 2 of 3"),
    "empty names at the end": (
        b"id,x,,\n1,2,,\n",
        "the header has no name for the fields 3, 4 of 4",
    ),
    "no record": (b"id,name\n", "there is no record below the header"),
    "Latin-1": ("id,city\n1,Köln\n".encode("latin-1"), "near record 1: byte 0xf6 is not utf-8"),
    "Latin-1 header": ("id,Straße\n1,a\n".encode("latin-1"), "byte 0xdf is not utf-8"),
    "twice": (b"id,name,name\n1,a,b\n", "the header names 'name', 'name', which are one name"),
    "case": (b"id,ID\n1,2\n", "the header names 'id', 'ID', which are one name"),
    "made one": (b"id,Unit Price,unit_price\n1,2,3\n", "'Unit Price', 'unit_price', which are"),
    "quote": (b'id,name\n1,"a\n', "record 1 (ends in line 2): unexpected end of data"),
    "no key": (
        b"a,b\n1,x\n1,x\n",
        "no column and no combination of up to three identifies a record",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_gives_no_domain_is_refused_and_nothing_is_written(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_file(tmp_path, content)
    assert invoke(["init", "domain", "shop", "--from", str(file), "--to", "out"]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


WRONG = {
    "name": (["a-b", "--from", "sales.csv"], "NAME: 'a-b' cannot be the name of tables and databases"),
    "upper case": (["Shop", "--from", "sales.csv"], "NAME: 'Shop' cannot be the name"),
    "table": (["shop", "--from", "sales.csv", "--table", "2x"], "--table: '2x' cannot be the name"),
    "no file": (["shop", "--from", "gone.csv"], "gone.csv: cannot be read: No such file"),
    "key": (["shop", "--from", "sales.csv", "--key", "no"], "--key: no is not a column"),
    "empty key": (["shop", "--from", "sales.csv", "--key", "b"], "--key: b is empty in 1 of 2"),
    "exists": (["olist", "--from", "sales.csv"], "exists, and nothing is overwritten"),
    "value": (["null", "--from", "sales.csv"], "NAME: 'null' cannot be the name of tables and databases"),
    "another of that name": (
        ["saas", "--from", "sales.csv"], "saas.yaml is a domain of that name, and one would hide the other"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_explained(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    csv_file(tmp_path, "a,b\n1,x\n2,\n")
    to = [] if arguments[0] == "olist" else ["--to", "out"]
    assert invoke(["init", "domain", *arguments, *to]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_name_of_the_folders_that_are_searched_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "out"))
    _yaml(tmp_path, "a,b\n1,x\n")
    arguments = ["init", "domain", "shop", "--from", "sales.csv", "--to"]
    assert invoke([*arguments, "other"]) == 2
    assert "out/domain/shop.yaml is a domain of that name" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_domain_and_table_may_have_names_that_are_words_of_yaml(tmp_path: Path) -> None:
    csv_file(tmp_path, "a,b\n1,x\n2,x\n", "no.csv")
    assert invoke(["init", "domain", "on", "--from", "no.csv", "--to", "out"]) == 0
    domain = load_config(["domain=on", f"domains={tmp_path / 'out'}"]).domain
    assert domain.name == "on"
    assert list(domain.bronze) == list(domain.silver) == ["no"]


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _yaml(tmp_path, "a,b\n1,x\n")
    (tmp_path / "out" / "domain" / "shop.yaml").unlink()
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert invoke(["init", "domain", "shop", "--from", "sales.csv", "--to", "out"]) == 2
    assert "exists, and nothing is overwritten" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_is_written_composes_and_fits_together(tmp_path: Path, text: str) -> None:
    _yaml(tmp_path, text)
    config = load_config(["domain=shop", f"domains={tmp_path / 'out'}"])
    assert [ref.layer for ref in config.domain.tables()] == ["bronze", "silver", "gold"]
    [case] = yaml.safe_load(
        next((tmp_path / "out").rglob("sql/tests/gold/*.yml")).read_text("utf-8")
    )
    [(name, gold)] = config.domain.gold.items()
    assert {c for row in case["expect"] for c in row} == set(gold.columns)
    [(silver, rows)] = case["given"].items()
    assert silver == "silver.sales"
    assert {c for row in rows for c in row} <= set(config.domain.silver["sales"].columns)
    for layer, table in (("bronze", "sales"), ("silver", "sales"), ("gold", name)):
        assert CheckSuite.load(Path(config.domain.roots.checks), layer, table).checks
    for query in (tmp_path / "out").rglob("*.sql"):
        assert set(named_tables(query.read_text("utf-8"))) == {"silver.sales"}


def test_odd_headers_have_names_and_are_found_again(tmp_path: Path) -> None:
    _yaml(tmp_path, ODD["odd headers"])
    source = load_config(["domain=shop", f"domains={tmp_path / 'out'}"]).domain.bronze["sales"]
    assert source.columns == [
        "id", "column_2", "column_100", "it_s", "say_so", "back_slash", "a_b",
        "source", "column_2019_sales", "T", "x_y", "rescued",
    ]  # fmt: skip
    assert source.header["имя"] == "column_2"
    assert source.header['say "so"'] == "say_so"
    assert {"id", "T"}.isdisjoint(source.header)


def test_values_are_written_as_they_are(tmp_path: Path) -> None:
    values = ["can't", "1e3", "yes", "\\", 'a"b', "24:00:00", "0x1f", "1_000", "~", "007"]
    records = "".join(
        f'{n},"{v.replace(chr(34), chr(34) * 2)}"\n' for n, v in enumerate(values * 2)
    )
    _yaml(tmp_path, f"id,kind\n{records}")
    suite = CheckSuite.load(tmp_path / "out" / "domain" / "shop" / "checks", "silver", "sales")
    [known] = [c for c in suite.checks if "seen first" in c.name]
    assert known.config["valid values"] == sorted(values)


def test_a_template_among_the_values_is_no_variable_of_a_check(tmp_path: Path) -> None:
    _yaml(tmp_path, "id,kind\n1,${x}\n2,${x}\n3,b\n4,b\n")
    suite = CheckSuite.load(tmp_path / "out" / "domain" / "shop" / "checks", "silver", "sales")
    assert [c.name for c in suite.checks] == ["id is given", "id is unique"]


NAMES = ("${oc.env:HOME}.csv", "it's.csv", "a: b #c.csv", "line\nbreak.csv", "100 %.csv", "имя.csv", "-x.csv",
         "1e3.csv", "yes.csv", "a" * 240 + ".csv", "$\\{x}.csv")  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    file = csv_file(tmp_path, "id,day\n1,2026-01-01\n2,2026-01-02\n", name)
    assert invoke(["init", "domain", "shop", "--from", str(file), "--to", "out"]) == 0
    domain = load_config(["domain=shop", f"domains={tmp_path / 'out'}"]).domain
    [source] = domain.bronze.values()
    assert fnmatch.fnmatchcase(name, source.pattern)
    assert domain.description == f"Begun from {name}"
    assert all(len(ref.name) < 200 for ref in domain.tables())


@pytest.mark.parametrize("name", ["number_of_rows", "Number_Of_Rows", "total_price", "k" * 250])
def test_columns_of_the_example_have_names_of_their_own(tmp_path: Path, name: str) -> None:
    _yaml(tmp_path, f"id,{name},price\n1,a,1.5\n2,a,2.5\n3,b,3.5\n")
    domain = load_config(["domain=shop", f"domains={tmp_path / 'out'}"]).domain
    [(label, gold)] = domain.gold.items()
    assert len({column.lower() for column in gold.columns}) == 3
    assert gold.key == [name]
    assert label == label.lower()
    assert len(label) < 100


@pytest.mark.parametrize(
    ("stem", "table", "pattern"),
    [
        ("sales", "sales", "sales*.csv"),
        ("sales_2026-03-01", "sales", "sales_*.csv"),
        ("Sales 2026", "sales", "Sales *.csv"),
        ("Straßen", "straen", "Straßen*.csv"),
        ("q3.orders", "q3_orders", "q3.orders*.csv"),
        ("2026", "", "*.csv"),
        ("PRODUCT", "product", "PRODUCT*.csv"),
        ("ORDERS_20260301T0915", "orders_20260301t", "ORDERS_*.csv"),
        ("a[1]*", "a", "a[[]1][*]*.csv"),
    ],
)
def test_the_table_and_later_files_are_named_after_the_first(
    stem: str, table: str, pattern: str
) -> None:
    assert (table_name(stem), pattern_of(stem, ".csv")) == (table, pattern)


def test_a_file_of_another_encoding_and_sign(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "id\tStraße\n1\tKöln\n2\tBonn\n".encode("latin-1"))
    profile = read_profile(file, encoding="latin-1")
    assert (profile.delimiter, [c.name for c in profile.columns]) == ("\t", ["id", "strae"])
    with pytest.raises(InputError, match="first line is not a header"):
        read_profile(csv_file(tmp_path, "1\t2\n"))


def _yaml(folder: Path, text: str, *options: str) -> str:
    csv_file(folder, text)
    assert invoke(["init", "domain", "shop", "--from", "sales.csv", "--to", "out", *options]) == 0
    return (folder / "out" / "domain" / "shop.yaml").read_text("utf-8")


def test_a_file_that_would_be_passed_over_is_taken_by_the_domain_begun_from_it(
    tmp_path: Path,
) -> None:
    csv_file(tmp_path, "id,v\na,1\n", "_export_2026-01-01.csv")
    assert (
        invoke(["init", "domain", "shop", "--from", "_export_2026-01-01.csv", "--to", "own"]) == 0
    )
    config = load_config(["domain=shop", f"domains='{tmp_path / 'own'}'"])
    [source] = config.domain.bronze.values()
    assert (source.pattern, source.hidden) == ("_export_*.csv", True)


def test_a_name_that_is_not_utf_8_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "sale_\udcff.csv"
    csv_file(tmp_path, "id,v\na,1\n", name)
    assert invoke(["init", "domain", "shop", "--from", name, "--to", "own"]) == 2
    assert r"--from sale_\xff.csv: its name is not UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


def test_a_domain_may_be_begun_in_a_folder_of_any_name(tmp_path: Path) -> None:
    csv_file(tmp_path, "id,v\na,1\n", "sale.csv")
    folder = "l\u00e4ke \u65e5 =%+&'\"};!$@()<>`~ 50%off [a]{b}#?*"
    assert invoke(["init", "domain", "shop", "--from", "sale.csv", "--to", folder]) == 0
    config = load_config(["domain=shop", assigned("domains", str(tmp_path / folder))])
    assert config.domain.roots.sql == str(tmp_path / folder / "domain" / "shop" / "sql")
