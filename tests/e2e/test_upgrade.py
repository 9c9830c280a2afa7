"""Tables that were written with another meaning: recognised, named, and rebuilt by `lakehouse upgrade`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa
import pytest

from storage.types import CommitRecord, TableRef
from tasks.ops.tables import ops_table
from tests.e2e.lakehouse import Lakehouse
from tests.e2e.test_gates import SELLERS, SOME, TRANSLATION
from tests.sessions import BOTH

SILVER = TableRef("olist", "silver", "sellers")
OTHER_TYPE = "domain.silver.sellers.columns.seller_zip_code_prefix.type=int"


@pytest.fixture(params=BOTH)
def lakehouse(
    request: pytest.FixtureRequest, make_lakehouse: Callable[..., Lakehouse]
) -> Lakehouse:
    """A lake of each format."""
    return make_lakehouse(request.param)


@pytest.fixture
def loaded(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.deliver("olist_sellers_dataset.csv", SELLERS, ("s1", "01310", "sao paulo", "SP"))
    lakehouse.deliver("product_category_name_translation.csv", TRANSLATION, ("bebes", "baby"))
    lakehouse.extra.append(SOME)
    assert lakehouse.run().status == 0
    return lakehouse


def upgraded(lake: Lakehouse) -> dict[str, str]:
    """What `upgrade` did with each table."""
    result = lake.run(command="upgrade")
    assert result.status == 0, result.summary
    return result.statuses()


@pytest.mark.slow
def test_another_type_is_refused_then_replaced(loaded: Lakehouse) -> None:
    before = loaded.versions()
    loaded.extra.append(OTHER_TYPE)
    status, _, err = loaded.command("run")
    assert status == 2
    assert "silver.sellers (column seller_zip_code_prefix: string → int)" in err
    assert "lakehouse upgrade" in err
    assert loaded.versions() == before

    status, out, _ = loaded.command("upgrade", "--dry-run", "--json")
    (dry,) = json.loads(out)
    assert (dry["table"], dry["changes"]) == (
        "silver.sellers", ["column seller_zip_code_prefix: string → int"]
    )  # fmt: skip
    assert upgraded(loaded) == {"silver.sellers": "published"}
    (row,) = loaded.table("silver.sellers").to_pylist()
    assert row["seller_zip_code_prefix"] == 1310
    after = loaded.versions()
    assert {t for t in after if after[t] != before[t]} == {"silver.sellers"}
    history = [e.version for e in loaded.reader.store.history(SILVER)]
    assert before["silver.sellers"] in history

    assert loaded.run().summary["message"].startswith("nothing new")
    status, out, _ = loaded.command("upgrade")
    assert (status, out.split(":")[0]) == (0, "nothing to upgrade")
    changes = loaded.reader.table(ops_table("schema_changes")).to_pylist()
    (change,) = [c for c in changes if c["mode"] == "upgrade"]
    assert "seller_zip_code_prefix is string, wanted int" in change["change"]
    assert json.loads(change["after"])["seller_zip_code_prefix"] == "int"

    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, ("s2", "02000", "sao paulo", "SP"))
    assert loaded.run().status == 0
    assert sorted(loaded.table("silver.sellers")["seller_id"].to_pylist()) == ["s1", "s2"]


def test_a_lake_of_an_older_version(loaded: Lakehouse) -> None:
    """What the code of an older version leaves: its contract in the commits, its columns in `ops`."""
    store = loaded.reader.store
    head = store.head(SILVER).record
    assert head is not None
    old = CommitRecord("old", "old", inputs=head.inputs, code="0.1.0", contract="0123456789abcdef")
    with_spark = loaded.with_spark()
    with_spark.checkpoint(SILVER, old)
    with_spark.drop(ops_table("contracts"))
    runs = store.read_arrow(ops_table("runs"))
    with_spark.drop(ops_table("runs"))
    store.append_arrow(ops_table("runs"), runs.drop_columns(["code"]), CommitRecord("old", "old"))

    status, _, err = loaded.command("run")
    assert status == 2
    assert "silver.sellers (contract 0123456789abcdef of version 0.1.0, now " in err
    assert upgraded(loaded) == {"silver.sellers": "published"}
    assert loaded.table("silver.sellers").num_rows == 1
    written = store.read_arrow(ops_table("runs"))
    assert written.schema.field("code").type in (pa.string(), pa.large_string())
    assert set(written["code"].to_pylist()) > {None}
    assert loaded.run().summary["message"].startswith("nothing new")


@pytest.mark.slow
def test_a_report_made_by_a_newer_version_is_still_written(loaded: Lakehouse) -> None:
    store = loaded.reader.store
    runs = store.read_arrow(ops_table("runs"))
    loaded.with_spark().drop(ops_table("runs"))
    newer = runs.append_column("mood", pa.nulls(runs.num_rows, pa.string()))
    store.append_arrow(ops_table("runs"), newer, CommitRecord("new", "new"))
    assert loaded.run().status == 0
    assert store.read_arrow(ops_table("runs")).num_rows == runs.num_rows + 1
