"""Quotas: what counts, what is refused, and that two at once do not both get the last bytes."""

import asyncio
from importlib.resources import files
from typing import Any

from hsis.service.postgres import open_pool
from hsis_catalog.settings import Settings
from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

COLLECTION = "/stac/collections/private"
QUOTA = COLLECTION + "/quota"
RAW = "raw/private/5a7f2c1e-8d3b-4c6a-9e10-2b4f6d8a0c3e/"


def sized(name: str, cube: int, originals: dict[str, int]) -> dict[str, Any]:
    document = item(name)
    document["assets"]["cube"]["file:size"] = cube
    for number, (file, size) in enumerate(originals.items(), start=1):
        href = f"/blobs/{RAW}{file}"
        document["assets"][f"original-{number}"] = {"href": href, "file:size": size}
    return document


async def reserve(catalog: Catalog, holder: str, count: int) -> Any:
    wanted = {"collection": "private", "holder": holder, "bytes": count}
    return await catalog.call("service", "PUT", "/stac/reserved-bytes", wanted)


async def numbers(catalog: Catalog) -> tuple[int | None, int, int]:
    quota = await catalog.done("edda", "GET", QUOTA)
    return quota["allowed_bytes"], quota["used_bytes"], quota["reserved_bytes"]


async def test_what_is_stored_counts_once_until_it_is_removed(catalog: Catalog) -> None:
    assert await numbers(catalog) == (None, 0, 0)
    assert (await reserve(catalog, "upload:1", 700)).status_code == 200
    assert await numbers(catalog) == (None, 0, 700)
    wanted = {"collection": "private", "item": "first", "holder": "upload:1"}
    await catalog.done("service", "POST", "/stac/reservations", wanted)
    await catalog.done("service", "POST", COLLECTION + "/items", sized("first", 500, {"a": 200}))
    assert await numbers(catalog) == (None, 700, 0)
    shared = sized("second", 50, {"a": 200, "b": 7})
    await catalog.done("service", "POST", COLLECTION + "/items", shared)
    await catalog.done("edda", "POST", COLLECTION + "/items", sized("of-a-user", 10**9, {}))
    assert await numbers(catalog) == (None, 757, 0)
    smaller = sized("first", 1, {"a": 1})
    await catalog.done("edda", "PUT", COLLECTION + "/items/first", smaller)
    await catalog.done("edda", "DELETE", COLLECTION + "/items/first")
    assert await numbers(catalog) == (None, 757, 0)  # the trash is full of it
    await catalog.done("olga", "DELETE", COLLECTION + "/trash")
    outbox = await catalog.done(
        "service", "GET", "/stac/removed-items?collection=private&item=first"
    )
    [entry] = outbox["removed"]
    await catalog.done("service", "DELETE", f"/stac/removed-items/{entry['seq']}")
    assert await numbers(catalog) == (None, 257, 0)  # the original is the second one's too


async def test_what_a_service_adds_to_an_item_counts_until_it_takes_it_out(
    catalog: Catalog,
) -> None:
    _, used, _ = await numbers(catalog)
    items, folder = COLLECTION + "/items", "raw/private/6b7f2c1e-8d3b-4c6a-9e10-2b4f6d8a0c3e/"
    document = sized("labelled", 5, {})
    await catalog.done("service", "POST", items, document)
    document["assets"]["labels-gt"] = {"href": f"/blobs/{folder}gt.tif", "file:size": 30}
    document["assets"]["of-a-user"] = {"href": f"/blobs/{folder}notes.txt", "file:size": 10**9}
    url = items + "/labelled"
    await catalog.done("service", "PUT", url + "?counted=labels-gt", document)
    assert (await numbers(catalog))[1] == used + 5 + 30
    await catalog.done("service", "PUT", url, document)  # as a correction does
    assert (await numbers(catalog))[1] == used + 5 + 30
    del document["assets"]["labels-gt"], document["assets"]["of-a-user"]
    await catalog.done("service", "PUT", url, document)
    assert (await numbers(catalog))[1] == used + 5


async def test_what_has_no_room_is_refused(catalog: Catalog) -> None:
    allowed, used, _ = await numbers(catalog)
    assert allowed is None
    for who, status in (("edda", 403), ("olga", 403), ("admin", 200)):
        answer = await catalog.call(who, "PUT", QUOTA, {"allowed_bytes": used + 100})
        assert answer.status_code == status
    assert (await reserve(catalog, "upload:2", 60)).status_code == 200
    assert (await reserve(catalog, "upload:2", 70)).status_code == 200  # instead of the 60
    refused = await reserve(catalog, "job:3", 31)
    assert (refused.status_code, refused.json()["code"]) == (413, "quota-exceeded")
    for number in (used + 100, used + 70, 31):
        assert f" {number} " in refused.json()["description"]
    await catalog.done("service", "DELETE", "/stac/reserved-bytes?holder=upload:2")
    assert (await reserve(catalog, "job:3", 100)).status_code == 200
    await catalog.done("service", "DELETE", "/stac/reserved-bytes?holder=job:3")
    answers = await asyncio.gather(*[reserve(catalog, f"upload:many-{n}", 40) for n in range(8)])
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [413] * 6
    await catalog.done("admin", "PUT", QUOTA, {"allowed_bytes": None})
    assert (await reserve(catalog, "upload:4", 10**12)).status_code == 200


async def test_label_maps_of_earlier_versions_count_from_their_migration_on(
    catalog: Catalog,
) -> None:
    """A user's documents stand for those that were there before."""
    _, used, _ = await numbers(catalog)
    for name, prefix in (("old", "cubes/private/old/labels/"), ("old-2", RAW)):
        document = sized(name, 10**6, {})
        for label, size in (("labels-gt", 40), ("labels-none", "?"), ("truth", 10**6)):
            href = f"/blobs/{prefix}{label}.tif"
            document["assets"][label] = {"href": href, "file:size": size}
        elsewhere = {"href": "/blobs/cubes/public/x/labels/a.tif", "file:size": 10**6}
        document["assets"]["labels-elsewhere"] = elsewhere
        await catalog.done("edda", "POST", COLLECTION + "/items", document)
    await catalog.done("edda", "DELETE", COLLECTION + "/items/old-2")
    settings = Settings(**catalog.settings)
    script = files("hsis_catalog") / "migrations" / "0008_sizes_of_labels.sql"
    async with open_pool(settings, "catalog") as pool:
        for _ in range(2):
            await pool.execute(script.read_text())
    assert (await numbers(catalog))[1] == used + 2 * 40
