"""Which files are deliveries and which of two counts, in a folder and in a bucket, on both formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tasks.domain.spec import SourceSpec
from tasks.landing.folders import RemoteFolder
from tests.services.s3 import S3
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

Put = Callable[[str, str], None]
CSV = SourceSpec("*.csv", ["id", "amount"])


@pytest.fixture
def shop(make_shop: MakeShop, format_name: str) -> Shop:
    return make_shop(CSV, format_name)


@pytest.fixture(params=["folder", "bucket"])
def delivered(
    request: pytest.FixtureRequest, shop: Shop, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> tuple[Shop, Put]:
    """A shop, and what writes a file to where its deliveries arrive."""
    if request.param == "folder":

        def write(name: str, content: str) -> None:
            path = shop.root / "landing" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

        return shop, write
    for key, value in s3.environment.items():
        monkeypatch.setenv(key, value)
    bucket = f"shop-{uuid4().hex[:12]}"
    s3.make_bucket(bucket)
    landing = RemoteFolder(f"s3://{bucket}/in")
    return replace(shop, landing=landing), lambda name, text: s3.put(bucket, f"in/{name}", text)


def test_the_row_of_the_later_folder_counts_whatever_its_file_is_called(
    delivered: tuple[Shop, Put],
) -> None:
    shop, put = delivered
    put("dt=2026-03-02/part-00000-aaaa.csv", "id,amount\na,2\n")
    put("dt=2026-03-01/part-00000-bbbb.csv", "id,amount\na,1\n")
    shop.run()
    shop.run("silver.sale")
    assert shop.rows("bronze.sale", "amount", "_source_file") == [
        ("1", "dt=2026-03-01/part-00000-bbbb.csv"), ("2", "dt=2026-03-02/part-00000-aaaa.csv"),
    ]  # fmt: skip
    assert shop.rows("silver.sale", "id", "amount") == [("a", "2")]


def test_what_writers_leave_is_no_delivery_unless_the_source_asks_for_it(
    delivered: tuple[Shop, Put],
) -> None:
    shop, put = delivered
    put("sale.csv", "id,amount\na,1\n")
    put("_temporary/0/part.csv", "id,amount\nb,2\n")
    put(".sale.csv.part.csv", "id,amount\nc,3\n")
    put("2026/_SUCCESS.csv", "")
    put("2026/", "") if isinstance(shop.landing, RemoteFolder) else None
    shop.run()
    assert shop.rows("bronze.sale", "id") == [("a",)]
    assert shop.run() is None

    put("2026/_SUCCESS.csv", "id,amount\nd,4\n")
    asking = replace(shop.with_source(hidden=True), landing=shop.landing)
    asking.run()
    assert sorted(shop.rows("bronze.sale", "id")) == [("a",), ("b",), ("c",), ("d",)]
    assert shop.run() is None  # what was taken in before it was passed over stays
    put("sale_2.csv", "id,amount\ne,5\n")
    shop.run()
    assert [row for row in shop.rows("bronze.sale", "id") if row == ("e",)] == [("e",)]
    assert len(shop.rows("bronze.sale", "id")) == 5


def test_one_content_under_two_names_counts_once_under_the_first(
    delivered: tuple[Shop, Put],
) -> None:
    shop, put = delivered
    put("b/sale.csv", "id,amount\na,1\n")
    put("a/sale.csv", "id,amount\na,2\n")
    put("a/z.csv", "id,amount\na,1\n")
    shop.run()
    assert shop.rows("bronze.sale", "_source_file", "amount") == [
        ("a/sale.csv", "2"),
        ("a/z.csv", "1"),
    ]


def test_a_name_with_signs_of_addresses_and_globs_is_taken_as_it_is(
    delivered: tuple[Shop, Put],
) -> None:
    shop, put = delivered
    names = ["a b#1?%20+&.csv", "k=v,{x}[1]*'\".csv", "caf\u00e9 \u65e5\u672c.csv"]
    for number, name in enumerate(names):
        put(name, f"id,amount\n{number},1\n")
    shop.run()
    assert dict(shop.rows("bronze.sale", "_source_file", "id")) == {
        name: str(number) for number, name in enumerate(names)
    }
    assert shop.run() is None


def test_the_other_files_of_a_name_that_is_not_utf_8_are_taken_with_it(shop: Shop) -> None:
    shop.write("sale_1.csv", "id,amount", "a,1")
    odd = Path(str(shop.root / "landing" / "sale_\udcff.csv"))
    odd.write_text("id,amount\nb,2\n")
    shop.run()
    assert shop.rows("bronze.sale", "id", "_source_file") == [
        ("a", "sale_1.csv"), ("b", r"sale_\xff.csv"),
    ]  # fmt: skip
    assert shop.run() is None
