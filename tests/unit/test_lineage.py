"""Which commits are behind a table's rows, when some were rolled back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage.types import CommitRecord, Snapshot, Version, lineage


def history(*commits: str) -> list[Snapshot]:
    """Commits oldest first, `name` or `name>restored`, as a history newest first."""
    found = []
    for commit in commits:
        name, _, to = commit.partition(">")
        record = CommitRecord("run", name, notes={"rollback": {"to": to}} if to else {})
        found.append(Snapshot(Version(name), datetime(2024, 1, 1, tzinfo=UTC), "append", record))
    return found[::-1]


@pytest.mark.parametrize(
    ("commits", "behind"),
    [
        ("", ""),
        ("a b c", "c b a"),
        ("a b c r>a", "r a"),
        ("a b c r>a d", "d r a"),
        ("a b c r>b s>a", "s a"),
        ("a b r>a s>b", "s b a"),
        ("a b r>a c s>r", "s r a"),
        ("a b r>b", "r b a"),
    ],
)
def test_what_was_undone_is_left_out(commits: str, behind: str) -> None:
    assert [str(e.version) for e in lineage(history(*commits.split()))] == behind.split()


def test_a_history_that_ends_before_what_was_restored_ends_there() -> None:
    assert [str(e.version) for e in lineage(history("b", "r>a", "c"))] == ["c", "r"]


def test_a_commit_without_a_record_is_no_rollback() -> None:
    assert Snapshot(Version("1"), datetime.now(UTC), "append", None).restored is None
