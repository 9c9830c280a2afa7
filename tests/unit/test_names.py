"""Which files of a landing folder are deliveries, and in what order they are taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from storage.errors import InputError
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.files.reader import FileReader
from tasks.ingest.sources.reader import Request
from tasks.landing.folders import RemoteFolder
from tasks.landing.names import files_below, text_of

HIDDEN = ["_temporary/0/sale.csv", ".staging/sale.csv", "in/_SUCCESS.csv", "in/.sale.csv.part.csv",
          "in/_temporary/sale.csv"]  # fmt: skip
SHOWN = ["in/2026_03/sale_.csv", "in/sale.csv", "in/sale_.csv.d/sale.csv", "sale.csv"]


def _put(folder: Path, names: list[str], content: str = "id\na\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def _found(folder: Path, pattern: str, *, hidden: bool = False) -> list[str]:
    return [str(path.relative_to(folder)) for path in files_below(folder, pattern, hidden=hidden)]


def _stored(folder: Path, names: list[str], pattern: str, *, hidden: bool = False) -> list[str]:
    """The same in a store."""
    store = MemoryFileSystem()
    for name in names:
        store.pipe(f"{folder}/{name}", b"id\na\n")
    return [one.name for one in RemoteFolder(f"memory:/{folder}").find(pattern, hidden=hidden)]


def test_files_are_taken_folder_by_folder_and_not_by_their_own_name(tmp_path: Path) -> None:
    ordered = [
        "a/2.csv",
        "a/b/1.csv",
        "a b/1.csv",
        "a-b/0.csv",
        "b/0.csv",
        "b/B.csv",
        "b/a.csv",
        "b.csv",
    ]
    _put(tmp_path, ordered[::-1])
    assert _found(tmp_path, "*.csv") == ordered
    assert _stored(tmp_path, ordered[::-1], "*.csv") == ordered


@pytest.mark.parametrize("pattern", ["*", "*.csv", "**/*.csv", "in/**/*.csv", "*/*.csv"])
def test_hidden_names_are_passed_over_unless_the_source_asks_for_them(
    tmp_path: Path, pattern: str
) -> None:
    _put(tmp_path, [*HIDDEN, *SHOWN])
    found, everything = _found(tmp_path, pattern), _found(tmp_path, pattern, hidden=True)
    assert found
    assert {*found} == {*everything} - {*HIDDEN}
    assert {*everything} & {*HIDDEN}
    assert _stored(tmp_path, [*HIDDEN, *SHOWN], pattern) == found
    assert _stored(tmp_path, [], pattern, hidden=True) == everything


def test_a_landing_folder_below_a_hidden_one_is_searched(tmp_path: Path) -> None:
    landing = tmp_path / "_shop" / ".in"
    _put(landing, ["sale.csv"])
    assert _found(landing, "*.csv") == ["sale.csv"]
    assert _stored(landing, ["sale.csv"], "*.csv") == ["sale.csv"]


def test_letters_that_unicode_can_write_in_two_ways_are_the_same(tmp_path: Path) -> None:
    _put(tmp_path, ["cafe\u0301.csv", "caf\u00e9/1.csv"])
    assert _found(tmp_path, "caf\u00e9*") == ["cafe\u0301.csv"]
    assert _found(tmp_path, "cafe\u0301/*") == ["caf\u00e9/1.csv"]
    assert _stored(tmp_path, ["cafe\u0301.csv"], "caf\u00e9*") == ["cafe\u0301.csv"]


def test_capitals_and_blanks_are_as_written(tmp_path: Path) -> None:
    _put(tmp_path, ["Sale 1.csv", "sale 1.csv", "sale 1.CSV"])
    assert _found(tmp_path, "sale 1.csv") == ["sale 1.csv"]


def test_links_are_followed_and_a_circle_ends(tmp_path: Path) -> None:
    landing, archive = tmp_path / "landing", tmp_path / "archive"
    _put(landing, ["a/sale.csv"])
    _put(archive, ["b/sale.csv"])
    (landing / "linked").symlink_to(archive)
    (archive / "back").symlink_to(landing)
    (landing / "a" / "up").symlink_to(landing)
    (landing / "file.csv").symlink_to(archive / "b" / "sale.csv")
    (landing / "gone.csv").symlink_to(archive / "nothing.csv")
    (landing / "self.csv").symlink_to(landing / "self.csv")
    assert _found(landing, "*.csv") == ["a/sale.csv", "file.csv", "linked/b/sale.csv"]


def test_what_cannot_be_looked_at_is_named_and_a_link_to_nothing_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
    assert files_below(tmp_path, "*.csv", hidden=False) == []
    (tmp_path / "plain").write_text("")
    (tmp_path / "odd.csv").symlink_to(tmp_path / "plain" / "x")
    with pytest.raises(InputError, match=r"odd\.csv: it cannot be looked at: Not a directory"):
        files_below(tmp_path, "*.csv", hidden=False)


def test_folders_and_pipes_that_are_named_like_files_are_none(tmp_path: Path) -> None:
    _put(tmp_path, ["sale.csv/1.csv"])
    os.mkfifo(tmp_path / "pipe.csv")
    assert _found(tmp_path, "*.csv") == ["sale.csv/1.csv"]


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(tmp_path, ["closed/sale.csv"])
    scandir = os.scandir

    def refused(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("tasks.landing.names.os.scandir", refused)
    with pytest.raises(InputError, match=r"closed: the folder cannot be listed: Permission denied"):
        files_below(tmp_path, "*.csv", hidden=False)


def test_a_name_that_is_not_utf_8_is_taken_under_a_name_that_says_so(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    _put(landing, ["sale_1.csv"], "id\na\n")
    odd = Path(os.fsdecode(bytes(landing) + b"/in \xff/sale_\xe9.csv"))
    odd.parent.mkdir()
    odd.write_text("id\nb\n")
    reader = FileReader(SourceSpec("sale*.csv", ["id"]))
    offers = reader.offers(Request("sale", landing, tmp_path / "scratch"))
    assert [offer.name for offer in offers] == [r"in \xff/sale_\xe9.csv", "sale_1.csv"]
    for number, offer in enumerate(offers):
        assert reader.stage(offer, tmp_path / f"{number}.parquet").rows == 1
    odd.write_text("")
    [empty, _] = reader.offers(Request("sale", landing, tmp_path / "scratch"))
    with pytest.raises(InputError, match=r"sale_\\xe9\.csv: the file is empty"):
        reader.stage(empty, tmp_path / "empty.parquet")
    assert odd.exists()
    assert text_of("caf\u00e9.csv") == "caf\u00e9.csv"
