"""Where deliveries arrive: a local folder, or a folder of an object store that fsspec reaches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import fsspec

from storage import secrets
from storage.disk import replacing
from storage.errors import (
    ConfigurationError,
    InputError,
    LakehouseError,
    TerminalError,
    TransientError,
)
from tasks.landing.content import changed
from tasks.landing.names import delivery_order, matching

CHUNK_BYTES = 1 << 20
CONTENT_TAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5")
"""Keys under which fsspec's file systems tell what changes with an object's content. A time does not: an
object can be written twice within its resolution."""


@dataclass(frozen=True)
class StoredObject:
    """One object of a store.

    Attributes:
        path: As the store's file system names it.
        name: Relative to the landing folder.
        bytes: Its size.
        etag: Changes with its content; empty where the store has no such thing.
    """

    path: str
    name: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of an object store, such as `s3://bucket/prefix`.

    Attributes:
        url: Its address, without credentials.
        options: Of the store's file system in fsspec; secrets as references.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.url

    def find(self, pattern: str, *, hidden: bool = False) -> list[StoredObject]:
        """The objects whose names match, at any depth, from one listing, in the order of their names.

        Args:
            pattern: Glob over names.
            hidden: Whether names count that begin with a dot or an underscore.

        Raises:
            LakehouseError: The store cannot be reached, refuses, or has no such bucket.
        """
        wanted = matching(pattern, hidden=hidden)
        with self._reached():
            root = str(self._system._strip_protocol(self.url)).rstrip("/")
            listed = self._system.find(root, detail=True)
        found = []
        for path, told in listed.items():
            name = str(path).removeprefix(f"{root}/")
            if told["type"] == "file" and wanted(name.lstrip("/")):
                found.append(StoredObject(str(path), name, *_identity(told)))
        return sorted(found, key=lambda one: delivery_order(one.name))

    def fetch(self, found: StoredObject, target: Path) -> str:
        """Copy an object; the target is what was found, whole, or does not appear.

        Returns:
            SHA-256 of its content.

        Raises:
            InputError: The object is another than the one that was found, or was removed.
            StorageFullError: There is no room for the copy.
            StorageDeniedError: The copy cannot be written.
            LakehouseError: As `find`.
        """
        with replacing(target) as partial, partial.open("wb") as copy:
            return self._copied(found, copy)

    def _copied(self, found: StoredObject, copy: IO[bytes]) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            with self._reached(found):
                source = self._system.open(found.path, "rb")
            with source:
                # what s3fs reads from here on is of this ETag or refused
                self._refuse_another(found, getattr(source, "details", None))
                while chunk := self._read(found, source):
                    copy.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
        finally:
            with self._reached(found):
                now = self._system.info(found.path)
            self._refuse_another(found, now)
        if found.bytes and size != found.bytes:
            raise changed(Path(found.name))
        return digest.hexdigest()

    @staticmethod
    def _refuse_another(found: StoredObject, told: Mapping[str, Any] | None) -> None:
        if told is not None and _identity(told) != (found.bytes, found.etag):
            raise changed(Path(found.name))

    def _read(self, found: StoredObject, source: IO[bytes]) -> bytes:
        with self._reached(found):
            return source.read(CHUNK_BYTES)

    @cached_property
    def _system(self) -> Any:
        options = {"use_listings_cache": False, **secrets.revealed_in(self.options)}
        return fsspec.url_to_fs(self.url, **options)[0]

    @contextmanager
    def _reached(self, found: StoredObject | None = None) -> Iterator[None]:
        """Errors of the store's library become the platform's, also those over one object."""
        try:
            yield
        except LakehouseError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            if found is not None and isinstance(error, FileNotFoundError):
                raise _removed(found) from None
            raise _translated(self.url, error) from None


Landing = Path | RemoteFolder


def landing_of(place: str, options: Mapping[str, Any]) -> Landing:
    """The folder that a text names: with `scheme://` in an object store, else a local one.

    Raises:
        ConfigurationError: There are credentials in the address.
    """
    if not is_remote(place):
        return Path(place)
    if re.match(r"\w+://[^/]*@", place) and not place.startswith(("abfs", "az")):
        raise ConfigurationError(
            "paths.landing: an address with credentials",
            advice="Give them as paths.landing_options, by reference: ${secret:NAME}",
        )
    return RemoteFolder(place.rstrip("/"), options)


def is_remote(place: str) -> bool:
    """Whether a text names a folder of an object store."""
    return "://" in place


def _identity(told: Mapping[str, Any]) -> tuple[int, str]:
    etag = next((str(told[key]) for key in CONTENT_TAGS if told.get(key)), "")
    return int(told["size"] or 0), etag.strip('"')


def _removed(found: StoredObject) -> InputError:
    return InputError(
        f"{found.name}: the file was removed before it was read",
        advice="Run again: what is not there is not expected. Deliver it again where it is needed.",
    )


def _translated(url: str, error: Exception) -> LakehouseError:
    from botocore.exceptions import (  # noqa: PLC0415 - local folders are spared the import
        BotoCoreError,
        HTTPClientError,
    )
    from botocore.exceptions import ConnectionError as NoConnectionError  # noqa: PLC0415

    said = (str(error).splitlines() or [""])[0] or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return TerminalError(
            f"{url}: {said}", advice="Check paths.landing: there is no such bucket or folder."
        )
    if isinstance(error, PermissionError):
        return TerminalError(
            f"{url}: access is refused: {said}",
            advice="Check the credentials, in paths.landing_options or where the store's own tools "
            "find them, and their rights.",
        )
    if isinstance(error, (OSError, NoConnectionError, HTTPClientError)):
        return TransientError(
            f"{url}: no answer: {said}",
            advice="Check that this machine reaches the store, and the endpoint in paths.landing_options.",
        )
    advice = "Check paths.landing_options."
    if not isinstance(error, BotoCoreError):  # such as an address whose file system is not known
        advice = "Check paths.landing and its options; a store other than S3 needs its package of fsspec."
    return TerminalError(f"{url}: {type(error).__name__}: {said}", advice=advice)
