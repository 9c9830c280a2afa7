"""Files that appear whole or not at all, whoever else writes them."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from storage.disk import creating, replacing, write_text
from storage.errors import StorageDeniedError, StorageFullError


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target, both = tmp_path / "folder" / "file", Barrier(2, timeout=30)

    def write(letter: str) -> None:
        with replacing(target) as partial, partial.open("w") as file:
            file.write(letter * 1000)
            both.wait()
            file.write(letter * 1000)

    with ThreadPoolExecutor(2) as pool:
        [*pool.map(write, "ab")]
    assert target.read_text() in ("a" * 2000, "b" * 2000)
    assert [*target.parent.iterdir()] == [target]


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), replacing(target) as partial:  # noqa: PT012
        partial.write_text("after")
        1 / 0  # noqa: B018
    assert target.read_text() == "before"
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize(
    ("number", "raised"), [(errno.ENOSPC, StorageFullError), (errno.EDQUOT, StorageFullError),
                           (errno.EACCES, StorageDeniedError)],
)  # fmt: skip
def test_what_the_machine_refuses_names_the_file(
    tmp_path: Path, number: int, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("storage.disk.os.fsync", refused)
    with pytest.raises(raised, match=str(tmp_path / "file")):
        write_text(tmp_path / "file", "text")
    assert [*tmp_path.iterdir()] == []


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(StorageDeniedError, match="folder/file"):
        write_text(tmp_path / "folder" / "file", "text")


def test_a_file_that_somebody_made_first_stays(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(FileExistsError), creating(target) as partial:  # noqa: PT012
        partial.write_text("mine")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert [*tmp_path.iterdir()] == [target]


def test_a_long_name_leaves_room_for_the_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    write_text(target, "text")
    assert target.read_text() == "text"
    assert os.listdir(tmp_path) == [target.name]
