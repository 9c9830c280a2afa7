"""Names and values of checks: read as SodaCL means them, handed on quoted."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from checks import yaml_text
from checks.names import named
from checks.sodacl import CheckDefinitionError, parse_checks

LINES = {
    "missing_count(order_id) = 0": ("missing_count(`order_id`) = 0", ("order_id",)),
    "missing_count(select) = 0": ("missing_count(`select`) = 0", ("select",)),
    "missing_count(1e3) = 0": ("missing_count(`1e3`) = 0", ("1e3",)),
    "missing_count(имя)": ("missing_count(`имя`)", ("имя",)),
    "missing_count(Unit Price %)": ("missing_count(`Unit Price %`)", ("Unit Price %",)),
    "missing_count(it's)": ("missing_count(`it's`)", ("it's",)),
    'missing_count("a (b), c")': ("missing_count(`a (b), c`)", ("a (b), c",)),
    "avg(`a)b`) > 0": ("avg(`a)b`) > 0", ("a)b",)),
    "duplicate_count(a, `b`,c) = 0": ("duplicate_count(`a`, `b`, `c`) = 0", ("a", "b", "c")),
    "percentile(size, 0.95) < 5": ("percentile(`size`, 0.95) < 5", ("size",)),
    "freshness(at, as_of) < 1d": ("freshness(`at`, as_of) < 1d", ("at",)),
    "freshness(at) < 1d": ("freshness(`at`) < 1d", ("at",)),
    "max(a) between (1 and 5]": ("max(`a`) between (1 and 5]", ("a",)),
    "values in (a, b c) must exist in gold_x (d, `e`)": (
        "values in (`a`, `b c`) must exist in gold_x (`d`, `e`)",
        ("a", "b c"),
    ),
    "values in (a) must not exist in gold_x (d)": (
        "values in (`a`) must not exist in gold_x (`d`)",
        ("a",),
    ),
    "row_count > 0": ("row_count > 0", ()),
    "row_count between (1 and 5]": ("row_count between (1 and 5]", ()),
    "row_count same as result": ("row_count same as result", ()),
    "failed rows": ("failed rows", ()),
    "change for avg(a) < 5": ("change for avg(a) < 5", ()),
}


@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=LINES)
def test_each_column_of_a_line_is_quoted_and_known(
    line: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    found = named(line)
    assert (found.quoted, found.columns) == expected
    assert named(found.quoted).quoted == found.quoted
    assert named(found.quoted).columns == found.columns


def test_what_a_line_measures_is_told_without_its_threshold() -> None:
    assert named("missing_count(`a (b)`) = 0").subject == "missing_count(`a (b)`)"
    assert named("avg(a): x").subject == "avg(a)"
    assert named("missing_count(a)").subject == "missing_count(a)"


def test_the_other_view_of_a_reference_is_known() -> None:
    found = named('values in (a) must exist in gold_x (d, "e f")')
    assert (found.view, found.referenced) == ("gold_x", ("d", "e f"))
    assert named("missing_count(a) = 0").view == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("missing_count(b`t) = 0", "the column 'b`t' has a back-tick in its name"),
        ("missing_count(`b``t`) = 0", "the column 'b``t' has a back-tick in its name"),
        ("missing_count(`b) = 0", "a quote ` is not closed"),
        ("missing_count(b = 0", "a bracket is not closed"),
    ],
)
def test_a_name_that_cannot_be_quoted_is_refused_with_its_place(line: str, complaint: str) -> None:
    text = yaml.safe_dump({"checks for staged": [{line: {"name": "x"}}]})
    with pytest.raises(CheckDefinitionError) as refused:
        parse_checks("t.yml", text)
    assert str(refused.value).startswith("t.yml:2: checks for staged, item 1: ")
    assert complaint in str(refused.value)


PLAIN = {
    "yes": "yes", "no": "no", "on": "on", "Off": "Off", "y": "y", "24:00:00": "24:00:00", "12:30": "12:30",
    "1_000": "1_000", "1e": "1e", "0x": "0x", "NaN": "NaN", "nan": "nan", "=": "=", "0b1": "0b1",
    "1e3": 1000.0, "1.5E-3": 0.0015, ".5": 0.5, "1.": 1.0, "010": 10, "-3": -3, "+4": 4, "0x1f": 31,
    "0o17": 15, "true": True, "False": False, "~": None, "null": None, ".inf": float("inf"),
    "2026-01-31": dt.date(2026, 1, 31), "2026-01-31 10:00:00": dt.datetime(2026, 1, 31, 10),
}  # fmt: skip
SIGNS = (
    "can't", 'say "so"', "back\\slash", "\\", "a\nb", "\t", "", " ", " x ", "~", "a: b", "# c", "%", "имя",
    "😀", "\x85", "\u2028", "\x7f", "\x1b", "\x9f", "\ufeff", "- a", "${x", "{a", "[b", "*c", "&d",
    "!e", "|", ">",
)  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PLAIN.items(), ids=PLAIN)
def test_a_plain_scalar_is_read_as_version_1_2_of_yaml_says(text: str, value: Any) -> None:
    [found], _ = yaml_text.read(f"- {text}\n")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [*PLAIN, *SIGNS], ids=repr)
def test_a_text_that_is_written_is_read_as_that_text_by_every_version(text: str) -> None:
    written = yaml_text.written([{text: [text, text]}])
    wanted = [{text: [text, text]}]
    assert yaml_text.read(written)[0] == wanted
    assert yaml.safe_load(written) == wanted
    assert YAML(typ="rt", pure=True).load(io.StringIO(written)) == wanted


def test_other_values_are_written_as_themselves() -> None:
    values = [1, 1.5, True, None, dt.date(2026, 1, 31), 1000.0]
    assert yaml_text.read(yaml_text.written(values))[0] == values
