"""Files of the landing folder: CSV, JSON lines or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Protocol

from storage.errors import InputError
from storage.types import LONGEST_NAME
from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.files.csv_files import stage_csv
from tasks.ingest.sources.files.parquet_files import stage_parquet
from tasks.ingest.sources.files.seen import Seen
from tasks.ingest.sources.json_lines import stage_json_lines
from tasks.ingest.sources.reader import Offer, Request, StagedFile
from tasks.landing.content import COMPRESSIONS, changed, file_sha256, hashed
from tasks.landing.folders import Landing, RemoteFolder, StoredObject
from tasks.landing.names import files_below, text_of


class Parser(Protocol):
    """Writes the records of one file to Parquet."""

    def __call__(
        self, path: Path, source: SourceSpec, target: Path, *, expected_sha256: str
    ) -> StagedFile: ...


PARSERS: dict[FileFormat, Parser] = {
    FileFormat.csv: stage_csv,
    FileFormat.jsonl: stage_json_lines,
    FileFormat.parquet: stage_parquet,
}


"""Bytes of a file's name that file systems take; an object's name may be longer."""


class FileReader:
    """Files whose names match the source's pattern; identical content counts once.

    Local files are hashed in each run. An object of a store is read when its name, size and ETag are not
    those of a delivery before: once, into the scratch folder, where it is hashed and parsed.
    """

    shape = "header"
    keeps_deliveries = True
    note = None

    def __init__(self, source: SourceSpec) -> None:
        self._source = source

    def waits_for(self, landing: Landing) -> str:
        return f"no file {self._source.pattern} in {landing}"

    def offers(self, request: Request) -> list[Offer]:
        hashes = {file.sha256 for file in request.taken}
        found: list[Offer] = []
        for offer, again in self._candidates(request):
            if offer.sha256 in hashes and not again:
                if offer.fetch is not None:
                    offer.path.unlink(missing_ok=True)
                continue
            hashes.add(offer.sha256)
            found.append(offer)
        return found

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        by_ending = self._source.format is FileFormat.by_ending
        parse = PARSERS[_ending(offer.path) if by_ending else self._source.format]
        with _held(offer) as path:
            staged = parse(path, self._source, target, expected_sha256=offer.sha256)
        # a column of a typed file would else be narrower than that of a text file before it
        return replace(staged, types={}) if by_ending else staged

    def _candidates(self, request: Request) -> list[tuple[Offer, bool]]:
        """Every file that may be new, in the order of their paths, and whether it is wanted again."""
        if isinstance(request.landing, RemoteFolder):
            return self._objects(request, request.landing)
        paths = files_below(request.landing, self._source.pattern, hidden=self._source.hidden)
        return [
            (_local(request.landing, request.scratch, path), str(path) in request.again)
            for path in paths
        ]

    def _objects(self, request: Request, landing: RemoteFolder) -> list[tuple[Offer, bool]]:
        objects = landing.find(self._source.pattern, hidden=self._source.hidden)
        taken = {(f.name, f.bytes, f.mark) for f in request.taken if f.mark}
        seen, found = Seen(request.seen), []
        for one in objects:
            again = f"{landing.url}/{one.name}" in request.again
            if (one.name, one.bytes, one.etag) in taken and not again:
                continue
            copy = _copy(request.scratch, one)
            sha256 = seen.sha256(one)
            if sha256 is None:
                sha256 = landing.fetch(one, copy)
                seen.remember(one, sha256)
            offer = Offer(
                copy, one.name, sha256, bytes=one.bytes, etag=one.etag,
                fetch=partial(_fetch, landing, one, sha256, request.seen),
            )  # fmt: skip
            found.append((offer, again))
        seen.save(objects)
        return found


def _local(landing: Path, scratch: Path, path: Path) -> Offer:
    """A file of the landing folder; where its name is not text, it is read by a link of another name."""
    name = text_of(str(path.relative_to(landing)))
    sha256, size = hashed(path)
    if path == landing / name:
        return Offer(path, name, sha256, bytes=size)
    link = scratch / "links" / sha256[:16] / _own_name(name)
    return Offer(link, name, sha256, bytes=size, fetch=partial(_link, path))


def _link(path: Path, target: Path) -> None:
    target.symlink_to(path)


def _fetch(
    landing: RemoteFolder, found: StoredObject, expected: str, seen: Path | None, target: Path
) -> None:
    """Copy an object again whose hash is known.

    Raises:
        InputError: Its content has another one, which is forgotten, so that the next run goes by the content.
        LakehouseError: As `RemoteFolder.fetch`.
    """
    if landing.fetch(found, target) != expected:
        Seen(seen).forget(found)
        raise changed(Path(found.name))


@contextmanager
def _held(offer: Offer) -> Iterator[Path]:
    """The file to parse; a copy is moved away first, where no process that looks for deliveries removes it.

    One that could not be taken is put back, so that it is not fetched again.
    """
    if offer.fetch is None:
        yield offer.path
        return
    offer.path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=offer.path.parent) as folder:
        own = Path(folder) / offer.path.name
        with suppress(FileNotFoundError):
            offer.path.replace(own)
        if not own.exists() or file_sha256(own) != offer.sha256:
            own.unlink(missing_ok=True)
            offer.fetch(own)
        try:
            yield own
        except InputError:
            own.replace(offer.path)
            raise


def _copy(scratch: Path, found: StoredObject) -> Path:
    """Where the copy of an object's content goes."""
    key = hashlib.sha256(f"{found.path}\n{found.etag}\n{found.bytes}".encode()).hexdigest()
    return scratch / "objects" / key[:16] / _own_name(found.name)


def _own_name(name: str) -> str:
    """The end of a path's last part that file systems take; it keeps its ending, for readers and messages."""
    return PurePath(name).name.encode()[-LONGEST_NAME:].decode("utf-8", "ignore")


def _ending(path: Path) -> FileFormat:
    """The format that a name ends in, below the ending of a compression."""
    name = path.name.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    try:
        return next(f for f in PARSERS if name.endswith(f".{f}"))
    except StopIteration:
        endings = ", ".join(f".{f}" for f in PARSERS)
        raise InputError(
            f"{path.name}: its name ends in none of {endings}",
            advice="Rename the file, or set the source's `format`.",
        ) from None
