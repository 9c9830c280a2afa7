"""The index of ids: what a rejected file held may be sent again, and it can be made from the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.api.index import SegmentOutcomes
from flows.api.segments import Record, Segments
from storage.errors import InputError

DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"none" * 5000),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192),
}


def record(number: int) -> Record:
    return Record(f"t{number}", f'{{"id":"t{number}"}}'.encode())


def opened(landing: Path) -> Segments:
    return Segments(landing, "sales", lambda line: line.decode().split('"')[3])


def landed(landing: Path, *numbers: int) -> None:
    segments = opened(landing)
    segments.write([[record(n) for n in numbers]])
    segments.close()


def known(segments: Segments, *numbers: int) -> list[bool]:
    return [segments.known(f"t{n}") for n in numbers]


@pytest.mark.parametrize("taken", [False, True])
def test_what_a_rejected_segment_held_is_taken_again(tmp_path: Path, taken: bool) -> None:
    landed(tmp_path, 1, 2)
    landed(tmp_path, 3)
    segments = opened(tmp_path)
    wrong, _ = segments.waiting()
    if taken:
        segments.note_outcomes(SegmentOutcomes(taken={wrong.name}))
        assert known(segments, 1, 2, 3) == [True, True, True]
    segments.note_outcomes(SegmentOutcomes(rejected={wrong.sha256[:12]}))
    assert known(segments, 1, 2, 3) == [False, False, True]
    assert [part.rows for part in segments.waiting()] == [1]
    assert segments.write([[record(1)], [record(3)]]) == 1
    segments.seal()
    segments.note_outcomes(SegmentOutcomes(rejected={wrong.sha256[:12]}))
    assert known(segments, 1, 2, 3) == [True, False, True]
    segments.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_index_that_is_not_usable_is_made_from_the_segments(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    landed(tmp_path, 1, 2)
    landed(tmp_path, 3)
    (tmp_path / "sales_by_hand.jsonl").write_text("not ours\n")
    index = tmp_path / ".inbox" / "sales" / "index.sqlite"
    damage(index)
    segments = opened(tmp_path)
    assert known(segments, 1, 2, 3, 4) == [True, True, True, False]
    assert [part.rows for part in segments.waiting()] == [2, 1]
    assert segments.write([[record(2), record(4)]]) == 1
    segments.close()


def test_an_index_that_is_made_anew_gives_an_id_to_its_newest_segment(tmp_path: Path) -> None:
    landed(tmp_path, 1)
    segments = opened(tmp_path)
    (wrong,) = segments.waiting()
    rejected = SegmentOutcomes(rejected={wrong.sha256[:12]})
    segments.note_outcomes(rejected)
    segments.write([[record(1), record(2)]])
    segments.close()
    (tmp_path / ".inbox" / "sales" / "index.sqlite").unlink()
    segments = opened(tmp_path)
    segments.note_outcomes(rejected)
    assert known(segments, 1, 2) == [True, True]
    segments.close()


def test_a_segment_that_was_changed_by_hand_is_named(tmp_path: Path) -> None:
    landed(tmp_path, 1)
    (path,) = tmp_path.glob("sales_*.jsonl")
    path.write_bytes(path.read_bytes() + b"{\n")
    (tmp_path / ".inbox" / "sales" / "index.sqlite").unlink()
    with pytest.raises(InputError, match=path.name):
        Segments(tmp_path, "sales", _id_of)


def _id_of(line: bytes) -> str:
    if line == b"{":
        raise ValueError("it is not JSON")
    return line.decode()
