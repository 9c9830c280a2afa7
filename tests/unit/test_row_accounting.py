from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checks.model import Outcome
from storage.types import TableRef
from tasks.context import Attempt
from tasks.domain.spec import SilverSpec
from tasks.merge.checks import _conserved, _keys_conserved
from tasks.notes import Batch, Notes
from tasks.records.accounting import (
    Group,
    RowOutcomes,
    accounted,
    by_batch,
    in_all,
    unbalanced,
)

WHOLE = {
    "ingested": 10, "read": 10, "released": 2, "published": 6, "refreshed": 3, "deduplicated": 2,
    "quarantined": 3, "waiting": 1, "rejected": 1,
}  # fmt: skip
FOLDED = {
    "ingested": 10, "released": 0, "folded": 9, "keys": 4, "published": 3, "unchanged": 1,
    "quarantined": 1, "rejected": 0,
}  # fmt: skip


def _staged(rows: dict[str, int]) -> Attempt:
    return Attempt(TableRef("d", "silver", "t"), "token", "folder", rows=rows)


def test_rows_are_conserved_where_each_is_accounted_for() -> None:
    assert _conserved(_staged(WHOLE)).outcome is Outcome.PASS
    assert _conserved(_staged(FOLDED)).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["published", "deduplicated", "quarantined", "rejected"])
def test_a_row_lost_anywhere_is_found(name: str) -> None:
    result = _conserved(_staged(WHOLE | {name: WHOLE[name] - 1}))
    assert result.outcome is Outcome.FAIL
    assert result.message == "9 of 10 ingested rows are accounted for"


def test_a_row_lost_in_one_batch_and_found_in_another_is_lost() -> None:
    accounts = {
        "b1": {"ingested": 6, "published": 4, "deduplicated": 2, "quarantined": 1},
        "b2": {"ingested": 4, "quarantined": 2, "rejected": 1},
        "b0": {"released": 2, "published": 2},
    }
    result = _conserved(replace(_staged(WHOLE), notes=Notes(accounts=accounts)))
    assert result.outcome is Outcome.FAIL
    assert result.message == (
        "10 of 10 ingested rows are accounted for; b1: 7 of 6 rows; b2: 3 of 4 rows"
    )
    accounts["b1"]["quarantined"], accounts["b2"]["quarantined"] = 0, 3
    result = _conserved(replace(_staged(WHOLE), notes=Notes(accounts=accounts)))
    assert result.outcome is Outcome.PASS


def test_rows_are_counted_for_the_delivery_that_they_came_from() -> None:
    counts = Counter(
        {
            Group("b1", None, retried=False, superseded=False): 3,
            Group("b1", None, retried=False, superseded=True): 1,
            Group("b1", "negative", retried=False, superseded=False): 2,
            Group("b0", None, retried=True, superseded=False): 1,
            Group("b0", "negative", retried=True, superseded=False): 5,
        }
    )
    outcomes: RowOutcomes = Counter(
        {("b1", "published"): 2, ("b1", "unchanged"): 1, ("b0", "published"): 1,
         ("b9", "refreshed"): 7, ("b1", "removed"): 1}
    )  # fmt: skip
    spec, taken, rejected = SilverSpec(), [Batch("b1", 6)], [Batch("b2", 4)]
    found = by_batch(spec, taken, rejected, counts, outcomes)
    assert found == {
        "b0": {"released": 1, "published": 1},
        "b1": {"ingested": 6, "published": 2, "deduplicated": 2, "quarantined": 2},
        "b2": {"ingested": 4, "rejected": 4},
    }
    assert unbalanced(found) == []
    whole = in_all(spec, found, counts, outcomes)
    assert (whole["ingested"], accounted(whole)) == (10, 10)
    assert (whole["refreshed"], whole["removed"], whole["read"]) == (7, 1, 10)
    folding = by_batch(SilverSpec(reduce="x.sql"), taken, rejected, counts, outcomes)
    assert folding["b1"] == {"ingested": 6, "folded": 4, "quarantined": 2}
    assert unbalanced(folding) == []


def test_a_refreshed_row_is_no_ingested_one() -> None:
    assert _conserved(_staged(WHOLE | {"refreshed": 0})).outcome is Outcome.PASS


@pytest.mark.parametrize(("published", "outcome"), [(2, "fail"), (3, "pass"), (4, "fail")])
def test_each_merge_key_gives_one_row(published: int, outcome: str) -> None:
    result = _keys_conserved(_staged(FOLDED | {"published": published}), SilverSpec(key=["id"]))
    assert result.outcome.value == outcome
    assert result.message == f"{published + 1} rows were made of 4 merge keys"


def test_a_folded_row_has_its_merge_key(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    rows = pa.table({"id": ["a", "b", None, "d"], "line": [1, None, 3, 4]})
    pq.write_table(rows, tmp_path / "rows" / "part.parquet")
    attempt = replace(_staged(FOLDED), folder=str(tmp_path))
    result = _keys_conserved(attempt, SilverSpec(key=["id", "line"]))
    assert result.outcome is Outcome.FAIL
    assert result.message == "4 rows were made of 4 merge keys, 2 of them without their key"
    assert _keys_conserved(attempt, SilverSpec(key=["id"])).message.endswith(
        "1 of them without their key"
    )
