from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import CheckDefinitionError, CheckSource, CheckSuite, Severity
from checks.sodacl import parse_checks, refuse_unsafe_values

OLIST = Path(__file__).parents[2] / "checks" / "olist"

TWO = """
checks for staged:
  - missing_count(order_id) = 0:
      name: order_id is given
      attributes: {severity: high}
checks for result:
  - freshness(bought_at, as_of):
      name: recent
      warn: when > 2d
      filter: order_id <> '${skipped}'
"""


def suite(text: str) -> CheckSuite:
    return CheckSuite("silver.orders", (CheckSource("orders.yml", text),))


def test_checks_are_read_in_order_with_what_the_gate_needs() -> None:
    first, second = suite(TWO).checks
    assert (first.name, first.dataset, first.line) == (
        "order_id is given",
        "staged",
        "missing_count(order_id) = 0",
    )
    assert first.severity is Severity.HIGH
    assert first.threshold == "= 0"
    assert first.definition == "missing_count(order_id) = 0"
    assert second.dataset == "result"
    assert second.severity is Severity.MEDIUM
    assert second.threshold == "warn when > 2d"
    assert first.can_fail
    assert not second.can_fail
    assert second.source == "orders.yml:7: checks for result, item 1"


def test_a_check_is_named_with_its_line() -> None:
    text = TWO.replace(
        "      name: recent", "      nam: recent  # the second section, below a comment"
    )
    with pytest.raises(CheckDefinitionError, match=r"^orders\.yml:8: checks for result, item 1: "):
        suite("# first\n" + text)
    with pytest.raises(
        CheckDefinitionError, match=r"^orders\.yml:6: section 'check for result' is not"
    ):
        suite(TWO.replace("checks for result", "check for result"))


def test_variables_are_replaced_from_the_given_ones_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("skipped", "from the environment")
    _, check = suite(TWO).checks
    assert check.resolved({"skipped": "x1"})[1]["filter"] == "order_id <> 'x1'"
    with pytest.raises(CheckDefinitionError, match="'skipped' is not given; known here: as_of"):
        check.resolved({"as_of": "2018-10-17"})


@pytest.mark.parametrize("value", ["a' OR 1=1", "x;y", '"', "a\nb", "${HOME}"])
def test_values_that_could_change_the_sql_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="'region'"):
        refuse_unsafe_values({"region": value})


@pytest.mark.parametrize("value", ["2018-10-17T17:30:18+00:00", "8135", "-0.5", "orders_1", ""])
def test_plain_values_are_taken(value: str) -> None:
    refuse_unsafe_values({"v": value})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "declares no checks"),
        ("[]", "declares no checks"),
        ("checks for staged:", "at least one check"),
        ("checks for staged: []", "at least one check"),
        ("checks for staged: {a: b}", "at least one check"),
        (
            "checks for staged:\n  - row_count > 0",
            r"checks for staged, item 1: .*not a named check",
        ),
        ("checks for staged:\n  - row_count > 0: {fail: 1}", "no usable name"),
        ("checks for staged:\n  - row_count > 0: {name: 3}", "no usable name"),
        ("checks for staged:\n  - row_count > 0: {name: 'a ${b}'}", "no usable name"),
        ("checks for staged:\n  - row_count > 0:\n  ", "needs a nested configuration"),
        ("checks for staged:\n  - row_count > 0:\n    name: a", "indent the configuration"),
        ("checks for `my table`:\n  - row_count > 0: {name: a}", "not supported"),
        ("checks for staged [part]:\n  - row_count > 0: {name: a}", "not supported"),
        ("for each dataset d:\n  checks: []", "not supported"),
        ("checks for staged:\n  - row_count > ${env_var('HOME')}: {name: a}", "holds a template"),
        (
            "checks for staged:\n  - row_count > 0: {name: a, attributes: {severity: dire}}",
            "'dire' is unknown; choose from low, medium, high",
        ),
        ("checks for staged: [", "not readable as YAML"),
        (
            "checks for staged:\n  - row_count > 0: {name: a}\n"
            "checks for staged:\n  - row_count > 1: {name: b}",
            "given twice",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(CheckDefinitionError, match=complaint) as refused:
        parse_checks("orders.yml", text)
    assert "orders.yml" in str(refused.value)


def test_a_name_is_unique_in_the_whole_suite() -> None:
    extra = CheckSource("volume", "checks for volume:\n  - row_count = 1: {name: recent}")
    with pytest.raises(
        CheckDefinitionError, match=r"volume:2: .*'recent' is taken by orders\.yml:"
    ):
        suite(TWO).extended(extra)


def test_an_empty_suite_is_refused() -> None:
    with pytest.raises(CheckDefinitionError, match="gate without checks"):
        CheckSuite("silver.orders", ())


def test_a_suite_is_extended() -> None:
    extra = CheckSource(
        "references",
        "checks for staged:\n"
        "  - values in (order_id) must exist in silver_orders (order_id): {name: known order}",
    )
    extended = suite(TWO).extended(extra)
    assert len(extended.checks) == 3


def test_a_missing_file_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CheckDefinitionError, match=r"orders\.yml: no check file for silver\.orders"
    ):
        CheckSuite.load(tmp_path, "silver", "orders")


def test_an_unreadable_file_says_which(tmp_path: Path) -> None:
    (tmp_path / "silver").mkdir()
    (tmp_path / "silver" / "orders.yml").write_bytes(b"checks for staged: \xff")
    with pytest.raises(CheckDefinitionError, match=r"orders\.yml.* cannot be read"):
        CheckSuite.load(tmp_path, "silver", "orders")


@pytest.mark.parametrize(("layer", "tables"), [("bronze", 9), ("silver", 10), ("gold", 17)])
def test_olist_has_a_readable_suite_for_each_table(layer: str, tables: int) -> None:
    files = sorted((OLIST / layer).glob("*.yml"))
    assert len(files) == tables
    for file in files:
        loaded = CheckSuite.load(OLIST, layer, file.stem)
        assert loaded.table == f"{layer}.{file.stem}"
        keys = [check for check in loaded.checks if check.severity is Severity.HIGH]
        assert keys, f"{loaded.table} has no check of high severity"
