"""Here no test starts Spark or writes a table: one that does fails, and belongs into another folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest


@pytest.fixture
def spark() -> NoReturn:
    """The session of the other folders, which may be there already when tests of theirs ran before."""
    pytest.fail("tests/unit starts no Spark: tests/README.md names the folder for this test")


@pytest.fixture(autouse=True, scope="module")
def neither_spark_nor_tables() -> Iterator[None]:
    """Refuses what launches a JVM for Spark, and the lock that each write of a table takes."""

    def launched(*given: object, **named: object) -> NoReturn:
        pytest.fail("tests/unit starts no Spark: tests/README.md names the folder for this test")

    def locked(*given: object) -> NoReturn:
        pytest.fail("tests/unit writes no table: tests/README.md names the folder for this test")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pyspark.java_gateway.Popen", launched)
        patched.setattr("storage.adapter.FormatStore.locked", locked)
        yield
