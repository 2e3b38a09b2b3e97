"""Uploads in one request: multipart/form-data, as curl and browsers make it."""

import hashlib
import io
import uuid

import httpx
import numpy as np
import pytest

from hsis.contracts.uploads import Upload, UploadRequest, UploadState
from tests.ingest.conftest import Ingest
from tests.support.servers import served

COLLECTION = "forms"
HEADER = b"ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 12\ninterleave = bsq\n"
RAW = np.arange(24, dtype="<u2").tobytes()


def npy(value: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.full((3, 4, 2), value, "<u2"))
    return buffer.getvalue()


async def posted(ingest: Ingest, fields, files, url=None, token=None, **headers) -> httpx.Response:
    return await ingest.http.post(
        f"{url or ingest.url}/uploads",
        data=fields,
        files=[("file", file) for file in files],
        headers={"Authorization": f"Bearer {token or ingest.admin_token}"} | headers,
    )


async def test_a_header_and_its_data(ingest: Ingest):
    fields = {"collection": COLLECTION, "id": "both", "metadata": '{"platform": "a drone"}'}
    answer = await posted(ingest, fields, [("ä.hdr", HEADER), ("ä.raw", RAW)])
    assert answer.status_code == 201, answer.text
    upload = Upload.model_validate_json(answer.content)
    assert answer.headers["Location"] == f"/uploads/{upload.id}"
    assert [(file.name, file.sha256) for file in upload.files] == [
        ("ä.hdr", hashlib.sha256(HEADER).hexdigest()),
        ("ä.raw", hashlib.sha256(RAW).hexdigest()),
    ]
    assert (await ingest.ended(upload)).state is UploadState.SUCCEEDED
    item = await ingest.catalog.item(COLLECTION, "both", token=ingest.admin_token)
    assert item["properties"]["platform"] == "a drone"


async def test_the_same_request_again_is_the_same_upload(ingest: Ingest):
    key = {"Idempotency-Key": "5d8f9d1e-5a53-4c5c-8b0c-0f6f7a3a2b11"}
    answers = [
        await posted(ingest, {"collection": COLLECTION}, [("again.npy", npy(1))], **key)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_a_repeated_form_leaves_alone_what_is_just_sent(ingest: Ingest):
    """As where its client lost patience, and sends it again."""
    key, client, content = str(uuid.uuid4()), ingest.client, npy(3)
    wanted = UploadRequest(collection=COLLECTION, files=[{"name": "slow.npy"}])
    upload = await client.create(wanted, token=ingest.admin_token, key=key)
    await client.create_transfer(upload.id, "slow.npy", len(content), token=ingest.admin_token)
    fields, headers = {"collection": COLLECTION}, {"Idempotency-Key": key}
    answer = await posted(ingest, fields, [("slow.npy", content)], **headers)
    assert answer.status_code == 409
    found = await client.upload(upload.id, token=ingest.admin_token)
    assert found.state is UploadState.RECEIVING
    await client.delete(upload.id, token=ingest.admin_token)


@pytest.mark.parametrize(
    ("fields", "files", "status", "why"),
    [
        ({"collection": COLLECTION}, [("", b"x")], 400, "form"),
        ({}, [("a.npy", b"x")], 400, "collection"),
        ({"collection": COLLECTION, "rows": "many"}, [("a.npy", b"x")], 400, "rows"),
        ({"collection": COLLECTION}, [("a.npy", b"x"), ("a.npy", b"y")], 400, "same name"),
        ({"collection": COLLECTION}, [("../a.npy", b"x")], 400, "name"),
        ({"collection": COLLECTION}, [("a.npy", bytes(70_000))], 413, "max_form_bytes"),
    ],
)
async def test_a_form_that_cannot_be(ingest: Ingest, fields, files, status, why):
    async with served(ingest.app(max_form_bytes=1000, worker_enabled=False)) as url:
        answer = await posted(ingest, fields, files, url=url)
    assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text


async def test_a_form_needs_a_token_and_an_end(ingest: Ingest):
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    anonymous = await ingest.http.post(f"{ingest.url}/uploads", content=b"--x--", headers=kind)
    assert anonymous.status_code == 401
    own = kind | {"Authorization": f"Bearer {ingest.admin_token}"}
    broken = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.npy"\r\n\r\nxx'
    answer = await ingest.http.post(f"{ingest.url}/uploads", content=broken, headers=own)
    assert answer.status_code == 400, answer.text


async def test_nothing_is_left_of_a_form_that_fails_half_way(ingest: Ingest):
    async with served(ingest.app(max_upload_bytes=200, worker_enabled=False)) as url:
        answer = await posted(
            ingest,
            {"collection": COLLECTION, "id": "half"},
            [("a.npy", bytes(150)), ("b.npy", bytes(150))],
            url=url,
        )
    assert answer.status_code == 413
    listed = await ingest.client.uploads(COLLECTION, token=ingest.admin_token)
    assert not [upload for upload in listed if upload.item == "half"]
