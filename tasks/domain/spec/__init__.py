"""What a domain declares: sources, tables, keys, rules and gates, as typed configuration.

Plain dataclasses, because the configuration layer registers them as schemas; `"???"` marks a value that
the domain must give. Expressions are Spark SQL.
"""

from __future__ import annotations

from tasks.domain.spec.api import EndpointSpec, PushSpec
from tasks.domain.spec.columns import (
    ColumnSpec,
    JoinSpec,
    PartitionSpec,
    Rounding,
    RuleSpec,
    WindowSpec,
)
from tasks.domain.spec.destinations import DESTINATION, DestinationSpec, Push
from tasks.domain.spec.domain import EVENTS, DomainSpec, Roots, dependencies, expanded, ordered
from tasks.domain.spec.jdbc import KeySnapshotSpec, PartitionsSpec
from tasks.domain.spec.kafka import KafkaSpec, OnDataLoss
from tasks.domain.spec.limits import (
    MUST_GIVE,
    OnAnomaly,
    QuarantineLimit,
    VolumeLimits,
    VolumeSpec,
)
from tasks.domain.spec.rest import (
    AuthKind,
    AuthSpec,
    HttpMethod,
    PageKind,
    PageSpec,
    Place,
    RestSpec,
    WatermarkType,
)
from tasks.domain.spec.sources import (
    DriftMode,
    Envelope,
    FileFormat,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.domain.spec.tables import (
    Deletes,
    Fold,
    GoldSpec,
    SilverSpec,
    Strategy,
    TableSpec,
    is_query,
    sql_files,
)

__all__ = [
    "DESTINATION",
    "EVENTS",
    "MUST_GIVE",
    "AuthKind",
    "AuthSpec",
    "ColumnSpec",
    "Deletes",
    "DestinationSpec",
    "DomainSpec",
    "DriftMode",
    "EndpointSpec",
    "Envelope",
    "FileFormat",
    "Fold",
    "GoldSpec",
    "HttpMethod",
    "JoinSpec",
    "KafkaSpec",
    "KeySnapshotSpec",
    "OnAnomaly",
    "OnDataLoss",
    "PageKind",
    "PageSpec",
    "PartitionSpec",
    "PartitionsSpec",
    "Place",
    "Push",
    "PushSpec",
    "QuarantineLimit",
    "RestSpec",
    "Roots",
    "Rounding",
    "RuleSpec",
    "SilverSpec",
    "SourceKind",
    "SourceSpec",
    "Strategy",
    "TableSpec",
    "VolumeLimits",
    "VolumeSpec",
    "WatermarkSpec",
    "WatermarkType",
    "WindowSpec",
    "dependencies",
    "expanded",
    "is_query",
    "ordered",
    "sql_files",
]
