from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.sources.files.arrow_text import text

AT = dt.datetime(2024, 1, 2, 3, 4, 5)
BERLIN = pa.timestamp("us", "Europe/Berlin")
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
NS = pa.array([1_000_000_001, None], pa.int64()).view(pa.timestamp("ns"))


def not_utf8(*values: bytes, kind: pa.DataType | None = None) -> pa.Array:
    """Strings whose bytes nobody looked at, as a Parquet file may hold them."""
    kind = kind or pa.string()
    wide = pa.types.is_large_string(kind)
    raw = pa.array(values, pa.large_binary() if wide else pa.binary())
    return pa.Array.from_buffers(kind, len(values), raw.buffers())


def counted(kind: pa.DataType, *counts: int) -> pa.Array:
    """Values of a type by what is counted inside, whatever a clock or a calendar says of it."""
    whole = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(counts, whole).view(kind)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            pa.array([AT, AT.replace(microsecond=120_000)]),
            ["2024-01-02 03:04:05", "2024-01-02 03:04:05.12"],
        ),
        (
            pa.array([AT.replace(tzinfo=dt.UTC)], pa.timestamp("ms", "Europe/Berlin")),
            ["2024-01-02 03:04:05"],
        ),
        (NS, ["1970-01-01 00:00:01.000000001", None]),
        (
            counted(pa.timestamp("s"), -62_135_596_800, 253_402_300_799),
            ["0001-01-01 00:00:00", "9999-12-31 23:59:59"],
        ),
        (
            counted(pa.timestamp("us"), 2**63 - 1, 1 - 2**63, -(2**63)),
            ["infinity", "-infinity", "-infinity"],
        ),
        (counted(pa.timestamp("us"), 2**63 - 2), ["294247-01-10 04:00:54.775806"]),
        (counted(pa.timestamp("ns"), 2**63 - 1), ["2262-04-11 23:47:16.854775807"]),
        (
            pa.array([AT.date(), dt.date.min, dt.date.max]),
            ["2024-01-02", "0001-01-01", "9999-12-31"],
        ),
        (
            counted(pa.date32(), 2**31 - 1, 1 - 2**31, -(2**31)),
            ["infinity", "-infinity", "-infinity"],
        ),
        (counted(pa.date32(), 2**31 - 2), ["5881580-07-10"]),
        (pa.array([AT.date()], pa.date64()), ["2024-01-02"]),
        (counted(pa.date64(), 86_400_001), ["1970-01-02 00:00:00.001"]),
        (pa.array([dt.time(1, 2, 3)], pa.time32("s")), ["01:02:03"]),
        (pa.array([dt.time(1, 2, 3, 4)], pa.time64("us")), ["01:02:03.000004"]),
        (counted(pa.time32("s"), 86_400), ["24:00:00"]),
        (counted(pa.time64("ns"), -1), ["-00:00:00.000000001"]),
        (pa.array([1500, -1, 0, None], pa.duration("ms")), ["PT1.5S", "PT-0.001S", "PT0S", None]),
        (pa.array([(1, -2, 500_000_000)], pa.month_day_nano_interval()), ["P1M-2DT0.5S"]),
        (pa.array([Decimal("12.30"), Decimal("-0.01"), None]), ["12.30", "-0.01", None]),
        (
            pa.array([Decimal("1E-10"), Decimal(0)], pa.decimal128(38, 10)),
            ["0.0000000001", "0.0000000000"],
        ),
        (pa.array([Decimal("1E-20")], pa.decimal256(76, 20)), ["0.00000000000000000001"]),
        (pa.array([Decimal("1E-7")], pa.decimal32(9, 7)), ["0.0000001"]),
        (pa.array([Decimal("12300")], pa.decimal128(5, -2)), ["12300"]),
        (pa.array([0.1, 1e20, -5.0, 1e-7]), ["0.1", "1e+20", "-5", "1e-7"]),
        (pa.array([float("nan"), float("inf"), float("-inf")]), ["nan", "inf", "-inf"]),
        (pa.array([0.1], pa.float32()), ["0.10000000149011612"]),
        (pa.array(np.array([1.5], np.float16)), ["1.5"]),
        (pa.array([2**63 - 1, -1]), ["9223372036854775807", "-1"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([True, False]), ["true", "false"]),
        (
            pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
            ["true", "false", None],
        ),
        (pa.array(["é", ""], pa.string_view()), ["é", ""]),
        (pa.array(["é", "é", ""]).dictionary_encode(), ["é", "é", ""]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]), ["a", "a", None]),
        (pa.array([uuid.UUID(UUID).bytes, None], pa.uuid()), [UUID, None]),
        (pa.array(['{"a": 1}'], pa.json_()), ['{"a": 1}']),
        (pa.array([b"\xff", None]), ["/w==", None]),
        (pa.array([b"\xff"], pa.binary(1)), ["/w=="]),
        (pa.array([b"\xff"], pa.binary_view()), ["/w=="]),
        (pa.array([[1, 2], [], None]), ["[1,2]", "[]", None]),
        (pa.array([[1, None], None], pa.list_(pa.int8(), 2)), ["[1,null]", None]),
        (pa.array([["é"], None], pa.large_list_view(pa.string())), ['["é"]', None]),
        (pa.ListArray.from_arrays([0, 2], NS), ['["1970-01-01 00:00:01.000000001",null]']),
        (
            pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int8())),
            ['[["a",1],["b",null]]'],
        ),
        (pa.array([{"a": "b"}]), ['{"a":"b"}']),
        (
            pa.array([{"n": float("nan")}, {"n": float("-inf")}, {"n": 1.5}]),
            ['{"n":"nan"}', '{"n":"-inf"}', '{"n":1.5}'],
        ),
        (pa.array([{"d": Decimal("1E-10"), "b": b"\0\xff"}]), ['{"d":"0.0000000001","b":"AP8="}']),
        (
            pa.array([{"t": AT.replace(tzinfo=dt.UTC)}], pa.struct([("t", BERLIN)])),
            ['{"t":"2024-01-02 03:04:05"}'],
        ),
        (
            pa.StructArray.from_arrays([pa.array([uuid.UUID(UUID).bytes], pa.uuid())], ["u"]),
            [f'{{"u":"{UUID}"}}'],
        ),
        (pa.StructArray.from_arrays([[1], ["x"]], ["a", "a"]), ['[["a",1],["a","x"]]']),
        (
            pa.UnionArray.from_dense(
                pa.array([0, 1, 0], pa.int8()),
                pa.array([0, 0, 1], pa.int32()),
                [pa.array([1, None]), pa.array(["x"])],
            ),
            ["1", '"x"', None],
        ),
        (pa.nulls(1), [None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_each_type_has_one_text(values: pa.Array, expected: list[str | None]) -> None:
    assert text(values).values.to_pylist() == expected
    assert not text(values).not_utf8


def test_every_double_reads_back_exactly() -> None:
    values = [1 / 3, 2.0**0.5 * 1e300, 5e-324, 123456.789]
    assert [float(t) for t in text(pa.array(values)).values.to_pylist()] == values


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_what_is_not_utf8_is_told_by_its_place(kind: pa.DataType) -> None:
    found = text(not_utf8(b"a", b"\xff\xfe", b"b", kind=kind))
    assert found.values.to_pylist() == ["a", None, "b"]
    assert found.not_utf8 == {1: "//4="}


def test_what_is_not_utf8_inside_of_others_is_told_with_all_around_it() -> None:
    strings = not_utf8(b"a", b"\xff", b"b")
    lists = pa.ListArray.from_arrays([0, 1, 3, 3], strings)
    found = text(lists)
    assert found.values.to_pylist() == ['["a"]', None, "[]"]
    assert found.not_utf8 == {1: '[{"base64":"/w=="},"b"]'}
    assert text(lists.slice(2)).not_utf8 == {}
    within = pa.StructArray.from_arrays([strings, pa.array([1, 2, 3])], ["s", "n"])
    assert text(within.slice(1)).not_utf8 == {0: '{"s":{"base64":"/w=="},"n":2}'}


class Meters(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """An extension that nobody registered."""

    def __init__(self) -> None:
        super().__init__(pa.struct([("m", pa.decimal128(5, 1))]), "test.meters")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, data: bytes) -> Meters:
        return cls()


def test_an_unknown_extension_is_what_it_is_stored_as() -> None:
    stored = pa.array([{"m": Decimal("1.5")}, None], Meters().storage_type)
    values = pa.ExtensionArray.from_storage(Meters(), stored)
    assert text(values).values.to_pylist() == ['{"m":"1.5"}', None]


BITS32 = (pa.date32(), pa.time32("s"), pa.time32("ms"))
BITS64 = (
    pa.time64("us"),
    pa.time64("ns"),
    *(pa.timestamp(u, z) for u in ("s", "ms", "us", "ns") for z in (None, "Asia/Tokyo")),
    *(pa.duration(u) for u in ("s", "ms", "us", "ns")),
)
FIXED = {
    pa.bool_(): st.booleans(),
    **{
        getattr(pa, f"{sign}int{bits}")(): st.integers(*limits)
        for bits in (8, 16, 32, 64)
        for sign, limits in (
            ("", (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)),
            ("u", (0, 2**bits - 1)),
        )
    },
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.float16(): st.floats(width=16).map(np.float16),
    **{kind: st.integers(-(2**31), 2**31 - 1) for kind in BITS32},
    **{kind: st.integers(-(2**63), 2**63 - 1) for kind in BITS64},
    pa.date64(): st.dates(),
    **{
        kind: st.decimals(
            allow_nan=False, allow_infinity=False, places=3, max_value=99_999, min_value=-99_999
        )
        for kind in (
            pa.decimal32(8, 3),
            pa.decimal64(18, 9),
            pa.decimal128(38, 12),
            pa.decimal256(76, 30),
        )
    },
    **{
        kind: st.text(st.characters(codec="utf-8"), max_size=5)
        for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.json_())
    },
    **{kind: st.binary(max_size=5) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())},
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.uuid(): st.binary(min_size=16, max_size=16),
    pa.month_day_nano_interval(): st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3),
    pa.null(): st.none(),
}


@st.composite
def scalars(draw: st.DrawFn) -> pa.Array:
    kind = draw(st.sampled_from(list(FIXED)))
    values = draw(st.lists(st.none() | FIXED[kind], min_size=1, max_size=6))
    if kind in BITS32 or kind in BITS64:
        return pa.array(values, pa.int32() if kind in BITS32 else pa.int64()).view(kind)
    return pa.array(values, kind)


@st.composite
def within(draw: st.DrawFn, children: st.SearchStrategy[pa.Array]) -> pa.Array:
    child = draw(children)
    size = len(child)
    if not size:
        return child
    cuts = sorted(draw(st.lists(st.integers(0, size), min_size=1, max_size=4)))
    absent = draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))
    offsets = pa.array(
        [None if a else c for a, c in zip(absent[:-1], cuts[:-1], strict=True)] + cuts[-1:],
        pa.int32(),
    )
    shapes: dict[str, Any] = {
        "list": lambda: pa.ListArray.from_arrays(offsets, child),
        "large": lambda: pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), child),
        "view": lambda: pa.ListViewArray.from_arrays(
            pa.array([0] * len(cuts), pa.int32()), pa.array(cuts, pa.int32()), child
        ),
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(child, size),
        "struct": lambda: pa.StructArray.from_arrays([child, pa.array(range(size))], ["v", "n"]),
        "map": lambda: pa.MapArray.from_arrays(
            pa.array([0, size], pa.int32()), pa.array(map(str, range(size))), child
        ),
        "sparse": lambda: pa.UnionArray.from_sparse(
            pa.array([n % 2 for n in range(size)], pa.int8()), [child, pa.array(["x"] * size)]
        ),
        "dense": lambda: pa.UnionArray.from_dense(
            pa.array([0] * size, pa.int8()), pa.array(range(size), pa.int32()), [child]
        ),
        "dictionary": lambda: pa.DictionaryArray.from_arrays(
            pa.array([size - 1, None, 0], pa.int8()), child
        ),
        "run ends": lambda: pa.RunEndEncodedArray.from_arrays(
            pa.array(range(1, size + 1), pa.int32()), child
        ),
    }
    try:
        made = shapes[draw(st.sampled_from(list(shapes)))]()
    except pa.ArrowInvalid:  # run ends take no time that a clock does not show
        return child
    return made.slice(draw(st.integers(0, len(made) - 1))) if len(made) else made


@settings(max_examples=400, deadline=None)
@given(st.recursive(scalars(), within, max_leaves=4))
def test_no_type_is_without_a_text(values: pa.Array) -> None:
    found = text(values)
    assert found.values.type == pa.string()
    assert len(found.values) == len(values)
    assert not found.not_utf8
    found.values.validate(full=True)
    stored = values.type
    if pa.types.is_nested(stored) and not pa.types.is_run_end_encoded(stored):
        for value in found.values.to_pylist():
            if value is not None:
                json.loads(value, parse_constant=pytest.fail)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=8))
def test_no_byte_of_what_is_not_utf8_is_lost(values: list[bytes]) -> None:
    found = text(not_utf8(*values))
    for place, (value, made) in enumerate(zip(values, found.values.to_pylist(), strict=True)):
        kept = base64.b64decode(found.not_utf8[place]) if made is None else made.encode()
        assert kept == value
