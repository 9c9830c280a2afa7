"""Start of the one Spark session of a process, with the profile of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from storage.errors import ConfigurationError, TerminalError
from storage.formats import known
from storage.formats.format import SessionExtension
from storage.utc import use_utc

FIXED = {
    "spark.sql.session.timeZone": "UTC",
    # Spark's own choice, INT96, is read by others as nanoseconds, which do not reach beyond 2262.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    **{
        f"spark.sql.parquet.{kind}RebaseModeIn{way}": "CORRECTED"  # the proleptic Gregorian calendar
        for kind in ("datetime", "int96")
        for way in ("Read", "Write")
    },
}
"""Settings that decide which instant a value is: in a lake they are the same for ever."""

JAVA_OPTIONS = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
JAVA_ZONE = "-Duser.timezone=UTC"
"""The last of the options, so that it counts: JDBC drivers take dates and times for local ones."""


@dataclass
class SparkSettings:
    """Settings of the Spark session."""

    master: str = "local[*]"
    """Where Spark runs."""
    driver_memory: str = "4g"
    """Memory of the JVM."""
    shuffle_partitions: int = 4
    """Partitions of a shuffle."""
    default_parallelism: int = 2
    """Small numbers: the profile of a small machine makes small merges 2 to 4 times cheaper."""
    local_dir: str = "???"
    """Spark's scratch files."""
    log_file: str = "???"
    """All that the JVM prints."""
    drivers: list[str] = field(default_factory=list)
    """JDBC drivers beside those of PostgreSQL and SQLite: `snowflake`, `redshift`, or the path of a jar."""
    java_options: str = ""
    """Further options of the JVM."""
    conf: dict[str, str] = field(default_factory=dict)
    """Further settings of Spark; they win, except over those that decide which instant a value is."""


def start_session(
    settings: SparkSettings,
    *,
    java_home: Path,
    jars: Sequence[Path],
    app_name: str,
    launched: Callable[[], None] = lambda: None,
) -> SparkSession:
    """Start Spark, or return the session that this process has.

    Everything that the JVM prints goes to `settings.log_file`. PySpark forks this process to launch the JVM:
    a fork takes the lock of `logging` and then that of imports, so another thread that imports meanwhile, and
    takes them the other way round, stops both for ever. `launched` is called when that is over.

    Raises:
        TerminalError: Spark did not start, or came up without one of the SQL extensions.
    """
    use_utc()
    os.environ["JAVA_HOME"] = str(java_home)
    os.environ.pop("SPARK_HOME", None)  # a foreign Spark would be started instead of the locked one
    os.environ["SPARK_LOCAL_DIRS"] = settings.local_dir
    log = Path(settings.log_file)
    Path(settings.local_dir).mkdir(parents=True, exist_ok=True)
    conf = SparkConf(loadDefaults=False).setAppName(app_name).setMaster(settings.master)
    conf.setAll(list(_profile(settings, jars).items()))
    try:
        with stderr_to(log):
            if SparkContext._gateway is None:
                gateway = launch_gateway(conf)  # type: ignore[no-untyped-call]
                launched()
                SparkContext(conf=conf, gateway=gateway)
            session = SparkSession.builder.config(conf=conf).getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            missing = missing_extensions(session)
    except Exception as error:
        raise TerminalError(
            f"Spark did not start: {error}",
            advice=f"See {log}, and run: lakehouse doctor",
        ) from error
    if missing:
        raise TerminalError(
            f"Spark started without {', '.join(missing)}",
            advice="The jars do not fit: run make setup, then lakehouse doctor",
        )
    return session


def extensions() -> tuple[SessionExtension, ...]:
    """What the formats add to the session."""
    return tuple(made.extension for made in known().values() if made.extension is not None)


def missing_extensions(session: SparkSession) -> list[str]:
    """The extensions of formats that the session runs without; Spark itself only warns.

    An extension that did load leaves its own classes in the session's resolution rules or parser.
    """
    state = session._jsparkSession.sessionState()
    names = state.sqlParser().getClass().getName()
    names += state.analyzer().extendedResolutionRules().toString()
    names += state.analyzer().postHocResolutionRules().toString()
    loaded = names.lower()
    return [e.name for e in extensions() if not any(trace in loaded for trace in e.traces)]


def jvm_pid(session: SparkSession) -> int:
    """Process id of the session's JVM."""
    gateway = session.sparkContext._gateway
    if gateway is None:
        raise TerminalError("Spark has no JVM gateway")
    return int(gateway.jvm.java.lang.ProcessHandle.current().pid())


def _profile(settings: SparkSettings, jars: Sequence[Path]) -> dict[str, str]:
    classpath = os.pathsep.join(str(jar) for jar in jars)
    log4j = Path(__file__).with_name("log4j2.properties")
    profile = {
        "spark.sql.extensions": ",".join(extension.name for extension in extensions()),
        **{name: value for e in extensions() for name, value in e.settings.items()},
        "spark.driver.extraClassPath": classpath,
        "spark.driver.extraJavaOptions": " ".join(
            [
                f"-Dlog4j2.configurationFile={log4j.absolute().as_uri()}",
                *settings.java_options.split(),
            ]
        ),
        "spark.driver.memory": settings.driver_memory,
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.default.parallelism": str(settings.default_parallelism),
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(
            settings.default_parallelism
        ),
        "spark.sql.ansi.enabled": "true",
        "spark.sql.maxMetadataStringLength": "1000",  # a plan names the folders that it scans
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        **settings.conf,
        **_fixed(settings.conf),
    }
    for name in JAVA_OPTIONS:
        profile[name] = f"{profile.get(name, '')} {JAVA_ZONE}".strip()
    return profile


def _fixed(conf: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in FIXED.items():
        if conf.get(name, value) != value:
            raise ConfigurationError(
                f"spark.conf: {name} is {value}, not {conf[name]}",
                advice="Leave it out: instants would change their values.",
            )
    return FIXED


@contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Point file descriptor 2 to the log while the JVM is started; the JVM keeps it."""
    if SparkContext._gateway is not None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(target)
