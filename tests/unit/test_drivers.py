from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import ConfigurationError
from storage.spark.drivers import LOCK_FILE, driver_paths
from storage.spark.jars import locked_jars
from storage.spark.java import JavaHome, find_java


@pytest.fixture
def java() -> JavaHome:
    return find_java()


def test_a_jar_of_ones_own_is_taken_by_its_path(tmp_path: Path, java: JavaHome) -> None:
    own = tmp_path / "oracle.jar"
    own.write_bytes(b"")
    assert driver_paths([str(own)], cache=tmp_path, java=java) == (own,)
    assert driver_paths([], cache=tmp_path, java=java) == ()


@pytest.mark.parametrize("name", ["snowflakes", "/nowhere/oracle.jar", ""])
def test_what_is_no_driver_is_refused(tmp_path: Path, java: JavaHome, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"spark\.drivers: .* is not a driver") as refused:
        driver_paths([name], cache=tmp_path, java=java)
    assert refused.value.advice.startswith("Write redshift or snowflake")


def test_the_drivers_are_locked() -> None:
    names = [jar.coordinates.split(":")[1] for jar in locked_jars(LOCK_FILE)]
    assert names == ["snowflake-jdbc", "redshift-jdbc42"]
