"""Originals that are stored already: found by SHA-256, and stored once."""

import hashlib
import io
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from hsis.contracts.uploads import OnDuplicate, UploadState
from hsis.errors import InvalidInput
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import Tus, upload_of

COLLECTION = "doubles"


def npy(value: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 2), value, "<u2"))
    return buffer.getvalue()


def envi(value: int) -> dict[str, bytes]:
    header = "ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 12\ninterleave = bsq\n"
    return {"hdr": header.encode(), "raw": np.full(24, value, "<u2").tobytes()}


async def sent(ingest: Ingest, files: dict[str, bytes], item: str, **more):
    return await ingest.ended(await ingest.send(COLLECTION, files, id=item, **more))


def raw(upload) -> str:
    return f"raw/{COLLECTION}/{upload.id}/"


async def values_of(ingest: Ingest, item: str) -> bytes:
    """The originals that an item's assets lead to, one after the other."""
    document = await ingest.catalog.item(COLLECTION, item, token=ingest.admin_token)
    hrefs = [
        asset["href"] for name, asset in document["assets"].items() if name.startswith("original-")
    ]
    keys = [unquote(urlsplit(href).path).removeprefix("/blobs/") for href in hrefs]
    return b"".join([await ingest.storage.get(key, token=ingest.admin_token) for key in keys])


async def test_the_same_files_are_stored_once_for_two_items(ingest: Ingest):
    content = envi(7)
    first = await sent(ingest, {"a.hdr": content["hdr"], "a.raw": content["raw"]}, "first")
    # Under other names, and in another order.
    other = {"scan 2.raw": content["raw"], "scan 2.hdr": content["hdr"]}
    second = await sent(ingest, other, "second")
    assert (first.duplicate_of, second.duplicate_of) == ([], ["first"])
    assert second.state is UploadState.SUCCEEDED
    assert await ingest.keys(raw(second)) == []
    assert await values_of(ingest, "second") == content["raw"] + content["hdr"]
    third = await sent(ingest, other, "third")
    assert third.duplicate_of == ["first", "second"]
    # The first two may go: the originals stay for the third, and go with it.
    for item in ("first", "second"):
        await ingest.catalog.delete_item(COLLECTION, item, token=ingest.admin_token)
        await ingest.catalog.purge(COLLECTION, token=ingest.admin_token)
        await ingest.emptied(f"cubes/{COLLECTION}/{item}/")
    assert await values_of(ingest, "third") == content["raw"] + content["hdr"]
    await ingest.catalog.delete_item(COLLECTION, "third", token=ingest.admin_token)
    await ingest.catalog.purge(COLLECTION, token=ingest.admin_token)
    await ingest.emptied(raw(first))


async def test_other_files_are_no_duplicate(ingest: Ingest):
    await sent(ingest, {"a.npy": npy(1)}, "one")
    await sent(ingest, {"a.npy": npy(2)}, "two")
    gone = await sent(ingest, {"a.npy": npy(3)}, "gone")
    await ingest.catalog.delete_item(COLLECTION, "gone", token=ingest.admin_token)
    again = await sent(ingest, {"a.npy": npy(3)}, "gone-again")
    assert again.duplicate_of == []
    assert gone.id != again.id
    assert await ingest.keys(raw(again)) == [raw(again) + "a.npy"]


async def test_a_second_item_can_be_refused(ingest: Ingest):
    await sent(ingest, {"a.npy": npy(4)}, "kept")
    refused = await sent(ingest, {"b.npy": npy(4)}, "unwanted", on_duplicate=OnDuplicate.REFUSE)
    assert (refused.state, refused.error.slug) == (UploadState.FAILED, "duplicate-original")
    assert f"/stac/collections/{COLLECTION}/items/kept" in refused.error.detail
    assert await ingest.keys(raw(refused)) == []
    assert await ingest.keys(f"cubes/{COLLECTION}/unwanted/") == []
    tus = Tus(ingest.http, ingest.url, ingest.admin_token)
    made = await tus.created(len(npy(4)), "c.npy", collection=COLLECTION, on_duplicate="refuse")
    assert (await tus.send(made, 0, npy(4))).status_code == 204
    by_tus = await ingest.ended(await upload_of(ingest, "c.npy", COLLECTION))
    assert by_tus.error.slug == "duplicate-original"


async def test_items_of_an_original_are_found_before_it_is_sent(ingest: Ingest):
    await sent(ingest, {"a.npy": npy(5)}, "looked-for")
    sha256 = hashlib.sha256(npy(5)).hexdigest()
    [found] = await ingest.client.originals(sha256, token=ingest.admin_token)
    assert (found.collection, found.item, found.files) == (COLLECTION, "looked-for", ["a.npy"])
    assert found.href == f"/stac/collections/{COLLECTION}/items/looked-for"
    assert await ingest.client.originals(sha256) == []  # a private collection
    assert await ingest.client.originals("0" * 64, token=ingest.admin_token) == []
    with pytest.raises(InvalidInput, match="sha256"):
        await ingest.client.originals("0" * 63, token=ingest.admin_token)
