"""Deleted items whose original files are kept, and made into items again."""

import io

import numpy as np
import pytest

from hsis.contracts.trash import RestoreRequest
from hsis.cube.reader import StoredCube
from hsis.errors import Conflict, NotFound
from tests.ingest.conftest import Ingest

COLLECTION = "thrown-away"


def npy(value: float) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 5), value, np.float32))
    return buffer.getvalue()


async def converted(ingest: Ingest, value: float, item: str):
    upload = await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy(value)}, id=item))
    assert upload.error is None
    return upload


async def value_of(ingest: Ingest, item: str) -> float:
    class Reads:
        async def get(self, key):
            return await ingest.storage.get(key, token=ingest.admin_token)

        async def get_range(self, key, start, length):
            return await ingest.storage.get_range(key, start, length, token=ingest.admin_token)

    cube = await StoredCube.open(Reads(), f"cubes/{COLLECTION}/{item}/cube.zarr/")
    values = await cube.read(None, (0, 3), (0, 4))
    assert np.all(values == values[0, 0, 0])
    return float(values[0, 0, 0])


async def entry_of(ingest: Ingest, item: str):
    page = await ingest.catalog.trash(COLLECTION, item=item, token=ingest.admin_token)
    return page.entries[0]


async def test_an_id_in_the_trash_is_used_again_and_the_first_comes_back_under_another(
    ingest: Ingest,
):
    token = ingest.admin_token
    first = await converted(ingest, 1.0, "scene")
    await ingest.catalog.delete_item(COLLECTION, "scene", token=token)
    await converted(ingest, 2.0, "scene")
    entry = await entry_of(ingest, "scene")
    assert (entry.cube_kept, entry.upload) == (False, first.id)
    with pytest.raises(Conflict, match="/ingest/restore"):
        await ingest.catalog.restore(COLLECTION, entry.id, token=token)
    request = RestoreRequest(collection=COLLECTION, entry=entry.id)
    with pytest.raises(Conflict, match="another id"):
        await ingest.client.restore(request, token=token)
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="scene-1")
    again = await ingest.ended(await ingest.client.restore(request, token=token))
    assert again.error is None
    assert (await value_of(ingest, "scene-1"), await value_of(ingest, "scene")) == (1.0, 2.0)
    with pytest.raises(NotFound):
        await ingest.catalog.trash_entry(COLLECTION, entry.id, token=token)
    item = await ingest.catalog.item(COLLECTION, "scene-1", token=token)
    original = item["assets"]["original-1"]
    assert f"/raw/{COLLECTION}/{first.id}/a.npy" in original["href"]
    # It can be thrown away and come back once more; then all of it goes.
    await ingest.catalog.delete_item(COLLECTION, "scene-1", token=token)
    entry = await entry_of(ingest, "scene-1")
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="scene-2")
    assert (await ingest.ended(await ingest.client.restore(request, token=token))).error is None
    assert await value_of(ingest, "scene-2") == 1.0
    await ingest.catalog.delete_item(COLLECTION, "scene-2", token=token)
    await ingest.catalog.purge(COLLECTION, token=token)
    await ingest.emptied(f"raw/{COLLECTION}/{first.id}/", f"cubes/{COLLECTION}/scene-2/")
    assert await value_of(ingest, "scene") == 2.0


async def test_a_restored_cube_was_never_touched(ingest: Ingest):
    token = ingest.admin_token
    await converted(ingest, 3.0, "whole")
    before = await ingest.keys(f"cubes/{COLLECTION}/whole/")
    await ingest.catalog.delete_item(COLLECTION, "whole", token=token)
    entry = await entry_of(ingest, "whole")
    await ingest.catalog.restore(COLLECTION, entry.id, token=token)
    assert await ingest.keys(f"cubes/{COLLECTION}/whole/") == before
    assert await value_of(ingest, "whole") == 3.0


async def test_a_restoration_that_is_given_up_keeps_the_files_in_the_trash(idle_ingest: Ingest):
    token = idle_ingest.admin_token
    upload = await idle_ingest.send(COLLECTION, {"a.npy": npy(4.0)}, id="given-up")
    async with idle_ingest.replica():
        await idle_ingest.ended(upload)
        await idle_ingest.catalog.delete_item(COLLECTION, "given-up", token=token)
    entry = await entry_of(idle_ingest, "given-up")
    request = RestoreRequest(collection=COLLECTION, entry=entry.id, id="other")
    again = await idle_ingest.client.restore(request, token=token)
    await idle_ingest.client.delete(again.id, token=token)
    async with idle_ingest.replica():
        request = RestoreRequest(collection=COLLECTION, entry=entry.id)
        last = await idle_ingest.ended(await idle_ingest.client.restore(request, token=token))
    assert last.error is None
    assert await value_of(idle_ingest, "given-up") == 4.0
