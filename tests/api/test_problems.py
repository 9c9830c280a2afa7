"""Faults behind the API reach a client as an answer of its shape, without folders of the server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from flows.api.app import make_app
from storage.errors import CommitConflictError, LakehouseError, StorageDeniedError
from tests.api.conftest import composed
from tests.api.server import READ, served

TABLES = "/api/v1/tables"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        config = composed(patch, tmp_path_factory.mktemp("faults"))
        with served(make_app(config), READ) as client:
            yield client


def failing(patch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: object) -> None:
        raise error

    patch.setattr("flows.reading.Reader.tables", fail)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageDeniedError("/srv/lake/gold/x.parquet: denied", advice="Open s3://b/lake/y."), 500),
        (CommitConflictError("/srv/lake/gold/x.parquet: denied"), 503),
    ],
)
def test_an_error_of_the_platform_is_told_without_folders(
    reader: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: LakehouseError, status: int
) -> None:
    failing(monkeypatch, error)
    answer = reader.get(TABLES)
    assert answer.status_code == status
    assert answer.json()["error"] == "x.parquet: denied"
    assert answer.json()["advice"] in ("Open y.", "Tell whoever runs lakehouse api.")
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_any_other_fault_is_told_without_its_text(
    reader: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, RuntimeError("in /srv/lake"))
    answer = reader.get(TABLES, headers={"Connection": "close"})  # the server closes it after this
    assert answer.status_code == 500
    assert answer.json()["error"] == "the request could not be served"
    assert "its log says why" in answer.json()["advice"]


@pytest.mark.parametrize("name", ["gold.%00", "gold.a%0Ab", "gold." + "x" * 300])
def test_a_name_that_no_table_can_have_is_not_there(reader: httpx.Client, name: str) -> None:
    answer = reader.get(f"{TABLES}/{name}/rows")
    assert answer.status_code == 404, answer.text
    assert "is not a table name" in answer.json()["error"]
