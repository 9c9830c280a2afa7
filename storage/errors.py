"""Errors of the platform: each class is either transient (worth a retry) or terminal."""

from __future__ import annotations

from storage.masking import hidden


class LakehouseError(Exception):
    """Root of every error the platform raises itself; its texts hold no secret that is known.

    Attributes:
        advice: What to type or change next, or an empty string.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(hidden(message))
        self.message = hidden(message)
        self.advice = hidden(advice)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.message, self.advice, dict(self.__dict__)))

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


def _restore(
    kind: type[LakehouseError], message: str, advice: str, state: dict[str, object]
) -> LakehouseError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.message, error.advice = message, advice
    error.__dict__.update(state)
    return error


class TransientError(LakehouseError):
    """The same call may succeed later: contention, a lost connection, a lost commit."""


class TerminalError(LakehouseError):
    """The same call fails again until something is changed."""


class ConfigurationError(TerminalError):
    """A key, type or value of the configuration or the command line is wrong."""


class OutdatedError(ConfigurationError):
    """Tables were written with another meaning than the one declared now."""


class TableNotFoundError(TerminalError):
    """The table does not exist in this lake."""


class TableExistsError(TerminalError):
    """A table of that name exists with another schema or partitioning."""


class IncompatibleSchemaError(TerminalError):
    """A table cannot take a change of its columns and keep every row as it is."""


class VersionNotFoundError(TerminalError):
    """The asked version is not in the table's retained history."""


class DuplicateKeyError(TerminalError):
    """The source of a merge holds a key more than once."""


class ChangesNotTrackedError(TerminalError):
    """The rows that were added to this table between two versions cannot be read."""


class UnsafeReadError(TerminalError):
    """Only Spark reads this table rightly."""


class CommitConflictError(TransientError):
    """Another writer committed first and the change could not be rebased."""


class CommitLostError(TransientError):
    """The write was acknowledged, but the table's log does not hold its record."""


class LockTimeoutError(TransientError):
    """Another process held the table's or the run's lock for too long."""


class StorageFullError(TerminalError):
    """The disk of the lake has no room left."""


class StorageDeniedError(TerminalError):
    """The lake cannot be written with the rights of this process."""


class InputError(TerminalError):
    """A delivered file cannot be taken as it is."""


class DestinationError(TerminalError):
    """A destination refuses what is pushed to it."""


class DestinationUnavailableError(TransientError):
    """A destination does not answer, or another session is in the way."""
