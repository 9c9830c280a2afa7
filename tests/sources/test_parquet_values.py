"""Values of Parquet files on their way into silver: every one as its text, or kept out with what it is."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.domain.spec import ColumnSpec, DomainSpec, DriftMode, FileFormat, SourceSpec
from tests.sources.conftest import MakeShop
from tests.sources.shop import Shop

FIRST, SECOND = (uuid.UUID(f"41424344-4546-4748-494a-4b4c4d4e4f5{n}") for n in (0, 1))


def deliver(shop: Shop, name: str, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), shop.root / "landing" / f"{name}.parquet")


def source(*columns: str) -> SourceSpec:
    return SourceSpec("*.parquet", list(columns), format=FileFormat.parquet)


def test_uuids_and_bytes_inside_of_others_reach_silver(
    make_shop: MakeShop, format_name: str
) -> None:
    shop = make_shop(source("id", "about"), format_name)
    instants = pa.array([[0, 1_000_000_001], None], pa.list_(pa.int64()))
    about = pa.StructArray.from_arrays(
        [
            pa.array([b"\0\xff", None]), pa.array([float("nan"), 1.5]),
            instants.cast(pa.list_(pa.timestamp("ns", "Europe/Berlin"))),
        ],
        ["bytes", "share", "seen"],
    )  # fmt: skip
    ids = pa.array([FIRST.bytes, SECOND.bytes], pa.uuid())
    deliver(shop, "1", id=ids, about=about)
    for label in ("bronze.sale", "silver.sale"):
        shop.run(label)
    assert shop.rows("silver.sale", "id", "about") == [
        (
            str(FIRST),
            '{"bytes":"AP8=","share":"nan",'
            '"seen":["1970-01-01 00:00:00","1970-01-01 00:00:01.000000001"]}',
        ),
        (str(SECOND), '{"bytes":null,"share":1.5,"seen":null}'),
    ]


def test_what_is_not_utf8_is_kept_out_by_column_and_the_rest_goes_on(
    make_shop: MakeShop, format_name: str
) -> None:
    shop = make_shop(source("id", "city"), format_name)
    cities, notes = (pa.array(v) for v in ([b"Oslo", b"K\xf6ln", b"Rom"], [b"a", b"b", b"\xff"]))
    deliver(
        shop,
        "1",
        id=pa.array(["1", "2", "3"]),
        city=pa.Array.from_buffers(pa.string(), 3, cities.buffers()),
        note=pa.Array.from_buffers(pa.string(), 3, notes.buffers()),
    )
    for label in ("bronze.sale", "silver.sale"):
        shop.run(label)
    assert shop.rows("silver.sale", "id", "city") == [("1", "Oslo"), ("3", "Rom")]
    assert shop.rows("silver.sale__quarantine", "_rule", "_reason") == [
        (
            "not_parseable",
            "city: bytes that are not UTF-8, as base64 S/Zsbg== (record 2 of 1.parquet)",
        )
    ]


class Counted(Shop):
    """The shop, whose amounts are whole numbers."""

    @property
    def domain(self) -> DomainSpec:
        made = super().domain
        made.silver["sale"].columns["amount"] = ColumnSpec("int")
        return made


def test_whole_numbers_that_turn_floating_point_are_taken_each_time(
    make_shop: MakeShop, format_name: str
) -> None:
    strict = SourceSpec(
        "*.parquet", ["id", "amount"], format=FileFormat.parquet, drift=DriftMode.freeze
    )
    made = make_shop(strict, format_name)
    shop = Counted(made.root, made.lake, made.spark, strict)
    amounts = ([1, 2], [3.0, None], [4, 5], [6.0, 1.5])
    for number, values in enumerate(amounts):
        deliver(
            shop, str(number), id=pa.array([f"{number}a", f"{number}b"]), amount=pa.array(values)
        )
        for label in ("bronze.sale", "silver.sale"):
            shop.run(label)
    assert shop.rows("silver.sale", "id", "amount") == [
        ("0a", 1), ("0b", 2), ("1a", 3), ("1b", None), ("2a", 4), ("2b", 5), ("3a", 6)
    ]  # fmt: skip
    assert shop.rows("silver.sale__quarantine", "_reason") == [
        ("amount: '1.5' does not fit a int exactly (record 2 of 3.parquet)",)
    ]


def test_floating_point_numbers_of_another_text_block(make_shop: MakeShop) -> None:
    shop = make_shop(source("id", "amount"))
    deliver(shop, "1", id=pa.array(["a"]), amount=pa.array([10**15]))
    shop.run()
    deliver(shop, "2", id=pa.array(["b"]), amount=pa.array([float(10**15)]))
    attempt = shop.stage()
    assert attempt is not None
    (problem,) = attempt.problems
    assert "amount is double, was bigint" in problem.message
