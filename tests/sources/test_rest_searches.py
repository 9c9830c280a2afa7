"""Searches and lists page by page: past the limit of results, in order, with and without a watermark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.errors import InputError
from tasks.domain.spec import (
    AuthKind,
    AuthSpec,
    PageKind,
    PageSpec,
    RestSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tests.services.hubspot import Fault, HubSpot
from tests.sources.conftest import MakeShop, ReadApi
from tests.sources.contacts import at, faster, five, ids, put


def test_a_search_goes_on_past_the_number_of_results_that_it_can_page_through(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    assert contacts.rest is not None
    contacts.rest.body["limit"] = 100
    count = 3 * hubspot.result_limit + 7
    for number in range(count):
        minute, second = divmod(number // 4, 60)  # four to an instant, some across two pages
        put(hubspot, number + 1, f"10:{minute:02d}:{second:02d}")
    records = read_api(contacts)
    assert sorted(ids(records)) == list(range(1, count + 1))
    assert all("after" not in page.body for page in hubspot.pages())


def test_more_of_one_instant_than_a_page_holds_are_paged_by_the_cursor(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    for number in range(1, 8):
        put(hubspot, number, "10:00:00")
    put(hubspot, 8, "10:01:00")
    records = read_api(contacts)
    assert ids(records) == list(range(1, 9))


def test_a_record_that_changes_while_pages_are_read_hides_no_other(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=2, action=lambda: put(hubspot, 1, "11:00:00", email="moved")))
    records = read_api(contacts)
    assert ids(records) == [1, 2, 3, 4, 5, 1]


def test_pages_by_the_cursor_alone_are_refused_where_they_are_not_in_order(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    assert contacts.rest is not None
    five(hubspot)
    contacts.rest.body["sorts"][0]["direction"] = "DESCENDING"
    with pytest.raises(InputError, match="not sorted by the watermark, ascending"):
        read_api(contacts)


def listed(hubspot: HubSpot, **changes: Any) -> SourceSpec:
    """Contacts by HubSpot's list, which has a cursor and no filter."""
    values: dict[str, Any] = {
        "url": hubspot.url, "path": "crm/v3/objects/contacts", "records": "results",
        "params": {"limit": "2", "properties": "email"}, "unnest": ["properties"],
        "pages": PageSpec(PageKind.cursor, "paging.next.after", "after"),
        "auth": AuthSpec(AuthKind.bearer, token="{secret:HUBSPOT_TOKEN}"),
    }  # fmt: skip
    return faster(
        SourceSpec(kind=SourceKind.rest, columns=["id", "email"], rest=RestSpec(**values | changes))
    )


def test_without_a_watermark_everything_is_delivered_when_it_changed(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    del contacts  # it sets the token
    shop = make_shop(listed(hubspot))
    assert shop.run() is None
    for number in (1, 2, 3):
        put(hubspot, number, "10:00:00", email=f"{number}@x.org")
    assert shop.run() is not None
    assert shop.run() is None
    hubspot.objects.archive("contacts", "3")
    assert shop.run() is not None
    delivered = shop.rows("bronze.sale", "_delivery", "id")
    assert delivered == [(1, "1"), (1, "2"), (1, "3"), (2, "1"), (2, "2")]
    hubspot.objects.clear()
    emptied = shop.run()
    assert emptied is not None
    assert [file.rows for file in emptied.files] == [0]
    assert shop.run() is None


def test_an_api_without_a_filter_gives_what_bronze_does_not_hold(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    del contacts
    columns = ["id", "email", "updatedAt"]
    whole = replace(
        listed(hubspot), columns=columns, watermark=WatermarkSpec("updatedAt", "0", ["id"])
    )
    shop = make_shop(whole)
    five(hubspot)
    shop.run()
    put(hubspot, 3, "10:30:00", email="three")
    shop.run()
    put(hubspot, 4, "10:10:00", email="behind the watermark")
    shop.run()
    assert shop.rows("bronze.sale", "id", "email")[5:] == [
        ("3", "three"), ("4", "behind the watermark"),
    ]  # fmt: skip
    assert shop.run() is None
    assert shop.record().notes["watermark"]["value"] == at("10:30:00")
