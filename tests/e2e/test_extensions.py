"""A table format and a kind of source that another distribution adds, by entry points alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import storage.formats
import tasks.ingest.sources.registry as sources
from conf.load import load_config
from storage.errors import ConfigurationError
from tests.e2e.lakehouse import Lakehouse

pytestmark = pytest.mark.spark

PACKAGE = '''
"""Formats that are Parquet and Delta under other names, and a source that counts."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq

from storage.formats.delta.store import DeltaStore
from storage.formats.format import Format
from storage.formats.parquet.store import ParquetStore
from tasks.ingest.sources.kind import Kind
from tasks.ingest.sources.reader import Offer, StagedFile


class ToyStore(ParquetStore):
    format = "toy"


def load(place, session, locks):
    return ToyStore(session, place.root, locks)


FORMAT = Format("toy", load, layers=("bronze",), lacks="is a toy")


class OwnStore(DeltaStore):
    format = "own"


def load_own(place, session, locks):
    return OwnStore(session, place.root, locks, properties={})


OWN = Format("own", load_own)


class Counter:
    shape, keeps_deliveries, note = "count", True, None

    def __init__(self, source):
        self._until = int(source.options["until"])

    def waits_for(self, landing):
        return f"no number up to {self._until}"

    def offers(self, request):
        text = json.dumps(list(range(1, self._until + 1)))
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if any(file.sha256 == sha256 for file in request.taken):
            return []
        path = request.scratch / f"{sha256}.json"
        request.scratch.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return [Offer(path, f"numbers to {self._until}", sha256)]

    def stage(self, offer, target):
        numbers = json.loads(offer.path.read_text())
        rows = pa.table({
            "n": pa.array(map(str, numbers), pa.string()),
            "_record_number": pa.array(range(1, len(numbers) + 1), pa.int64()),
            "_rescued": pa.nulls(len(numbers), pa.string()),
        })
        pq.write_table(rows, target)
        return StagedFile(target, offer.sha256, len(numbers))


def problems(source):
    return [] if source.options.get("until", "").isdigit() else ["options.until: no number"]


KIND = Kind("counter", Counter, problems, keys=frozenset({"options"}))
'''
ENTRIES = """
[lakehouse.formats]
toy = toy_lake:FORMAT
own = toy_lake:OWN
[lakehouse.sources]
counter = toy_lake:KIND
"""
DOMAIN = """
name: counting
roots: {sql: sql, checks: checks}
as_of: select timestamp'2026-01-01'
bronze:
  numbers: {kind: counter, columns: [n], options: {until: "3"}}
silver:
  numbers:
    source: bronze.numbers
    key: [n]
    columns:
      n: {type: int}
"""
CHECK = "checks for result:\n  - row_count > 0:\n      name: rows are there\n"


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of domains; the distribution is on the path, as if it were installed."""
    site, domains = tmp_path / "site", tmp_path / "domains"
    (site / "toy_lake-1.0.dist-info").mkdir(parents=True)
    (site / "toy_lake.py").write_text(PACKAGE)
    (site / "toy_lake-1.0.dist-info" / "METADATA").write_text("Name: toy-lake\nVersion: 1.0\n")
    (site / "toy_lake-1.0.dist-info" / "entry_points.txt").write_text(ENTRIES)
    (domains / "domain").mkdir(parents=True)
    (domains / "domain" / "counting.yaml").write_text(DOMAIN)
    for layer in ("bronze", "silver"):
        checks = domains / "domain" / "checks" / layer
        checks.mkdir(parents=True)
        view = "staged" if layer == "bronze" else "result"
        (checks / "numbers.yml").write_text(CHECK.replace("result", view))
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    storage.formats.known.cache_clear()
    sources.known.cache_clear()
    yield domains
    storage.formats.known.cache_clear()
    sources.known.cache_clear()


def test_a_format_and_a_kind_of_source_come_from_outside(
    toys: Path, make_lakehouse: Callable[..., Lakehouse]
) -> None:
    lake = make_lakehouse("delta", "domain=counting", f"domains={toys}", "format.bronze=toy")
    first = lake.run()
    assert first.statuses() == {"bronze.numbers": "published", "silver.numbers": "published"}
    assert sorted(lake.table("silver.numbers")["n"].to_pylist()) == [1, 2, 3]
    assert set(lake.table("bronze.numbers")["_source_file"].to_pylist()) == {"numbers to 3"}
    assert (lake.root / "lake" / "toy" / "counting_bronze").is_dir()
    assert set(lake.run().statuses().values()) == {"unchanged"}

    more = "domain.bronze.numbers.options.until='5'"
    second = lake.run(more)
    assert set(second.statuses().values()) == {"published"}, second.summary["message"]
    assert sorted(lake.table("silver.numbers")["n"].to_pylist()) == [1, 2, 3, 4, 5]


def test_a_format_from_outside_is_that_of_a_whole_lake(
    toys: Path, make_lakehouse: Callable[..., Lakehouse]
) -> None:
    lake = make_lakehouse("own", "domain=counting", f"domains={toys}")
    assert set(lake.run().statuses().values()) == {"published"}
    assert sorted(lake.table("silver.numbers")["n"].to_pylist()) == [1, 2, 3]
    assert [p.name for p in (lake.root / "lake").glob("[!_]*")] == ["own"]
    with pytest.raises(ConfigurationError, match=r"format: no choice 'ours'; .*own"):
        load_config(["format=ours"])


def test_they_say_themselves_what_cannot_be(
    toys: Path, make_lakehouse: Callable[..., Lakehouse]
) -> None:
    lake = make_lakehouse("delta", "domain=counting", f"domains={toys}")
    status, _, said = lake.command("tables", "format.silver=toy")
    assert status == 2
    assert "format.silver: toy is a toy: for bronze only; choose delta or iceberg or own" in said
    status, _, said = lake.command("tables", "domain.bronze.numbers.options.until=many")
    assert status == 2
    assert "domain.bronze.numbers.options.until: no number" in said
    status, _, said = lake.command("tables", "domain.bronze.numbers.kind=abacus")
    assert status == 2
    assert "kind: 'abacus' is none of files, jdbc, kafka, rest, counter" in said
