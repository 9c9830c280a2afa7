"""A database with typed columns and a password: exact text, and no credential anywhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.errors import LakehouseError, TransientError
from tasks.domain.spec import SourceKind, SourceSpec, WatermarkSpec
from tests.sources.conftest import MakeShop

TYPED = """create table typed (id int, large bigint, amount decimal(18,4), ratio double, flag boolean,
    moment timestamp, day date, raw varchar(10) for bit data, txt varchar(40))"""

TYPED_COLUMNS = ["id", "large", "amount", "ratio", "flag", "moment", "day", "raw", "txt"]

USER, PASSWORD = "clerk", "gehe1m"


class Derby:
    """An in-memory database with typed columns inside Spark's own JVM, behind a password."""

    driver = "org.apache.derby.iapi.jdbc.AutoloadedDriver"

    def __init__(self, spark: SparkSession, name: str) -> None:
        assert spark._jvm is not None
        self._jvm: Any = spark._jvm
        for key, value in (  # Derby reads them when its first database is opened
            ("stream.error.file", os.devnull),
            ("connection.requireAuthentication", "true"),
            ("authentication.provider", "BUILTIN"),
            (f"user.{USER}", PASSWORD),
        ):
            self._jvm.java.lang.System.setProperty(f"derby.{key}", value)
        self.url = f"jdbc:derby:memory:{name}"
        self._connection = self._connected(
            f"{self.url};create=true;user={USER};password={PASSWORD}"
        )

    def _connected(self, url: str) -> Any:
        driver = self._jvm.org.apache.derby.iapi.jdbc.AutoloadedDriver()
        return driver.connect(url, self._jvm.java.util.Properties())

    def execute(self, sql: str) -> None:
        self._connection.createStatement().execute(sql)

    def source(self, **changes: Any) -> SourceSpec:
        options = {"driver": self.driver, "user": USER, "password": PASSWORD}
        values: dict[str, Any] = {
            "columns": TYPED_COLUMNS, "kind": SourceKind.jdbc, "url": self.url, "table": "typed",
            "options": options, "watermark": WatermarkSpec("moment", "1 hour"),
        }  # fmt: skip
        return SourceSpec(**values | changes)


@pytest.fixture
def derby(spark: SparkSession, tmp_path: Path) -> Iterator[Derby]:
    made = Derby(spark, tmp_path.name.replace("-", "_"))
    made.execute(TYPED)
    yield made
    made.execute("drop table typed")


def test_typed_values_become_exact_text(make_shop: MakeShop, derby: Derby) -> None:
    shop = make_shop(derby.source())
    derby.execute(
        "insert into typed values (1, 9007199254740993, 1.1000, 0.1, true, "
        "timestamp('2026-03-29 02:30:00.123456'), date('2026-03-29'), x'00ff', ' x ')"
    )
    shop.run()
    assert shop.rows() == [
        ("1", "9007199254740993", "1.1000", "0.1", "true", "2026-03-29 02:30:00.123456",
         "2026-03-29", "00FF", " x "),
    ]  # fmt: skip
    assert shop.record().notes["watermark"]["value"] == "2026-03-29 02:30:00.123456"
    derby.execute(
        "insert into typed (id, moment) values "
        "(2, timestamp('2026-03-29 01:45:00')), (3, timestamp('2026-03-29 01:15:00'))"
    )
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_wrong_password_is_said_without_it(make_shop: MakeShop, derby: Derby) -> None:
    wrong = "s3same"
    with_url = derby.source(url=f"{derby.url};user={USER};password={wrong}",
                            options={"driver": derby.driver})  # fmt: skip
    with_options = derby.source(options={"driver": derby.driver, "user": USER, "password": wrong})
    for spec in (with_url, with_options):
        with pytest.raises(LakehouseError) as refused:
            make_shop(spec).stage()
        assert "authentication" in str(refused.value).lower()
        assert refused.value.advice
        assert not isinstance(refused.value, TransientError)
        assert wrong not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None


def test_a_url_that_is_repeated_is_repeated_without_its_password(make_shop: MakeShop) -> None:
    spec = SourceSpec(
        columns=["id"], kind=SourceKind.jdbc, table="t", options={"driver": "org.sqlite.JDBC"},
        url="jdbc:postgresql://clerk:s3same@localhost/shop?password=gehe1m",
    )  # fmt: skip
    with pytest.raises(LakehouseError, match="Check the URL") as refused:
        make_shop(spec).stage()
    assert "s3same" not in str(refused.value)
    assert "gehe1m" not in str(refused.value)


def test_no_credential_is_written_down(make_shop: MakeShop, derby: Derby, tmp_path: Path) -> None:
    shop = make_shop(derby.source())
    derby.execute("insert into typed (id, moment) values (1, current_timestamp)")
    attempt = shop.stage()
    assert attempt is not None
    assert PASSWORD not in json.dumps(attempt.__dict__, default=str)
    shop.publish(attempt, shop.check(attempt))
    assert PASSWORD not in shop.record().to_json()
    found = subprocess.run(
        ["grep", "-rl", PASSWORD, str(tmp_path)], capture_output=True, check=False
    )
    assert found.stdout == b""
