"""What looking at a domain with Spark works with: a session, empty views, and the findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType
from sqlglot.errors import TokenError

from storage.errors import ConfigurationError
from storage.types import LAYERS
from tasks.authoring.inspection.findings import Findings
from tasks.authoring.spark_errors import explained
from tasks.domain.schemas import declared
from tasks.domain.spec import DomainSpec
from tasks.domain.sql_files import sql_file
from tasks.domain.sql_text import named_tables, to_views

Fail = Callable[[int, str], None]
"""Is told the line of a text and the reason why Spark refuses it."""


@dataclass
class Inspection:
    """Spark's analyzer over empty views of the tables as they are declared.

    Attributes:
        session: A session of its own; its views are the domain's tables.
        schemas: Columns of each table whose declaration can be read, by `layer.table`.
    """

    session: SparkSession
    domain: DomainSpec
    found: Findings
    schemas: dict[str, StructType] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Every table of the domain."""
        return [f"{layer}.{name}" for layer in LAYERS for name in getattr(self.domain, layer)]

    def register(self) -> None:
        """Make an empty view of each table."""
        for label in self.labels:
            ref = self.domain.ref(label)
            try:
                self.schemas[label] = declared(self.domain, ref)
            except (ValueError, KeyError):
                continue  # a finding of its own: an unknown type, or a sequence of no column
            self.view(ref.view, self.schemas[label])

    def view(self, name: str, columns: StructType) -> DataFrame:
        """Register an empty view."""
        rows = self.session.createDataFrame([], schema=columns)
        rows.createOrReplaceTempView(name)
        return rows

    def complete(self, *labels: str) -> bool:
        """Whether every table has a view, so that what does not resolve is the text's own fault."""
        return all(label in self.schemas for label in labels)

    def text(self, relative: str) -> str | None:
        """Text of an SQL file; None where there is none, which composition has found."""
        try:
            return sql_file(self.domain, relative)
        except ConfigurationError:
            return None

    def sql_path(self, relative: str) -> Path:
        """An SQL file of the domain."""
        return Path(self.domain.roots.sql) / relative

    def file_query(self, key: str, relative: str, inputs: Sequence[str]) -> DataFrame | None:
        """The analysed query of an SQL file; None where it does not resolve, which is then found."""
        text = self.text(relative)
        if text is None:
            return None
        file = self.sql_path(relative)

        def fail(line: int, reason: str) -> None:
            self.found.error_at(file, line, key, reason)

        unread = self._reads(text, inputs, fail)
        if unread is None:
            return None
        for label in unread:
            self.found.warn(
                f"{key.rpartition('.')[0]}.inputs", f"{label} is not read by {relative}"
            )
        return self.analysed(lambda: self.session.sql(to_views(text)), fail)

    def query(self, key: str, text: str, inputs: Sequence[str]) -> DataFrame | None:
        """The analysed query of a key of the domain's file; None where it does not resolve."""
        if self._reads(text, inputs, lambda line, reason: self.found.error(key, reason)) is None:
            return None
        return self.resolved(key, lambda: self.session.sql(to_views(text)))

    def _reads(self, text: str, inputs: Sequence[str], fail: Fail) -> list[str] | None:
        """Inputs that a text does not read; None where it reads what cannot be resolved."""
        try:
            named = named_tables(text)
        except TokenError as error:
            fail(1, str(error).splitlines()[0])
            return None
        good = True
        for label, line in named.items():
            if label not in self.labels:
                fail(line, f"there is no table {label}")
                good = False
            elif label not in inputs:
                fail(line, f"{label} is read, but is not among the inputs ({', '.join(inputs)})")
            good = good and self.complete(label)
        return [label for label in inputs if label not in named] if good else None

    def resolved(self, key: str, make: Callable[[], DataFrame]) -> DataFrame | None:
        """What Spark makes of a key's text; None where it refuses, which is then found."""
        return self.analysed(make, lambda line, reason: self.found.error(key, reason))

    def analysed(self, make: Callable[[], DataFrame], fail: Fail) -> DataFrame | None:
        """What Spark makes of a text; None where it refuses, which is told to `fail`."""
        try:
            return make()
        except PySparkException as error:
            says = explained(error)
            fail(says.line or 1, says.reason)
            return None
        except ConfigurationError as error:
            fail(1, error.message)
            return None
