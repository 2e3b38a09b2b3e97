"""The trash: what is in it, comes back, goes for good, and keeps what it needs."""

import asyncio
from typing import Any

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

COLLECTION = "/stac/collections/private"
ITEMS = COLLECTION + "/items"
TRASH = COLLECTION + "/trash"
UPLOAD = "0b1d6c52-6f0e-4a35-9c55-7d1f5a3b9e21"
RAW = f"raw/private/{UPLOAD}/"


def uploaded(name: str) -> dict[str, Any]:
    """An item of an upload: its original file is kept."""
    document = item(name, **{"hsi:upload": UPLOAD})
    document["assets"]["original-1"] = {"href": f"/blobs/{RAW}a.npy"}
    return document


async def entries(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await catalog.done("edda", "GET", f"{TRASH}?item={name}"))[
        "entries"
    ]
    return found


async def used(catalog: Catalog, prefix: str) -> bool:
    answer = await catalog.done("service", "GET", f"/stac/stored-prefixes?prefix={prefix}")
    return bool(answer["used"])


async def outbox(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    answer = await catalog.done(
        "service", "GET", f"/stac/removed-items?collection=private&item={name}"
    )
    return list(answer["removed"])


async def test_a_deleted_item_is_gone_at_once_and_comes_back_as_it_was(catalog: Catalog) -> None:
    made = await catalog.done("edda", "POST", ITEMS, uploaded("kept"))
    await catalog.done("edda", "DELETE", ITEMS + "/kept")
    assert (await catalog.call("vera", "GET", ITEMS + "/kept")).status_code == 404
    found = await catalog.done("vera", "POST", "/stac/search", {"ids": ["kept"]})
    assert found["features"] == []
    [entry] = await entries(catalog, "kept")
    assert (entry["deleted_by"], entry["upload"], entry["cube_kept"]) == ("edda", UPLOAD, True)
    assert entry["originals"] == [RAW]
    assert await catalog.done("edda", "GET", f"{TRASH}/{entry['id']}") == entry
    assert await used(catalog, RAW)
    assert await used(catalog, "cubes/private/kept/")
    assert await outbox(catalog, "kept") == []
    back = await catalog.done("edda", "POST", f"{TRASH}/{entry['id']}/restore")
    assert back == made
    assert await catalog.done("vera", "GET", ITEMS + "/kept") == made
    assert await entries(catalog, "kept") == []
    again = await catalog.call("edda", "POST", f"{TRASH}/{entry['id']}/restore")
    assert again.status_code == 404


async def test_an_item_without_a_cube_of_its_own_comes_back(catalog: Catalog) -> None:
    document = item("foreign") | {"assets": {"web": {"href": "https://data.example/scene.tif"}}}
    made = await catalog.done("edda", "POST", ITEMS, document)
    await catalog.done("edda", "DELETE", ITEMS + "/foreign")
    wanted = {"collection": "private", "item": "foreign", "holder": "job:9"}
    await catalog.done("service", "POST", "/stac/reservations", wanted)  # nothing is in its way
    held = "?collection=private&item=foreign&holder=job:9"
    await catalog.done("service", "DELETE", "/stac/reservations" + held)
    [entry] = await entries(catalog, "foreign")
    assert (entry["cube_kept"], entry["originals"]) == (True, [])
    assert await catalog.done("edda", "POST", f"{TRASH}/{entry['id']}/restore") == made


async def test_purging_removes_for_good(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", ITEMS, uploaded("purged"))
    await catalog.done("edda", "DELETE", ITEMS + "/purged")
    [entry] = await entries(catalog, "purged")
    await catalog.done("olga", "DELETE", f"{TRASH}/{entry['id']}")
    [removal] = await outbox(catalog, "purged")
    assert removal["prefixes"] == ["cubes/private/purged/", RAW]
    assert removal["cube"] is True
    assert not await used(catalog, "cubes/private/purged/")


async def test_an_upload_may_take_the_place_of_a_cube_whose_files_are_kept(
    catalog: Catalog,
) -> None:
    await catalog.done("edda", "POST", ITEMS, uploaded("taken"))
    await catalog.done("edda", "DELETE", ITEMS + "/taken")
    wanted = {"collection": "private", "item": "taken", "holder": "job:1"}
    refused = await catalog.call("service", "POST", "/stac/reservations", wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "item-in-trash")
    wanted |= {"holder": "upload:2", "replaces_trash": True}
    await catalog.done("service", "POST", "/stac/reservations", wanted)
    [entry] = await entries(catalog, "taken")
    assert (entry["cube_kept"], entry["originals"]) == (False, [RAW])
    assert await used(catalog, RAW)
    assert not await used(catalog, "cubes/private/taken/")
    answer = await catalog.call("edda", "POST", f"{TRASH}/{entry['id']}/restore")
    assert (answer.status_code, answer.json()["code"]) == (409, "restore-conflict")
    assert "/ingest/restore" in answer.json()["description"]
    await catalog.done("service", "POST", ITEMS, item("taken"))
    await catalog.done("olga", "DELETE", f"{TRASH}/{entry['id']}")
    [removal] = await outbox(catalog, "taken")
    assert (removal["prefixes"], removal["cube"]) == ([RAW], False)


async def test_the_only_copy_of_a_computed_item_is_not_replaced(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", ITEMS, item("computed"))
    await catalog.done("edda", "DELETE", ITEMS + "/computed")
    wanted = {"collection": "private", "item": "computed", "holder": "upload:3"}
    refused = await catalog.call(
        "service", "POST", "/stac/reservations", wanted | {"replaces_trash": True}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "item-in-trash")
    [entry] = await entries(catalog, "computed")
    assert entry["cube_kept"]
    await catalog.done("edda", "POST", ITEMS, item("computed"))  # a document without an upload
    answer = await catalog.call("edda", "POST", f"{TRASH}/{entry['id']}/restore")
    assert (answer.status_code, answer.json()["code"]) == (409, "restore-conflict")
    assert await entries(catalog, "computed") == [entry]


async def test_labels_are_no_originals_of_which_a_computed_cube_could_be_made_again(
    catalog: Catalog,
) -> None:
    labels = "raw/private/7c1f9a52-3f0e-4a35-9c55-7d1f5a3b9e77/"
    document = item("labelled")
    document["assets"]["labels-gt"] = {"href": f"/blobs/{labels}gt.tif", "roles": ["labels"]}
    made = await catalog.done("edda", "POST", ITEMS, document)
    await catalog.done("edda", "DELETE", ITEMS + "/labelled")
    [entry] = await entries(catalog, "labelled")
    assert (entry["originals"], await used(catalog, labels)) == ([], True)
    assert await catalog.done("edda", "GET", f"{TRASH}/{entry['id']}/item") == made
    assert (await catalog.call("vera", "GET", f"{TRASH}/{entry['id']}/item")).status_code == 403
    wanted = {"collection": "private", "item": "labelled", "holder": "upload:5"}
    refused = await catalog.call(
        "service", "POST", "/stac/reservations", wanted | {"replaces_trash": True}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "item-in-trash")


async def test_what_was_converted_again_under_another_id_leaves_no_cube(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", ITEMS, uploaded("moved"))
    await catalog.done("edda", "DELETE", ITEMS + "/moved")
    [entry] = await entries(catalog, "moved")
    await catalog.call("service", "POST", f"{TRASH}/{entry['id']}/converted")
    [removal] = await outbox(catalog, "moved")
    assert (removal["prefixes"], removal["cube"]) == (["cubes/private/moved/", RAW], True)
    assert await entries(catalog, "moved") == []


async def test_of_restoring_and_reserving_at_once_one_wins(catalog: Catalog) -> None:
    for number in range(5):
        name = f"contested-{number}"
        await catalog.done("edda", "POST", ITEMS, uploaded(name))
        await catalog.done("edda", "DELETE", f"{ITEMS}/{name}")
        [entry] = await entries(catalog, name)
        wanted = {"collection": "private", "item": name, "holder": "upload:4"}
        restored, reserved = await asyncio.gather(
            catalog.call("edda", "POST", f"{TRASH}/{entry['id']}/restore"),
            catalog.call(
                "service", "POST", "/stac/reservations", wanted | {"replaces_trash": True}
            ),
        )
        assert reserved.status_code == 200
        # Ingest asks this before it writes: the restored item's cube is safe.
        kept = await used(catalog, f"cubes/private/{name}/")
        assert (restored.status_code, kept) in {(201, True), (409, False)}


async def test_time_ends_and_without_retention_nothing_is_kept(catalog: Catalog) -> None:
    async with catalog.replica(trash_retention_s=0.01) as quick:
        await quick.done("edda", "POST", ITEMS, uploaded("brief"))
        await quick.done("edda", "DELETE", ITEMS + "/brief")
        async with asyncio.timeout(60):
            while not await outbox(quick, "brief"):
                await asyncio.sleep(0.01)
        assert await entries(quick, "brief") == []
    async with catalog.replica(trash_retention_s=0) as none:
        await none.done("edda", "POST", ITEMS, uploaded("unkept"))
        await none.done("edda", "DELETE", ITEMS + "/unkept")
        assert [entry["cube"] for entry in await outbox(none, "unkept")] == [True]
    await catalog.done("edda", "POST", ITEMS, item("of-a-service"))
    await catalog.done("service", "DELETE", ITEMS + "/of-a-service")
    assert await entries(catalog, "of-a-service") == []


async def test_pages(catalog: Catalog) -> None:
    await catalog.done("olga", "DELETE", TRASH)
    for number in range(5):
        await catalog.done("edda", "POST", ITEMS, item(f"page-{number}"))
        await catalog.done("edda", "DELETE", f"{ITEMS}/page-{number}")
    first = await catalog.done("edda", "GET", f"{TRASH}?limit=3")
    last = first["entries"][-1]["id"]
    second = await catalog.done("edda", "GET", f"{TRASH}?limit=3&after={last}")
    names = [entry["item"] for entry in first["entries"] + second["entries"]]
    assert names == [f"page-{number}" for number in (4, 3, 2, 1, 0)]
    assert (first["total"], second["total"]) == (5, 5)
