"""What was found, with its place in a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from tasks.domain.spec import EVENTS
from tasks.domain.yaml_lines import Lines, shown


class Level(StrEnum):
    """An error keeps a run from being right; a warning does not."""

    error = "error"
    warning = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        file: As a person would type it.
        line: Counted from 1.
        key: Full key in the domain's file, or name of the check; empty where there is none.
    """

    level: Level
    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {self.level}: {key}{self.message}"

    def as_dict(self) -> dict[str, object]:
        """The values by name, for a program."""
        return asdict(self)


@dataclass
class Findings:
    """What was found in a domain so far.

    Attributes:
        file: The domain's file.
        lines: Its lines.
    """

    file: Path
    lines: Lines
    found: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(finding.level is Level.error for finding in self.found)

    def error(self, key: str, message: str) -> None:
        """An error at a key of the domain's file, or at the word of the message that stands below it."""
        self._add(Level.error, key, message)

    def warn(self, key: str, message: str) -> None:
        """A warning, likewise."""
        self._add(Level.warning, key, message)

    def _add(self, level: Level, key: str, message: str) -> None:
        key = key.replace(EVENTS, "")  # the domain's file has no such tables
        line = self.lines.at(key.removeprefix("domain").removeprefix("."), message)
        self._put(Finding(level, shown(self.file), line, key, message))

    def error_at(self, file: Path, line: int, key: str, message: str) -> None:
        """An error in any file."""
        self._put(Finding(Level.error, shown(file), line, key, message))

    def warn_at(self, file: Path, line: int, key: str, message: str) -> None:
        """A warning in any file."""
        self._put(Finding(Level.warning, shown(file), line, key, message))

    def _put(self, finding: Finding) -> None:
        if finding not in self.found:
            self.found.append(finding)
