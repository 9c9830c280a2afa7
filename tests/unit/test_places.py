"""Folders that the configuration takes, and those that it refuses before anything is started."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from conf.load import compose_config
from conf.places import place
from conf.schema import Config
from flows.cli import invoke
from flows.typed import overrides_of
from storage.errors import ConfigurationError
from tests.conftest import MakeConfig

ODD = "l\u00e4ke \u65e5\u672c =%+&'\":;!$@()<>`~ 50%off"
"""Signs that every reader and writer of tables takes as they are."""


@pytest.fixture
def load(make_config: MakeConfig, tmp_path: Path) -> Callable[..., Config]:
    """Places the folders of a configuration, of which some are given."""

    def placed(*, local_dir: str = "/tmp/spark", **folders: str) -> Config:
        config = make_config("delta", tmp_path)
        config.spark.local_dir = local_dir
        for name, folder in folders.items():
            setattr(config.paths, name, folder)
        place(config)
        return config

    return placed


Load = Callable[..., Config]


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("/data/a#b", "holds #, and readers of tables take what follows it for another part of an address"),
        ("/data/what?/x", "holds ?, and readers of tables"),
        ("/data/a%20b", "holds %20, and readers of tables take it for an escaped sign"),
        ("/data/a%2fb", "holds %2f, and readers"),
        ("/data/a*b", "holds *, and Spark takes it for a part of a pattern of names"),
        ("/data/a[1]", "holds [, and Spark"),
        ("/data/{a}", "holds {, and Spark"),
        ("/data/a}", "holds }, and Spark"),
        ("/data/a\\b", "holds \\, and Spark"),
        ("/data/a]b", "holds ], and the library that writes Delta tables cannot name it"),
        ("/data/a^b", "holds ^, and the library"),
        ("/data/a|b", "holds |, and the library"),
        ("/data/a\nb", "holds a control character, or bytes that are not UTF-8"),
        ("/data/a\udcffb", "'/data/a\\\\xffb' holds a control character, or bytes that are not UTF-8"),
        ("s3://shop/lake", "s3://shop/lake is an address, and has to be a folder of this machine"),
        ("file:///data/lake", "is an address, and has to be a folder of this machine"),
        ("~nobody-here/lake", "there is no user nobody-here on this machine"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["lake", "staging"])
def test_a_folder_of_tables_that_readers_would_take_for_another_is_refused(
    load: Load, name: str, folder: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(**{name: folder})
    assert refused.value.message.startswith(f"paths.{name}: ")
    assert reason in refused.value.message
    assert refused.value.advice


def test_other_signs_stay_as_they_are(load: Load, tmp_path: Path) -> None:
    lake, landing = str(tmp_path / ODD), "/in/a#b?c*d[e]{f}\\g%20"
    config = load(lake=lake, staging=f"{lake}/_staging", landing=landing)
    assert (config.paths.lake, config.paths.landing) == (lake, landing)


def test_a_tilde_is_the_home_of_a_user_unless_it_is_behind_a_slash(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    config = load(lake="~/lake", landing="./~in")
    assert config.paths.lake == str(tmp_path / "home" / "lake")
    assert config.paths.landing == str(tmp_path / "~in")


def test_what_separates_entries_of_a_list_of_folders_is_refused(load: Load) -> None:
    with pytest.raises(ConfigurationError, match=r"spark\.local_dir: /a,b/_spark holds a comma"):
        load(lake="/a,b", local_dir="/a,b/_spark")
    assert load(lake="/a,b").paths.lake == "/a,b"
    with pytest.raises(ConfigurationError, match=r"paths\.cache: /a:b holds :"):
        load(cache="/a:b")


@pytest.mark.parametrize(
    ("written", "read"), [("2026_01", "202601"), ("1e3", "1000.0"), ("true", "True")]
)
def test_a_folder_that_would_be_read_as_a_number_is_refused(written: str, read: str) -> None:
    with pytest.raises(ConfigurationError, match=f"read as {read}, not as a name") as refused:
        compose_config([f"paths.lake={written}"])
    assert refused.value.advice == f"Quote it: paths.lake=\"'{written}'\""
    assert compose_config([f"paths.lake='{written}'"]).paths.lake == written


@pytest.mark.parametrize(
    "name", ["a b", "a,b", "a#b", "läke", "it's", 'say "x"', "1e3", "a\\'b", "k=v"]
)
def test_a_command_that_is_printed_names_the_same_folder_when_it_is_typed(
    load: Load, name: str
) -> None:
    config = load()
    config.paths.lake = f"/data/{name}"
    typed = shlex.split(overrides_of(config))
    found = OverridesParser.create().parse_overrides(typed)
    assert {o.key_or_group: o.value() for o in found}["paths.lake"] == f"/data/{name}"


def test_a_command_says_so_before_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["run", f"paths.lake='{tmp_path}/a#b'", f"paths.landing={tmp_path}"]) == 2
    assert "holds #" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []
