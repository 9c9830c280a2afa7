"""The marks for gaps hold both ways: a gap is not a failure, and a gap that has closed is one."""

from __future__ import annotations

import pytest

from tests.conformance.gaps import GAPS

SUITE = """
    import pytest

    @pytest.fixture(params=["delta", "iceberg"])
    def store(request):
        return request.param

    @pytest.mark.{mark}("delta", reason="told here")
    def test_something(store):
        assert store {operator} "delta"

    def test_without_a_store():
        pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(
        "from tests.conformance.gaps import pytest_collection_modifyitems, pytest_configure"
    )
    return pytester


@pytest.mark.parametrize("mark", GAPS)
def test_a_gap_of_one_format_is_expected_and_told(suite: pytest.Pytester, mark: str) -> None:
    suite.makepyfile(SUITE.format(mark=mark, operator="!="))
    result = suite.runpytest("-rx", "--strict-markers")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines([f"*{mark}: told here*"])


@pytest.mark.parametrize("mark", GAPS)
def test_a_gap_that_has_closed_fails(suite: pytest.Pytester, mark: str) -> None:
    suite.makepyfile(SUITE.format(mark=mark, operator="=="))
    suite.runpytest("--strict-markers").assert_outcomes(passed=1, failed=2)
