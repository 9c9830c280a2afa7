"""The jar cache, with small files in place of jars and a folder in place of the network."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from storage.errors import TransientError
from storage.spark.cache import cache_root
from storage.spark.ivy import JarDownloadError, proxy_properties
from storage.spark.jars import (
    Jar,
    JarError,
    fetch_jars,
    jar_faults,
    jar_folder,
    jar_paths,
    locked_jars,
)

CONTENTS = {"org.one:alpha_2.13:1.0": b"alpha" * 100, "org.two:beta:2.0": b"beta" * 999}
JARS = tuple(
    Jar(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()
)
ALPHA, BETA = "alpha_2.13-1.0.jar", "beta-2.0.jar"


class Repository:
    """Stands in for Ivy: writes what is published into the scratch folder, and counts."""

    def __init__(self, published: dict[str, bytes]) -> None:
        self.published = published
        self.fetched: list[str] = []
        self.opened = 0

    def __call__(self, scratch: Path) -> AbstractContextManager[Callable[[str], Path]]:
        return self._open(scratch)

    @contextmanager
    def _open(self, scratch: Path) -> Iterator[Callable[[str], Path]]:
        self.opened += 1
        assert not scratch.exists(), "left-overs of an earlier attempt must be gone"
        scratch.mkdir(parents=True)

        def fetch(coordinates: str) -> Path:
            self.fetched.append(coordinates)
            if coordinates not in self.published:
                raise JarDownloadError(f"{coordinates} could not be fetched")
            path = scratch / f"{coordinates.replace(':', '_')}.jar"
            path.write_bytes(self.published[coordinates])
            return path

        yield fetch


def ignore(_jar: Jar, _arrived: int) -> None:
    pass


def names(cache: Path) -> set[str]:
    return {path.name for path in jar_folder(cache).glob("*")}


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    repository = Repository(CONTENTS)
    arrived: dict[str, int] = {}
    paths = fetch_jars(
        tmp_path, lambda jar, n: arrived.update({jar.file_name: n}), repository, jars=JARS
    )
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert arrived == {ALPHA: 500, BETA: 3996}
    assert paths == jar_paths(tmp_path, JARS) == fetch_jars(tmp_path, ignore, repository, jars=JARS)
    assert repository.opened == 1
    assert repository.fetched == list(CONTENTS)


def test_only_what_is_missing_or_damaged_is_fetched(tmp_path: Path) -> None:
    fetch_jars(tmp_path, ignore, Repository(CONTENTS), jars=JARS)
    damaged = jar_folder(tmp_path) / BETA
    damaged.write_bytes(bytes(len(CONTENTS["org.two:beta:2.0"])))
    assert len(jar_paths(tmp_path, JARS)) == 2, "the cheap check looks at presence and size"
    assert [BETA in fault and "SHA-256" in fault for fault in jar_faults(tmp_path, JARS)] == [True]
    repository = Repository(CONTENTS)
    fetch_jars(tmp_path, ignore, repository, jars=JARS)
    assert repository.fetched == ["org.two:beta:2.0"]
    assert jar_faults(tmp_path, JARS) == ()


def test_a_jar_with_another_sum_never_enters_the_cache(tmp_path: Path) -> None:
    wrong = {**CONTENTS, "org.two:beta:2.0": b"an error page"}
    with pytest.raises(JarError) as caught:
        fetch_jars(tmp_path, ignore, Repository(wrong), jars=JARS)
    message = str(caught.value)
    assert "org.two:beta:2.0" in message
    assert JARS[1].sha256 in message
    assert hashlib.sha256(b"an error page").hexdigest() in message
    assert "make setup" in caught.value.advice
    assert ALPHA in names(tmp_path)
    assert BETA not in names(tmp_path)


def test_a_fetch_that_fails_keeps_what_came_before_it(tmp_path: Path) -> None:
    half = {name: CONTENTS[name] for name in list(CONTENTS)[:1]}
    with pytest.raises(TransientError, match=r"org\.two:beta:2\.0 could not be fetched"):
        fetch_jars(tmp_path, ignore, Repository(half), jars=JARS)
    repository = Repository(CONTENTS)
    fetch_jars(tmp_path, ignore, repository, jars=JARS)
    assert repository.fetched == ["org.two:beta:2.0"]
    assert names(tmp_path) == {ALPHA, BETA, ".lock"}


def test_left_overs_of_an_interrupted_download_are_not_used(tmp_path: Path) -> None:
    scratch = jar_folder(tmp_path) / ".fetching" / "cache"
    scratch.mkdir(parents=True)
    (scratch / f"{ALPHA}.part").write_bytes(b"alp")
    (jar_folder(tmp_path) / ALPHA).write_bytes(b"alp")
    fetch_jars(tmp_path, ignore, Repository(CONTENTS), jars=JARS)
    assert jar_faults(tmp_path, JARS) == ()
    assert names(tmp_path) == {ALPHA, BETA, ".lock"}


def test_an_interrupt_is_answered_while_a_fetch_hangs(tmp_path: Path) -> None:
    ended = threading.Event()

    @contextmanager
    def hanging(scratch: Path) -> Iterator[Callable[[str], Path]]:
        def fetch(_coordinates: str) -> Path:
            ended.wait(30)
            raise JarDownloadError("the JVM ended")

        try:
            yield fetch
        finally:
            ended.set()

    def interrupt(_jar: Jar, _arrived: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_jars(tmp_path, interrupt, hanging, jars=JARS)
    assert ended.is_set()
    assert names(tmp_path) == {".lock"}


def test_two_at_once_fetch_each_jar_once(tmp_path: Path) -> None:
    repository = Repository(CONTENTS)
    results: list[tuple[Path, ...]] = []

    def run() -> None:
        results.append(fetch_jars(tmp_path, ignore, repository, jars=JARS))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1
    assert sorted(repository.fetched) == sorted(CONTENTS)


def test_missing_jars_name_each_and_the_command(tmp_path: Path) -> None:
    (jar_folder(tmp_path)).mkdir()
    (jar_folder(tmp_path) / ALPHA).write_bytes(b"short")
    with pytest.raises(JarError) as caught:
        jar_paths(tmp_path, JARS)
    assert f"{ALPHA} has 5 bytes, not 500" in caught.value.message
    assert f"{BETA} is not there" in caught.value.message
    assert caught.value.advice == "Run `make setup`."


def test_a_cache_that_cannot_be_written_says_which_variable_moves_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JarError, match="cannot be kept") as caught:
        fetch_jars(tmp_path / "file", ignore, Repository(CONTENTS), jars=JARS)
    assert "LAKEHOUSE_CACHE" in caught.value.advice


def test_the_committed_lock_names_what_both_formats_need() -> None:
    jars = locked_jars()
    artifacts = {jar.coordinates.split(":")[1] for jar in jars}
    assert artifacts >= {
        "delta-spark_4.1_2.13",
        "delta-storage",
        "iceberg-spark-runtime-4.1_2.13",
        "sqlite-jdbc",
    }
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.bytes > 0 for jar in jars)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[jar]\n", "cannot be read as a jar lock"),
        ("", "cannot be read as a jar lock"),
        (
            '[[jar]]\ncoordinates = "a:b:1"\n',
            "jar 1: the fields must be coordinates, bytes, sha256",
        ),
        (
            '[[jar]]\ncoordinates = "a:b:1"\nbytes = "5"\nsha256 = "00"\n',
            "jar 1: bytes = '5' is not of type int",
        ),
        (
            '[[jar]]\ncoordinates = "a:b"\nbytes = 5\nsha256 = "00"\n',
            "jar 1: coordinates 'a:b' are not group:artifact:version",
        ),
    ],
    ids=["syntax", "empty", "fields", "type", "coordinates"],
)
def test_a_lock_that_is_wrong_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(text)
    with pytest.raises(JarError, match=r"jars\.lock") as caught:
        locked_jars(lock)
    assert message in str(caught.value)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root({}) == Path("/home/someone/.cache/lakehouse")
    assert cache_root({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache/lakehouse")
    assert cache_root({"LAKEHOUSE_CACHE": "~/c"}) == Path("/home/someone/c")
    assert cache_root({"LAKEHOUSE_CACHE": "c"}) == Path(os.getcwd()) / "c"


def test_proxies_reach_the_jvm() -> None:
    proxies = {"https": "http://proxy.test:3128", "no": "localhost, .test"}
    assert proxy_properties(proxies) == {
        "https.proxyHost": "proxy.test",
        "https.proxyPort": "3128",
        "http.nonProxyHosts": "localhost|*.test",
    }
    assert proxy_properties({}) == {}
