from __future__ import annotations

import pytest

from checks.model import Outcome
from storage.types import TableRef
from tasks.bench import Staged
from tasks.gate import _conserved, _keys_conserved

WHOLE = {
    "ingested": 10, "read": 10, "released": 2, "published": 6, "refreshed": 3, "deduplicated": 2,
    "quarantined": 3, "waiting": 1, "rejected": 1,
}  # fmt: skip
FOLDED = {
    "ingested": 10, "released": 0, "folded": 9, "keys": 4, "published": 3, "unchanged": 1,
    "quarantined": 1, "rejected": 0,
}  # fmt: skip


def _staged(rows: dict[str, int]) -> Staged:
    return Staged(TableRef("d", "silver", "t"), "token", "folder", rows=rows)


def test_rows_are_conserved_where_each_is_accounted_for() -> None:
    assert _conserved(_staged(WHOLE)).outcome is Outcome.PASS
    assert _conserved(_staged(FOLDED)).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["published", "deduplicated", "quarantined", "rejected"])
def test_a_row_lost_anywhere_is_found(name: str) -> None:
    result = _conserved(_staged(WHOLE | {name: WHOLE[name] - 1}))
    assert result.outcome is Outcome.FAIL
    assert result.message == "9 of 10 ingested rows are accounted for"


def test_a_refreshed_row_is_no_ingested_one() -> None:
    assert _conserved(_staged(WHOLE | {"refreshed": 0})).outcome is Outcome.PASS


@pytest.mark.parametrize(("published", "outcome"), [(2, "fail"), (3, "pass"), (4, "fail")])
def test_each_merge_key_gives_one_row(published: int, outcome: str) -> None:
    result = _keys_conserved(_staged(FOLDED | {"published": published}))
    assert result.outcome.value == outcome
    assert result.message == f"{published + 1} rows were made of 4 merge keys"
