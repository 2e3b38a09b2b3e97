"""Uploads that files make which come one by one, and files of those that were announced."""

import hashlib

import numpy as np
import pytest

from hsis.contracts.uploads import UploadRequest, UploadState
from hsis.errors import Conflict
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import (
    COLLECTION,
    Tus,
    upload_of,
)
from tests.support.servers import served


@pytest.fixture
def tus(idle_ingest: Ingest) -> Tus:
    return Tus(idle_ingest.http, idle_ingest.url, idle_ingest.admin_token)


async def test_files_of_a_group_make_one_item(idle_ingest: Ingest, tus: Tus):
    cube = np.arange(24, dtype="<u2").tobytes()
    header = (
        b"ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 12\ninterleave = bsq\n"
        b"byte order = 0\nheader offset = 0\n"
    )
    group = {"group": "the scan"}
    first = await tus.created(len(header), "my.scan.hdr", **group)
    assert (await tus.send(first, 0, header)).status_code == 204
    upload = await upload_of(idle_ingest, "my.scan.hdr")
    assert upload.state is UploadState.QUEUED
    second = await tus.created(len(cube), "my.scan.raw", **group)
    joined = await upload_of(idle_ingest, "my.scan.raw")
    assert (joined.id, joined.state, joined.item) == (upload.id, UploadState.RECEIVING, "my.scan")
    again = {"metadata": {"collection": COLLECTION, "filename": "my.scan.hdr"} | group}
    assert (await tus.create(len(header), **again)).status_code == 409
    other = {"metadata": {"collection": COLLECTION, "filename": "b"} | group | {"axes": "bby"}}
    assert (await tus.create(1, **other)).status_code == 400
    assert (await tus.send(second, 0, cube)).status_code == 204
    await idle_ingest.end_group_wait(joined.id)
    async with served(idle_ingest.app(worker_enabled=True)):
        ended = await idle_ingest.ended(joined)
    assert (ended.state, ended.error) == (UploadState.SUCCEEDED, None)
    item = await idle_ingest.catalog.item(COLLECTION, "my.scan", token=idle_ingest.admin_token)
    originals = {
        asset["title"]: asset["file:checksum"]
        for name, asset in item["assets"].items()
        if name.startswith("original-")
    }
    assert originals == {
        "my.scan.hdr": "1220" + hashlib.sha256(header).hexdigest(),
        "my.scan.raw": "1220" + hashlib.sha256(cube).hexdigest(),
    }


async def test_a_file_of_a_group_is_given_up_alone(idle_ingest: Ingest, tus: Tus):
    group = {"group": "pair", "id": "pair"}
    kept = await tus.created(3, "kept.npy", **group)
    gone = await tus.created(3, "gone.npy", **group)
    assert (await tus.send(kept, 0, b"abc")).status_code == 204
    assert (await upload_of(idle_ingest, "kept.npy")).state is UploadState.RECEIVING
    assert (await tus.ask("DELETE", gone)).status_code == 204
    after = await upload_of(idle_ingest, "kept.npy")
    assert (after.state, [file.name for file in after.files]) == (UploadState.QUEUED, ["kept.npy"])
    assert (await tus.ask("DELETE", kept)).status_code == 204  # all of the upload now
    assert (await tus.ask("HEAD", kept)).status_code == 404


async def test_a_creation_whose_answer_was_lost_is_tried_again(idle_ingest: Ingest, tus: Tus):
    lost = await tus.created(3, "again.npy")
    url = await tus.created(3, "again.npy")
    assert (await tus.ask("HEAD", lost)).status_code == 404
    assert (await tus.send(url, 0, b"a")).status_code == 204
    metadata = {"collection": COLLECTION, "filename": "again.npy"}
    assert (await tus.create(3, metadata=metadata)).status_code == 409  # bytes have come


async def test_a_file_of_an_announced_upload(idle_ingest: Ingest, tus: Tus):
    request = UploadRequest(
        collection=COLLECTION, id="told", files=[{"name": "a.npy", "size": 3}, {"name": "b.npy"}]
    )
    upload = await idle_ingest.client.create(request, token=idle_ingest.admin_token)
    told = {"upload": upload.id, "filename": "a.npy"}
    assert (await tus.create(4, metadata=told)).status_code == 400
    assert (await tus.create(3, metadata=told | {"filename": "c.npy"})).status_code == 404
    assert (await tus.create(3, metadata=told | {"upload": "x"})).status_code == 400
    unused = (await tus.create(3, metadata=told)).headers["Location"]
    url = (await tus.create(3, metadata=told)).headers["Location"]
    assert (await tus.ask("HEAD", unused)).status_code == 404
    with pytest.raises(Conflict):  # a PUT does not mix with it
        await idle_ingest.client.put_file(upload.id, "a.npy", b"abc", token=idle_ingest.admin_token)
    assert (await tus.send(url, 0, b"abc")).status_code == 204
    assert (await tus.create(3, metadata=told)).status_code == 409
    after = await idle_ingest.client.put_file(
        upload.id, "b.npy", b"de", token=idle_ingest.admin_token
    )
    assert [(file.received, file.size) for file in after.files] == [(True, 3), (True, 2)]
    assert after.state is UploadState.QUEUED
