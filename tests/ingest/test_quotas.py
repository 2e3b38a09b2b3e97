"""Uploads into a collection with a quota, announced and by tus."""

import asyncio
import base64
import io

import numpy as np
import pytest

from hsis.clients.base import problem_of
from hsis.contracts.labels import LabelRequest
from hsis.contracts.uploads import DeclaredFile, UploadRequest, UploadState
from hsis.errors import TooLarge
from tests.ingest.conftest import Ingest

COLLECTION = "measured"
MAKING = {"id": COLLECTION, "description": "made by a test"}


def npy(value: int = 1) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(value).integers(0, 4000, (4, 50, 60), np.uint16))
    return buffer.getvalue()


async def stored_bytes(ingest: Ingest, prefix: str, but: str = "checksums.json") -> int:
    listed = ingest.storage.list(prefix, token=ingest.admin_token)
    return sum([blob.size async for blob in listed if not blob.key.endswith(but)])


async def test_uploads_are_counted_and_refused_beyond_the_quota(ingest: Ingest) -> None:
    catalog, token = ingest.catalog, ingest.admin_token
    await catalog.create_collection(MAKING, token=token)
    first = await ingest.ended(await ingest.send(COLLECTION, {"a.npy": npy()}, id="first"))
    assert first.error is None
    used = await stored_bytes(ingest, f"raw/{COLLECTION}/")
    used += await stored_bytes(ingest, f"cubes/{COLLECTION}/")
    quota = await catalog.quota(COLLECTION, token=token)
    assert (quota.used_bytes, quota.reserved_bytes) == (used, 0)
    size = len(npy(2))
    await catalog.set_quota(COLLECTION, used + size + 100, token=token)

    async def announced(name: str) -> object:
        files = [DeclaredFile(name="b.npy", size=size)]
        request = UploadRequest(collection=COLLECTION, id=name, files=files)
        return await ingest.client.create(request, token=token)

    answers = await asyncio.gather(
        *[announced(f"racing-{n}") for n in range(4)], return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, TooLarge)]
    [taken] = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(refused) == 3
    assert {problem_of(error).slug for error in refused} == {"quota-exceeded"}
    # By tus too, where nothing of it is left behind.
    metadata = {"collection": COLLECTION, "filename": "c.npy", "id": "by-tus"}
    pairs = [
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items()
    ]
    answer = await ingest.http.post(
        f"{ingest.url}/uploads",
        headers={
            "Authorization": f"Bearer {token}",
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(size),
            "Upload-Metadata": ",".join(pairs),
        },
    )
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:hsis:problem:quota-exceeded")
    # Its cube has no room beside the file: that is told at the end, and nothing stays.
    await ingest.client.put_file(taken.id, "b.npy", npy(2), token=token)
    ended = await ingest.ended(taken)
    assert (ended.state, ended.error.slug) == (UploadState.FAILED, "quota-exceeded")
    assert f" {used + size + 100} bytes" in ended.error.detail
    await ingest.emptied(f"raw/{COLLECTION}/{taken.id}/", f"cubes/{COLLECTION}/{taken.item}/")
    quota = await catalog.quota(COLLECTION, token=token)
    assert (quota.used_bytes, quota.reserved_bytes) == (used, 0)
    await catalog.set_quota(COLLECTION, 10 * (used + size), token=token)
    again = await ingest.ended(await ingest.send(COLLECTION, {"b.npy": npy(2)}, id="second"))
    assert again.error is None
    for name in ("first", "second"):
        await catalog.delete_item(COLLECTION, name, token=token)
    await catalog.purge(COLLECTION, token=token)
    async with asyncio.timeout(60):
        while (await catalog.quota(COLLECTION, token=token)).used_bytes:
            await asyncio.sleep(0.05)
    assert await stored_bytes(ingest, f"raw/{COLLECTION}/") == 0


async def test_labels_count_while_they_are_there(ingest: Ingest) -> None:
    catalog, token = ingest.catalog, ingest.admin_token
    await catalog.create_collection(MAKING | {"id": "labelled"}, token=token)
    sent = await ingest.send("labelled", {"a.npy": npy(5)}, id="field", axes="byx")
    assert (await ingest.ended(sent)).error is None
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(6).integers(0, 4, (50, 60), np.uint8))
    await ingest.storage.put("raw/labelled/own/gt.npy", buffer.getvalue(), token=token)
    request = LabelRequest(name="gt", files=["raw/labelled/own/gt.npy"])

    async def used() -> int:
        quota = await catalog.quota("labelled", token=token)
        assert quota.reserved_bytes == 0
        return quota.used_bytes

    before = await used()
    await catalog.set_quota("labelled", before + 100, token=token)
    with pytest.raises(TooLarge, match=f"may hold {before + 100} bytes"):
        await ingest.client.add_labels("labelled", "field", request, token=token)
    assert len(await ingest.keys("raw/labelled/")) == 2  # the original, and the user's own file
    assert await used() == before
    await catalog.set_quota("labelled", None, token=token)
    for taken_off in (True, False):
        made = await ingest.client.add_labels("labelled", "field", request, token=token)
        blob = await ingest.storage.head(made.href.removeprefix("/blobs/"), token=token)
        assert await used() == before + blob.size
        if taken_off:
            await ingest.client.remove_labels("labelled", "field", "gt", token=token)
            assert await used() == before
    await catalog.delete_item("labelled", "field", token=token)
    assert await used() == before + blob.size  # the trash keeps them
    await catalog.purge("labelled", token=token)
    async with asyncio.timeout(60):
        while await used():
            await asyncio.sleep(0.05)
    assert await ingest.keys("raw/labelled/") == ["raw/labelled/own/gt.npy"]


async def test_a_collection_that_is_full_takes_nothing(ingest: Ingest) -> None:
    await ingest.catalog.create_collection(MAKING | {"id": "full"}, token=ingest.admin_token)
    await ingest.catalog.set_quota("full", 0, token=ingest.admin_token)
    with pytest.raises(TooLarge, match="may hold 0 bytes"):
        await ingest.send("full", {"a.npy": npy()}, id="none")
