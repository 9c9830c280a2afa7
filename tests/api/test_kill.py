"""A server that is killed while clients push: what it acknowledged is there once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from flows.api.segments import Record, Segments
from tests.api.load import drive, in_bronze


def record(number: int) -> Record:
    return Record(f"t{number}", f'{{"id":"t{number}"}}'.encode())


def id_of(line: bytes) -> str:
    return line.decode().split('"')[3]


def left_behind(landing: Path) -> Path:
    """What a process leaves that is killed while it writes."""
    inbox = landing / ".inbox" / "sales"
    inbox.mkdir(parents=True)
    path = inbox / ".sales_20260301T100000000000.jsonl.part"
    path.write_bytes(record(1).line + b"\n" + record(2).line + b"\n" + record(3).line[:5])
    return path


def test_a_segment_that_was_left_is_landed_without_its_torn_line(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    segments = Segments(tmp_path, "sales", id_of)
    assert not path.exists()
    (sealed,) = segments.waiting()
    assert (sealed.name, sealed.rows) == ("sales_20260301T100000000000.jsonl", 2)
    landed = tmp_path / sealed.name
    assert landed.read_bytes() == record(1).line + b"\n" + record(2).line + b"\n"
    assert [segments.known(f"t{n}") for n in (1, 2, 3)] == [True, True, False]
    assert segments.write([[record(2), record(3)]]) == 1


def test_a_kill_between_index_and_rename_lands_the_segment_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _killed)
        with pytest.raises(KeyboardInterrupt):
            Segments(tmp_path, "sales", id_of)
    segments = Segments(tmp_path, "sales", id_of)
    assert [s.rows for s in segments.waiting()] == [2]
    assert len(list(tmp_path.glob("sales_*.jsonl"))) == 1


@pytest.mark.parametrize("torn_at", range(1, 6))
def test_a_batch_that_was_torn_is_not_there_at_all(tmp_path: Path, torn_at: int) -> None:
    segments = Segments(tmp_path, "sales", id_of)
    segments.write([[record(1), record(2)], [record(3), record(1), record(4), record(5)]])
    segments.seal()
    (landed,) = tmp_path.glob("sales_*.jsonl")
    lines = landed.read_bytes().splitlines(keepends=True)
    segments.close()

    other = tmp_path / "other"
    path = left_behind(other)
    path.write_bytes(b"".join(lines[:torn_at]))
    segments = Segments(other, "sales", id_of)
    whole = [n for n in (0, 2, 5) if n <= torn_at][-1]
    assert [segments.known(f"t{n}") for n in range(1, 6)] == [n <= whole for n in range(1, 6)]
    assert [part.rows for part in segments.waiting()] == ([whole] if whole else [])
    segments.close()


def test_a_segment_with_nothing_whole_is_removed(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    path.write_bytes(record(1).line[:5])
    assert Segments(tmp_path, "sales", id_of).waiting() == []
    assert list(tmp_path.glob("sales_*")) == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_each_record_accepted_from_eight_clients_is_in_bronze_once_though_the_server_is_killed(
    tmp_path: Path,
) -> None:
    load = drive(tmp_path, clients=8, records=10_000, kill=True)
    assert len(load.accepted) == 10_000
    assert load.retries > 0  # the kill was felt
    assert in_bronze(tmp_path) == Counter(load.accepted)
