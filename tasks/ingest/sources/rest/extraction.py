"""One extraction of an API: its pages, one after the other, frozen as JSON lines.

Where pages are numbered, a record that changes while they are read moves to the end, and one behind it moves
over to a page that was read already. With `keyset` each page is asked for from the last watermark of the page
before, so that nothing moves; it also goes on where an API ends a search after so many results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from storage.errors import InputError
from tasks.domain.spec import RestSpec, WatermarkSpec
from tasks.ingest.sources.json_faults import Faulty
from tasks.ingest.sources.json_lines import Line
from tasks.ingest.sources.json_text import compact, parse, text_of
from tasks.ingest.sources.rest.since import Value, filled, parsed

FAULTY = "!"
"""Prefix of the line of a faulty record; the line of a valid one begins with a brace."""


class Page(Protocol):
    """One answer."""

    @property
    def records(self) -> Sequence[dict[str, Any] | Faulty]:
        """Its records, numbers as they were written."""

    @property
    def has_next(self) -> bool:
        """Whether more pages follow."""


class Api(Protocol):
    """What is asked."""

    who: str

    def pages(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Iterator[Page]:
        """The pages of one query."""


@dataclass
class Extraction:
    """What was read.

    Attributes:
        lines: The records, one a line.
        digests: SHA-256 of each line.
        highest: The watermark reached, and its text: that of earlier extractions, or a higher one read.
        lowest: The lowest one.
        named: Whether any record has the watermark's column.
        valued: Whether any has a value in it.
    """

    lines: Path
    digests: list[bytes] = field(default_factory=list)
    highest: tuple[Value, str] | None = None
    lowest: Value | None = None
    named: bool = False
    valued: bool = False


def extract(
    api: Api, spec: RestSpec, watermark: WatermarkSpec | None, since: Value | None, until: Value | None,
    read: Extraction,
) -> None:  # fmt: skip
    """Read every page and write its records; with a watermark, equal records are written once.

    Args:
        api: What is asked.
        spec: How it is asked.
        watermark: The watermark; None where everything is read.
        since: From where on records are asked for.
        until: Beyond it no watermark counts as reached; None for no bound.
        read: What is filled.

    Raises:
        LakehouseError: A page cannot be had; nothing of the extraction counts then.
        InputError: The records lack the watermark, or are not in its order where that is needed.
    """
    read.lines.parent.mkdir(parents=True, exist_ok=True)
    with read.lines.open("w", encoding="utf-8") as file:
        _Freezer(spec, watermark, until, file, read).read(api, since)
    if watermark is not None and read.digests and not read.named:
        raise InputError(
            f"{api.who}: no record has the watermark's column {watermark.column}",
            advice="Ask for it in the request, or name another column.",
        )
    if watermark is not None and read.valued and read.lowest is None:
        raise InputError(
            f"{api.who}: no value of {watermark.column} is of type {spec.watermark_type}",
            advice="Set `rest.watermark_type`, or name another column.",
        )


def unnested(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The record with the keys of its objects `names` as its own; one that it has already stays inside."""
    flat = {key: value for key, value in record.items() if key not in names}
    for name in names:
        inner = record.get(name)
        if not isinstance(inner, dict):
            if inner is not None:
                flat[name] = inner
            continue
        kept = {key: value for key, value in inner.items() if key in flat}
        flat |= {key: value for key, value in inner.items() if key not in flat}
        if kept:
            flat[name] = kept
    return flat


def frozen_lines(path: Path) -> Iterator[Line]:
    """The lines of an extraction, with the place and the reason of those that are not records."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, text in enumerate(file, 1):
            if not text.startswith(FAULTY):
                yield Line(number, text.rstrip("\n"))
                continue
            kept = parse(text.removeprefix(FAULTY))
            yield Line(number, kept["line"], kept["where"], kept["values"], kept["says"], "line")


def _frozen(record: Faulty, values: Mapping[str, Any]) -> str:
    texts = {_storable(key): _storable(value) for key, value in values.items()}
    kept = {"says": record.says, "where": record.where, "line": record.line, "values": texts}
    return f"{FAULTY}{json.dumps(kept)}"


def _storable(value: Any) -> str | None:
    """A value's text without what no table can hold; None for one that is nested too deeply."""
    try:
        text = text_of(value)
    except RecursionError:
        return None
    return None if text is None else text.encode("utf-8", "replace").decode()


class _Freezer:
    """Reads the pages of an API into a file."""

    def __init__(
        self, spec: RestSpec, watermark: WatermarkSpec | None, until: Value | None, file: IO[str],
        extraction: Extraction,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._watermark = watermark
        self._until = until
        self._keyset = spec.pages.keyset
        self._file = file
        self._written: set[bytes] = set()
        self._extraction = extraction

    def read(self, api: Api, since: Value | None) -> None:
        """Ask until no page follows; with `keyset`, each time from the last watermark of the page before."""
        reached, asked = since, self._query(since)
        while True:
            further, last = None, None
            for page in api.pages(asked["params"], asked["body"]):
                last = self._take(page.records, last, api.who)
                if self._keyset and page.has_next and self._is_further(last, reached, asked):
                    reached, further = last, self._query(last)
                    break
            if further is None:
                return
            asked = further

    def _is_further(
        self, last: Value | None, reached: Value | None, asked: Mapping[str, Any]
    ) -> bool:
        """Whether a request from there on is another one, and goes ahead."""
        ahead = last is not None and (reached is None or last > reached)
        return ahead and self._query(last) != asked

    def _query(self, since: Value | None) -> dict[str, Any]:
        return {
            "params": filled(self._spec.params, since),
            "body": filled(self._spec.body, since),
        }

    def _take(
        self, records: Sequence[dict[str, Any] | Faulty], last: Value | None, who: str
    ) -> Value | None:
        """Write the records of a page; the watermark of the last one that has any."""
        for record in records:
            values = record.values if isinstance(record, Faulty) else record
            flat = unnested(values, self._spec.unnest)
            value = self._noted(flat)
            if last is not None and value is not None and value < last and self._keyset:
                raise InputError(
                    f"{who}: the records are not sorted by the watermark, ascending",
                    advice="Sort them in the request, or leave `rest.pages.keyset` out.",
                )
            last = last if value is None else value
            if isinstance(record, Faulty):
                self._write(_frozen(record, flat), identity=record.line)
            else:
                self._write(compact(flat))
        return last

    def _noted(self, record: Mapping[str, Any]) -> Value | None:
        """The record's watermark."""
        watermark, read = self._watermark, self._extraction
        if watermark is None or watermark.column not in record:
            return None
        read.named = True
        text = text_of(record[watermark.column])
        read.valued = read.valued or text is not None
        value = parsed(text, self._spec.watermark_type)
        if value is None or text is None:
            return None
        has_come = self._until is None or value <= self._until
        if has_come and (read.highest is None or value > read.highest[0]):
            read.highest = (value, text)
        if read.lowest is None or value < read.lowest:
            read.lowest = value
        return value

    def _write(self, line: str, identity: str = "") -> None:
        digest = hashlib.sha256((identity or line).encode()).digest()
        if self._watermark is not None:
            if digest in self._written:
                return
            self._written.add(digest)
        self._extraction.digests.append(digest)
        self._file.write(f"{line}\n")
