"""Every adapter has the interface's signatures, so that code written for one runs on the others."""

from __future__ import annotations

import inspect

import pytest

from storage.base import TableStore
from storage.errors import ConfigurationError, TerminalError
from storage.formats import formats_for
from storage.types import TableRef
from tests.conftest import MakeLake
from tests.sessions import adapter_of

METHODS = [
    name
    for name, member in inspect.getmembers(TableStore, inspect.isfunction)
    if name != "__init__"
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", formats_for("bronze"))
def test_an_override_has_the_signature_of_the_interface(
    make_lake: MakeLake, name: str, method: str
) -> None:
    ours, theirs = (
        inspect.signature(getattr(kind, method))
        for kind in (TableStore, type(adapter_of(make_lake(name), None)))
    )
    assert theirs.parameters == ours.parameters
    if method != "_translated":  # written as a generator, which its decorator turns into a context
        assert theirs.return_annotation == ours.return_annotation


@pytest.mark.parametrize("name", formats_for("bronze"))
def test_an_adapter_is_found_by_its_own_name(make_lake: MakeLake, name: str) -> None:
    assert adapter_of(make_lake(name), None).format == name


@pytest.mark.parametrize("name", formats_for("bronze"))
def test_a_store_without_a_session_says_that_it_needs_spark(make_lake: MakeLake, name: str) -> None:
    with pytest.raises(TerminalError, match="without a session"):
        _ = adapter_of(make_lake(name), None).session


def test_an_unknown_format_is_refused_with_the_choices(make_lake: MakeLake) -> None:
    lake = make_lake(formats_for("bronze")[0])
    with pytest.raises(ConfigurationError, match=r"'hudi' is none of delta, iceberg, parquet"):
        type(lake)(lake.root, "hudi", {}, 1.0, 1).store(None)


@pytest.mark.parametrize("name", formats_for("bronze"))
def test_an_empty_lake_has_no_tables(make_lake: MakeLake, name: str) -> None:
    store = adapter_of(make_lake(name), None)
    assert store.tables("shop_silver") == []
    assert not store.exists(TableRef("shop", "silver", "orders"))
