"""Bad deliveries: a clear error or a quarantine reason, nothing half-published, a later run goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.lakehouse import Lakehouse
from tests.e2e.test_gates import SELLERS, good

SOME = "tables=[bronze.sellers,silver.sellers]"
HEADER = ",".join(SELLERS).encode() + b"\n"


@pytest.fixture
def lake(make_lakehouse: Callable[..., Lakehouse]) -> Lakehouse:
    return make_lakehouse("delta")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(HEADER, "the delivery has records", id="header-only", marks=pytest.mark.slow),
        pytest.param(
            b"a,b\n1,2\n", "has none of the columns", id="wrong-header", marks=pytest.mark.slow
        ),
        pytest.param(HEADER + b's1,"01310,x,SP\ns2,01310,x,SP\n', "record 1", id="broken-quote"),
        pytest.param(
            HEADER + "s1,01310,são paulo,SP\n".encode("latin-1"),
            "utf-8",
            id="latin-1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_file_that_cannot_be_read_blocks(lake: Lakehouse, content: bytes, says: str) -> None:
    lake.write("olist_sellers_dataset.csv", content)
    result = lake.run(SOME)
    assert result.status == 3
    message = result.table("bronze.sellers")["message"]
    assert says in message
    assert lake.table("bronze.sellers").num_rows == 0

    lake.deliver("olist_sellers_dataset.csv", SELLERS, *good("s1"))
    assert lake.run(SOME).status == 0
    assert lake.table("silver.sellers").num_rows == 1


def test_records_of_another_width_are_quarantined_with_their_number(lake: Lakehouse) -> None:
    lake.write(
        "olist_sellers_dataset.csv", HEADER + b"s1,01310,x,SP\ns2,01310\ns3,1,x,SP,more\n,1,x,SP\n"
    )
    assert lake.run(SOME).status == 0
    rows = lake.table("silver.sellers__quarantine").sort_by("_record_number").to_pylist()
    assert [(r["_record_number"], r["_rule"]) for r in rows] == [
        (2, "malformed_record"),
        (3, "malformed_record"),
        (4, "key_missing"),
    ]
    assert rows[0]["_reason"] == (
        "record has 2 fields, the header 4 (record 2 of olist_sellers_dataset.csv)"
    )
    assert rows[0]["_quality_flag"] == "suspect"
    assert lake.table("silver.sellers").num_rows == 1


def test_unknown_columns_are_kept_and_known_content_counts_once(lake: Lakehouse) -> None:
    lake.deliver("olist_sellers_dataset.csv", (*SELLERS, "rating"), (*good("s1")[0], "5"))
    assert lake.run(SOME).status == 0
    row = lake.table("bronze.sellers").to_pylist()[0]
    assert row["_rescued"] == '{"rating": "5"}'
    assert row["_quality_flag"] == "suspect"

    first = lake.landing / "olist_sellers_dataset.csv"
    renamed = lake.write("olist_sellers_dataset_renamed.csv", first.read_bytes())
    assert lake.run(SOME).summary["message"].startswith("nothing new")
    again = lake.run("--again", str(renamed), command="ingest")
    assert again.table("bronze.sellers")["status"] == "published"
    assert lake.table("bronze.sellers").num_rows == 2


def test_a_missing_landing_folder_is_wrong_use(lake: Lakehouse) -> None:
    status, _, err = lake.command("run", SOME)
    assert status == 2
    assert str(lake.landing) in err
