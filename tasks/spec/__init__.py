"""What a domain declares: sources, tables, keys, rules and gates, as typed configuration.

Plain dataclasses, because the configuration layer registers them as schemas; `"???"` marks a value that
the domain must give. Expressions are Spark SQL.
"""

from __future__ import annotations

from tasks.spec.api import EndpointSpec, PushSpec
from tasks.spec.columns import (
    ColumnSpec,
    JoinSpec,
    PartitionSpec,
    Rounding,
    RuleSpec,
    WindowSpec,
)
from tasks.spec.destinations import DESTINATION, DestinationSpec, Push
from tasks.spec.domain import EVENTS, DomainSpec, Roots, dependencies, expanded, ordered
from tasks.spec.jdbc import KeySnapshotSpec, PartitionsSpec
from tasks.spec.kafka import KafkaSpec, OnDataLoss
from tasks.spec.limits import MUST_GIVE, OnAnomaly, QuarantineLimit, VolumeLimits, VolumeSpec
from tasks.spec.rest import (
    AuthKind,
    AuthSpec,
    HttpMethod,
    PageKind,
    PageSpec,
    Place,
    RestSpec,
    WatermarkType,
)
from tasks.spec.sources import (
    DriftMode,
    Envelope,
    FileFormat,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.spec.tables import Deletes, Fold, GoldSpec, SilverSpec, Strategy, is_query, sql_files

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
