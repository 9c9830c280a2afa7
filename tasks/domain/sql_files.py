"""SQL files of a domain."""

from __future__ import annotations

from pathlib import Path

from storage.errors import ConfigurationError
from tasks.domain.spec import DomainSpec


def sql_file(domain: DomainSpec, relative: str) -> str:
    """Text of one of a domain's SQL files.

    Raises:
        ConfigurationError: There is no such file.
    """
    path = Path(domain.roots.sql) / relative
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
