"""Structured configuration: every key, its type and its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storage.spark.session import SparkSettings
from tasks.domain.spec import MUST_GIVE, DomainSpec


@dataclass
class Paths:
    """Folders; relative ones count from the working directory."""

    landing: str = MUST_GIVE
    """Where deliveries arrive: a folder, or one of an object store such as `s3://bucket/prefix`."""
    landing_options: dict[str, Any] = field(default_factory=dict)
    """Options of the object store's file system in fsspec: key, secret, client_kwargs, ..."""
    lake: str = MUST_GIVE
    """Where tables live; formats may share it."""
    staging: str = "${paths.lake}/_staging"
    """Rows between stage and publish, of one lake; those of a blocked table stay for inspection."""
    logs: str = "${paths.lake}/_logs"
    """Logs of Spark and of Prefect's own server."""
    reports: str = "${paths.lake}/_reports"
    """The quality report of each domain's last run, `<domain>/<format>/quality_report.json`."""
    cache: str = MUST_GIVE
    """Jars and the Java shim."""


@dataclass
class Environment:
    """What differs between a laptop, a test and production."""

    name: str = MUST_GIVE
    """dev, test or prod."""
    min_free_disk_gib: float = 2.0
    """Below this `lakehouse doctor` complains."""
    min_memory_gib: float = 6.0
    """Memory of the machine; likewise."""


@dataclass
class TableFormat:
    """How tables are stored: `format=NAME` for all, `format.LAYER=NAME` for one layer."""

    name: str = MUST_GIVE
    """delta or iceberg."""
    bronze: str = "${format.name}"
    """Of bronze tables: delta, iceberg or parquet."""
    silver: str = "${format.name}"
    """Of silver tables: delta or iceberg."""
    gold: str = "${format.name}"
    """Of gold tables: delta or iceberg."""
    ops: str = "${format.name}"
    """Of the platform's own tables: delta or iceberg."""
    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    """Table properties set at creation, by format."""


@dataclass
class Catalog:
    """Catalog of the Iceberg tables."""

    name: str = MUST_GIVE
    """`sqlite` for a lake of one machine, `postgres` for one that several machines share. Its tables are the
    same for Spark and pyiceberg."""
    url: str = ""
    """JDBC address of the database (`postgres`), with no parameter but those of TLS, `connectTimeout` and
    `ApplicationName`."""
    user: str = ""
    """Who logs in (`postgres`)."""
    password: str = ""
    """A reference to a secret, `${secret:NAME}` (`postgres`)."""
    busy_timeout_ms: int = 30_000
    """How long a write of the catalog waits for another one."""


@dataclass
class Locking:
    """Waiting times for other writers, in seconds."""

    table_seconds: float = 600.0
    """For the lock of a table."""
    run_seconds: float = 3600.0
    """For another run of the same domain."""


@dataclass
class Retry:
    """Retries of transient errors."""

    attempts: int = 3
    """How often a step is tried again."""
    first_delay_seconds: float = 2.0
    """Before the first retry; doubled for each further one."""
    jitter: float = 0.5
    """Share by which a delay is lengthened at random."""


@dataclass
class Export:
    """Files that a run leaves for others."""

    folder: str = ""
    """Where the gold tables are written as CSV at the end of each run, with the quality report; nowhere
    where it is empty. `${domain.name}` in it keeps domains apart."""


@dataclass
class Api:
    """The REST API, `lakehouse api`."""

    host: str = "127.0.0.1"
    """Address to listen on: loopback, where nothing in front of it encrypts."""
    port: int = 8000
    """Port to listen on."""
    write_keys: str = "LAKEHOUSE_API_WRITE_KEYS"
    """Secret that holds the keys that may push records, separated by commas."""
    read_keys: str = "LAKEHOUSE_API_READ_KEYS"
    """Secret that holds the keys that may read."""
    max_body_bytes: int = 1_048_576
    """Size of a request."""
    max_batch_records: int = 5_000
    """Records of a request."""
    max_waiting_records: int = 1_000_000
    """Accepted records that bronze does not have yet."""
    requests_per_second: float = 500.0
    """Of one key, on average."""
    burst: int = 1_000
    """Of one key, at once."""
    seal_records: int = 100_000
    """A file of accepted records is moved to the landing folder when it has so many,"""
    seal_seconds: float = 10.0
    """or when its first record is so old."""
    max_rows: int = 1_000
    """Rows of an answer."""
    max_reads: int = 4
    """Reads at once; others wait for up to 5 seconds."""


@dataclass
class Config:
    """The composed configuration of one run."""

    env: Environment = field(default_factory=Environment)
    format: TableFormat = field(default_factory=TableFormat)
    catalog: Catalog = field(default_factory=Catalog)
    spark: SparkSettings = field(default_factory=SparkSettings)
    domain: DomainSpec = field(default_factory=DomainSpec)
    paths: Paths = field(default_factory=Paths)
    export: Export = field(default_factory=Export)
    api: Api = field(default_factory=Api)
    locking: Locking = field(default_factory=Locking)
    retry: Retry = field(default_factory=Retry)
    domains: str = "${oc.env:LAKEHOUSE_DOMAINS,''}"
    """Folders outside of the clone that hold `domain/NAME.yaml`, separated as in PATH."""
    workers: int = 4
    """Tables worked on at once."""
    layers: list[str] = field(default_factory=list)
    """Layers to run; all when empty."""
    tables: list[str] = field(default_factory=list)
    """Tables (`layer.table`) to run; all when empty."""
    as_of: str | None = None
    """Business instant (ISO 8601) that freshness is measured against; the domain's own when null."""
