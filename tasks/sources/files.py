"""Files of the landing folder: CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from storage.errors import InputError
from tasks.sources.content import file_sha256
from tasks.sources.csv_files import stage_csv
from tasks.sources.json_lines import stage_json_lines
from tasks.sources.parquet_files import stage_parquet
from tasks.sources.reader import Offer, Request, StagedFile
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
    """Files whose names match the source's pattern; identical content counts once."""

    shape = "header"
    lasting = True
    note = None

    def __init__(self, source: SourceSpec) -> None:
        self._source = source

    def waits_for(self, landing: Path) -> str:
        return f"no file {self._source.pattern} in {landing}"

    def offers(self, request: Request) -> list[Offer]:
        hashes = {file.sha256 for file in request.taken}
        found: list[Offer] = []
        paths = request.landing.rglob(self._source.pattern)
        for path in sorted(paths, key=lambda p: (p.name, str(p))):
            if not path.is_file():
                continue
            sha256 = file_sha256(path)
            if sha256 in hashes and str(path) not in request.again:
                continue
            hashes.add(sha256)
            found.append(Offer(path, str(path.relative_to(request.landing)), sha256))
        return found

    def stage(self, offer: Offer, target: Path) -> StagedFile:
        by_ending = self._source.format is FileFormat.by_ending
        parse = PARSERS[_ending(offer.path) if by_ending else self._source.format]
        staged = parse(offer.path, self._source, target, expected_sha256=offer.sha256)
        # a column of a typed file would else be narrower than that of a text file before it
        return replace(staged, types={}) if by_ending else staged


def _ending(path: Path) -> FileFormat:
    try:
        return next(f for f in PARSERS if path.suffix.lower() == f".{f}")
    except StopIteration:
        endings = ", ".join(f".{f}" for f in PARSERS)
        raise InputError(
            f"{path.name}: its name ends in none of {endings}",
            advice="Rename the file, or set the source's `format`.",
        ) from None
