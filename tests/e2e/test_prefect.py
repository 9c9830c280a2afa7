"""A run as a flow of a Prefect server gives what a run on threads gives, and is in the server's history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.lakehouse import Lakehouse
from tests.e2e.test_gates import SELLERS, good

SOME = "tables=[bronze.sellers,silver.sellers]"


@pytest.fixture
def server(prefect_home: None) -> Iterator[str]:
    """Address of a server of this test's own, named as a person would name one."""
    del prefect_home
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - reads its settings

    own = SubprocessASGIServer()
    own.start(timeout=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", own.api_url)
        yield own.api_url
    own.stop()


def test_a_flow_and_threads_give_the_same(
    server: str, make_lakehouse: Callable[..., Lakehouse]
) -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    as_flow, on_threads = (make_lakehouse("delta", root=None) for _ in range(2))
    on_threads.root = as_flow.root.with_name("threads")
    for lake in (as_flow, on_threads):
        lake.deliver("olist_sellers_dataset.csv", SELLERS, *good("s1", "s2"))
    flow = as_flow.run(SOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL")
        threads = on_threads.run(SOME)
    assert (flow.status, threads.status) == (0, 0)
    assert flow.statuses() == threads.statuses()
    ids = [sorted(lake.table("silver.sellers")["seller_id"].to_pylist()) for lake in
           (as_flow, on_threads)]  # fmt: skip
    assert ids == [["s1", "s2"], ["s1", "s2"]]

    as_flow.write("olist_sellers_dataset_2.csv", "")
    blocked = as_flow.run(SOME)
    assert blocked.status == 3
    assert blocked.statuses()["silver.sellers"] == "skipped"

    assert os.environ["PREFECT_API_URL"] == server
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
        names = {run.name for run in client.read_task_runs()}
    assert sorted(str(run.state_name) for run in runs) == ["Blocked", "Completed"]
    assert {"silver.sellers · publish", "bronze.sellers · check"} <= names
