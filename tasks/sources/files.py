"""Files of the landing folder: CSV, JSON lines or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Protocol

from storage.errors import InputError
from tasks.sources.content import COMPRESSIONS, file_sha256
from tasks.sources.csv_files import stage_csv
from tasks.sources.json_lines import stage_json_lines
from tasks.sources.landing import Landing, RemoteFolder, StoredObject
from tasks.sources.names import files_below, text_of
from tasks.sources.parquet_files import stage_parquet
from tasks.sources.reader import Offer, Request, StagedFile
from tasks.sources.seen import Seen
from tasks.spec import FileFormat, SourceSpec


class Parser(Protocol):
    """Writes the records of one file to Parquet."""

    def __call__(
        self, path: Path, source: SourceSpec, target: Path, *, expected_sha256: str
    ) -> StagedFile: ...


PARSERS: Mapping[FileFormat, Parser] = {
    FileFormat.csv: stage_csv,
    FileFormat.jsonl: stage_json_lines,
    FileFormat.parquet: stage_parquet,
}


class FileReader:
    """Files whose names match the source's pattern; identical content counts once.

    Local files are hashed in each run. An object of a store is read when its name, size and mark are not
    those of a delivery before: once, into the scratch folder, where it is hashed and parsed.
    """

    shape = "header"
    lasting = True
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
        if offer.fetch is not None and not offer.path.exists():
            offer.fetch()
        by_ending = self._source.format is FileFormat.by_ending
        parse = PARSERS[_ending(offer.path) if by_ending else self._source.format]
        staged = parse(offer.path, self._source, target, expected_sha256=offer.sha256)
        if offer.fetch is not None:
            offer.path.unlink(missing_ok=True)
        # a column of a typed file would else be narrower than that of a text file before it
        return replace(staged, types={}) if by_ending else staged

    def _candidates(self, request: Request) -> list[tuple[Offer, bool]]:
        """Every file that may be new, in the order of their paths, and whether it is wanted anew."""
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
            if (one.name, one.bytes, one.mark) in taken and not again:
                continue
            copy = _copy(request.scratch, one)
            sha256 = seen.sha256(one)
            if sha256 is None:
                landing.fetch(one, copy)
                sha256 = file_sha256(copy)
                seen.remember(one, sha256)
            offer = Offer(
                copy, one.name, sha256, bytes=one.bytes, mark=one.mark,
                fetch=partial(landing.fetch, one, copy),
            )  # fmt: skip
            found.append((offer, again))
        seen.save(objects)
        return found


def _local(landing: Path, scratch: Path, path: Path) -> Offer:
    """A file of the landing folder; where its name is no text, it is read by a link of another name."""
    name = text_of(str(path.relative_to(landing)))
    sha256, size = file_sha256(path), path.stat().st_size
    if path == landing / name:
        return Offer(path, name, sha256, bytes=size)
    link = scratch / "links" / sha256[:16] / PurePath(name).name
    return Offer(link, name, sha256, bytes=size, fetch=partial(_link, link, path))


def _link(link: Path, path: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(path)


def _copy(scratch: Path, found: StoredObject) -> Path:
    """Where the copy of an object's content goes: its own name keeps its ending, for readers and messages."""
    key = hashlib.sha256(f"{found.path}\n{found.mark}\n{found.bytes}".encode()).hexdigest()
    return scratch / "objects" / key[:16] / PurePath(found.name).name


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
