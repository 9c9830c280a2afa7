"""What goes into a gate and what comes out of it, free of the engine that evaluates it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from checks.sodacl import CheckDefinitionError, DeclaredCheck, Severity, parse_checks

__all__ = [
    "CheckDefinitionError",
    "CheckResult",
    "CheckSource",
    "CheckSuite",
    "DeclaredCheck",
    "Outcome",
    "Severity",
]


class Outcome(StrEnum):
    """What became of a check. One that could not be evaluated blocks like one that failed."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True)
class CheckResult:
    """The result of one declared check.

    Attributes:
        name: The check's name, unique within its suite.
        dataset: The view it was evaluated on.
        definition: The check as declared, variables unresolved.
        outcome: Pass, warn, fail or not evaluated.
        value: What was measured: rows, percent, an aggregate, seconds of age for freshness,
            deviations for a schema; None where nothing was.
        threshold: What was asked for, in words; None where the check has no threshold.
        severity: How much it counts in the score.
        message: One sentence without row values.
        seconds: Time of the queries behind it (checks on one view share most of them), or None.
    """

    name: str
    dataset: str
    definition: str
    outcome: Outcome
    value: float | None
    threshold: str | None
    severity: Severity
    message: str
    seconds: float | None = None


@dataclass(frozen=True)
class CheckSource:
    """One SodaCL document, from a file or generated.

    Attributes:
        name: File or generator, for messages.
        text: The document.
    """

    name: str
    text: str


@dataclass(frozen=True)
class CheckSuite:
    """All checks that gate one table; a suite that exists is readable and not empty.

    Attributes:
        table: The table, as ``layer.table``.
        sources: The documents, in the order of their evaluation.

    Raises:
        CheckDefinitionError: A document is not readable, no check is declared, or a name is used
            twice.
    """

    table: str
    sources: tuple[CheckSource, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            message = f"{self.table}: no checks are declared; a gate without checks is refused"
            raise CheckDefinitionError(message)
        first: dict[str, str] = {}
        for check in self.checks:
            if check.name in first:
                message = (
                    f"{check.source}: the name {check.name!r} is taken by {first[check.name]}; "
                    "give each check of a table its own name"
                )
                raise CheckDefinitionError(message)
            first[check.name] = check.source

    @classmethod
    def load(cls, root: Path, layer: str, table: str) -> CheckSuite:
        """Read ``<root>/<layer>/<table>.yml``.

        Raises:
            CheckDefinitionError: The file is missing or unreadable, or declares no check.
        """
        path = root / layer / f"{table}.yml"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            message = f"{path}: no check file for {layer}.{table}; create it with a check or more"
            raise CheckDefinitionError(message) from None
        except (OSError, UnicodeDecodeError) as error:
            message = f"{path}: the check file of {layer}.{table} cannot be read: {error}"
            raise CheckDefinitionError(message) from error
        return cls(f"{layer}.{table}", (CheckSource(str(path), text),))

    @cached_property
    def checks(self) -> tuple[DeclaredCheck, ...]:
        """Every declared check, in order."""
        return tuple(
            check for source in self.sources for check in parse_checks(source.name, source.text)
        )

    def extended(self, *sources: CheckSource) -> CheckSuite:
        """The same suite with further documents, such as generated ones."""
        return CheckSuite(self.table, (*self.sources, *sources))
