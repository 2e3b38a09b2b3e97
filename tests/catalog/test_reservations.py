"""Reservations: one maker at a time of an item that is not there yet."""

import asyncio

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

PATH = "/stac/reservations"
ITEMS = "/stac/collections/private/items"


def wanted(name: str, holder: str) -> dict[str, str]:
    return {"collection": "private", "item": name, "holder": holder}


async def test_one_maker_at_a_time(catalog: Catalog) -> None:
    answers = [
        await catalog.call("service", "POST", PATH, wanted("one", holder))
        for holder in ("upload:1", "upload:1", "job:2")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert "just making the item 'one'" in answers[2].json()["description"]
    free = PATH + "?collection=private&item=one&holder="
    await catalog.done("service", "DELETE", free + "job:2")  # not its own
    assert (await catalog.call("service", "POST", PATH, wanted("one", "job:2"))).status_code == 409
    await catalog.done("service", "DELETE", free + "upload:1")
    await catalog.done("service", "POST", PATH, wanted("one", "job:2"))


async def test_of_many_at_once_one_gets_it(catalog: Catalog) -> None:
    calls = [
        catalog.call("service", "POST", PATH, wanted("many", f"job:{number}"))
        for number in range(8)
    ]
    statuses = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert sorted(statuses) == [200] + [409] * 7


async def test_registering_the_item_ends_it(catalog: Catalog) -> None:
    await catalog.done("service", "POST", PATH, wanted("made", "upload:1"))
    refused = await catalog.call("edda", "POST", ITEMS, item("made"))
    assert refused.status_code == 409
    await catalog.done("service", "POST", ITEMS, item("made"))
    await catalog.done("edda", "DELETE", ITEMS + "/made")
    await catalog.done("edda", "POST", ITEMS, item("made"))


async def test_only_services_reserve(catalog: Catalog) -> None:
    for who in ("edda", "olga"):
        answer = await catalog.call(who, "POST", PATH, wanted("mine", "upload:1"))
        assert answer.status_code in {401, 403}
