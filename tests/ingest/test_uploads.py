"""Announcing, sending and giving up uploads."""

import asyncio
import hashlib
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hsis.clients.base import problem_of
from hsis.contracts.uploads import UploadRequest, UploadState
from hsis.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from tests.ingest.conftest import Ingest
from tests.support.servers import ready, served

COLLECTION = "uploads"


def request_of(collection=COLLECTION, **more):
    return UploadRequest(**{"collection": collection, "files": [{"name": "a.npy"}]} | more)


async def announced(ingest: Ingest, item: str, **more):
    return await ingest.client.create(request_of(id=item, **more), token=ingest.admin_token)


async def test_an_upload_makes_its_collection_private(ingest: Ingest):
    files = [{"name": "My cube (1).hdr"}, {"name": "My cube (1).raw", "size": 9}]
    upload = await ingest.client.create(
        request_of("brand-new", files=files), token=ingest.admin_token
    )
    assert upload.item == "My-cube-1"
    assert upload.state is UploadState.RECEIVING
    assert [file.received for file in upload.files] == [False, False]
    assert upload.expires_at > upload.created_at
    access = await ingest.catalog.access("brand-new", token=ingest.admin_token)
    assert access.role == "owner"
    assert (await ingest.catalog.access("brand-new")).role is None
    listed = await ingest.http.get(
        f"{ingest.url}/uploads?collection=brand-new",
        headers={"Authorization": f"Bearer {ingest.admin_token}"},
    )
    assert [entry["id"] for entry in listed.json()["uploads"]] == [upload.id]


async def test_a_list_counts_the_files_that_it_does_not_tell(ingest: Ingest):
    files = [{"name": f"{number:02}.tif", "size": number} for number in range(17)]
    upload = await ingest.client.create(
        request_of("bands", files=[*files, {"name": "MTL.txt"}]), token=ingest.admin_token
    )
    await ingest.client.put_file(upload.id, "16.tif", bytes(16), token=ingest.admin_token)
    alone = await ingest.client.upload(upload.id, token=ingest.admin_token)
    assert [file.name for file in alone.files] == [f"{n:02}.tif" for n in range(17)] + ["MTL.txt"]
    [listed] = await ingest.client.uploads("bands", token=ingest.admin_token)
    assert (listed.file_count, listed.received_count, listed.size) == (18, 1, sum(range(17)))
    asked = {"metadata": None, "calibration": None}
    assert listed == alone.model_copy(update=asked | {"files": alone.files[:16]})


async def test_what_was_asked_for_is_told_to_editors_alone(ingest: Ingest):
    said = {"place": [8.4, 49.0], "properties": {"lab:site": "a nest"}}
    token = ingest.admin_token
    upload = await ingest.client.create(request_of("seen", metadata=said), token=token)
    headers = {"Authorization": f"Bearer {token}"}
    await ingest.http.put(
        f"{ingest.catalog_url}/auth/collections/seen/public", json={"public": True}, headers=headers
    )
    told = await ingest.http.get(f"{ingest.url}/uploads/{upload.id}", headers=headers)
    assert told.json()["metadata"]["properties"] == {"lab:site": "a nest"}
    seen = await ingest.http.get(f"{ingest.url}/uploads/{upload.id}")
    assert (seen.status_code, seen.json()["item"]) == (200, "a")
    assert "a nest" not in seen.text
    assert seen.json()["metadata"] is None


async def test_the_first_uploads_of_a_collection_may_come_at_once(ingest: Ingest):
    uploads = await asyncio.gather(
        *(
            ingest.client.create(request_of("rush", id=f"cube-{n}"), token=ingest.admin_token)
            for n in range(8)
        )
    )
    assert {upload.item for upload in uploads} == {f"cube-{n}" for n in range(8)}


async def test_a_document_that_is_too_large_is_refused_and_a_file_is_not(ingest: Ingest):
    headers = {"Authorization": f"Bearer {ingest.admin_token}"}
    large = b"[" + b" " * 4096 + b"]"
    async with served(ingest.app(max_document_bytes=4096)) as url:
        answer = await ingest.http.post(f"{url}/uploads", content=large, headers=headers)
        assert answer.status_code == 413
        assert "HSIS_MAX_DOCUMENT_BYTES" in answer.json()["detail"]
        files = [{"name": "a.npy"}, {"name": "b.npy"}]
        upload = await announced(ingest, "streamed", files=files)
        answer = await ingest.http.put(
            f"{url}/uploads/{upload.id}/a.npy", content=large, headers=headers
        )
        assert answer.status_code == 200, answer.text


async def test_who_may_do_what(ingest: Ingest):
    upload = await announced(ingest, "private")
    stranger = ingest.make_token()
    limited = ingest.make_token(admin=True, collections=["another"])
    client = ingest.client
    with pytest.raises(Unauthenticated):
        await client.create(request_of(), token="not.a.token")
    with pytest.raises(Unauthenticated):
        await client.create(request_of())
    with pytest.raises(Forbidden, match="another"):
        await client.create(request_of(), token=limited)
    with pytest.raises(Forbidden, match="another"):
        await client.upload(upload.id, token=limited)
    with pytest.raises((NotFound, Forbidden, Unauthenticated)):
        await client.create(request_of(), token=stranger)
    for token in (stranger, None):
        with pytest.raises((NotFound, Unauthenticated)):
            await client.upload(upload.id, token=token)
        with pytest.raises((NotFound, Unauthenticated)):
            await client.put_file(upload.id, "a.npy", b"x", token=token)
        with pytest.raises((NotFound, Unauthenticated)):
            await client.delete(upload.id, token=token)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"axes": "bby"}, "axes = bby"),
        ({"rows": 3}, "go together"),
        ({"files": [{"name": "a"}, {"name": "a"}]}, "same name"),
        ({"files": [{"name": ".."}]}, "no names"),
    ],
)
async def test_a_request_that_cannot_be(ingest: Ingest, more, error):
    with pytest.raises(InvalidInput, match=error):
        await announced(ingest, "never", **more)


async def test_one_upload_an_item(ingest: Ingest):
    upload = await announced(ingest, "taken")
    with pytest.raises(Conflict, match="Another upload"):
        await announced(ingest, "taken")
    await ingest.client.delete(upload.id, token=ingest.admin_token)
    again = await announced(ingest, "taken")
    with pytest.raises(NotFound):
        await ingest.client.upload(upload.id, token=ingest.admin_token)
    assert again.id != upload.id


async def test_an_announcement_can_be_repeated_where_its_answer_was_lost(ingest: Ingest):
    key, files = str(uuid.uuid4()), [{"name": "a.npy", "size": 4}]
    request = UploadRequest(collection=COLLECTION, id="repeated", files=files)
    first = await ingest.client.create(request, key=key, token=ingest.admin_token)
    await ingest.client.put_file(first.id, "a.npy", b"1234", token=ingest.admin_token)
    again = await ingest.client.create(request, key=key, token=ingest.admin_token)
    assert (again.id, again.files[0].received) == (first.id, True)
    other = UploadRequest(collection=COLLECTION, files=[{"name": "b.npy"}])
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await ingest.client.create(other, key=key, token=ingest.admin_token)


async def test_announcements_with_a_key_at_once_are_one(ingest: Ingest):
    """As of a client that asks again while the first answer is on its way."""
    key, request = str(uuid.uuid4()), request_of("at-once", files=[{"name": "a", "size": 5}])
    made = await asyncio.gather(
        *(ingest.client.create(request, key=key, token=ingest.admin_token) for _ in range(4))
    )
    assert len({upload.id for upload in made}) == 1
    quota = await ingest.catalog.quota("at-once", token=ingest.admin_token)
    assert quota.reserved_bytes == 5
    await ingest.client.delete(made[0].id, token=ingest.admin_token)


async def test_files_are_stored_as_they_are(ingest: Ingest):
    files = [{"name": "a b#c?%25.npy", "size": 700_000}, {"name": "later", "size": 1}]
    upload = await announced(ingest, "stored", files=files)
    content = np.random.default_rng(0).bytes(700_000)

    async def pieces():
        for at in range(0, len(content), 100_000):
            yield content[at : at + 100_000]

    client = ingest.client
    after = await client.put_file(upload.id, files[0]["name"], pieces(), token=ingest.admin_token)
    assert after.state is UploadState.RECEIVING
    assert after.files[0].sha256 == hashlib.sha256(content).hexdigest()
    prefix = f"raw/{COLLECTION}/{upload.id}/"
    key = prefix + files[0]["name"]
    assert await ingest.storage.get(key, token=ingest.admin_token) == content
    with pytest.raises(Conflict, match="stored already"):
        await client.put_file(upload.id, files[0]["name"], content, token=ingest.admin_token)
    with pytest.raises(NotFound, match="not announced"):
        await client.put_file(upload.id, "other", b"x", token=ingest.admin_token)
    await client.delete(upload.id, token=ingest.admin_token)
    await ingest.emptied(prefix)


async def endless(piece=b"x" * 10_000):
    while True:
        yield piece
        await asyncio.sleep(0.01)


async def chunked(content):
    yield content


@pytest.mark.parametrize("content", [b"x" * 99, b"x" * 101, b""])
async def test_another_size_than_announced_is_refused(ingest: Ingest, content):
    upload = await announced(ingest, f"size-{len(content)}", files=[{"name": "a", "size": 100}])
    for body in (content, chunked(content)):
        with pytest.raises(InvalidInput, match="100"):
            await ingest.client.put_file(upload.id, "a", body, token=ingest.admin_token)
    assert await ingest.keys(f"raw/{COLLECTION}/{upload.id}/") == []
    after = await ingest.client.upload(upload.id, token=ingest.admin_token)
    assert not after.files[0].received


async def test_a_client_that_vanishes_leaves_nothing(ingest: Ingest):
    upload = await announced(ingest, "vanished")

    async def sending(expected: bool):
        query = "SELECT receive_until IS NOT NULL FROM files WHERE upload = $1"
        async with asyncio.timeout(60):
            while await ingest.sql(query, uuid.UUID(upload.id)) != expected:
                await asyncio.sleep(0.05)

    async def broken():
        yield b"x" * 300_000
        await sending(True)
        raise ConnectionError("pulled the plug")

    with pytest.raises(ConnectionError):
        await ingest.client.put_file(upload.id, "a.npy", broken(), token=ingest.admin_token)
    await sending(False)  # long before the end of the lease
    after = await ingest.client.upload(upload.id, token=ingest.admin_token)
    assert not after.files[0].received
    assert await ingest.keys(f"raw/{COLLECTION}/{upload.id}/") == []
    # And the file can be sent again at once.
    after = await ingest.client.put_file(upload.id, "a.npy", b"xyz", token=ingest.admin_token)
    assert after.files[0].size == 3


async def test_one_request_at_a_time_sends_a_file(ingest: Ingest):
    upload = await announced(ingest, "twice")
    token = ingest.admin_token
    first = asyncio.create_task(ingest.client.put_file(upload.id, "a.npy", endless(), token=token))
    leased_until = "SELECT receive_until FROM files WHERE upload = $1"
    await ingest.renewed(leased_until, uuid.UUID(upload.id))
    with pytest.raises(Conflict, match="another request"):
        await ingest.client.put_file(upload.id, "a.npy", b"xyz", token=token)
    await ingest.client.delete(upload.id, token=token)
    # Given up in the meantime: ingest ends the request as soon as it renews its lease, and what
    # had arrived is gone, though the client does not stop sending.
    async with asyncio.timeout(60):
        while await ingest.sql(leased_until, uuid.UUID(upload.id)):
            await asyncio.sleep(0.05)
    assert await ingest.keys(f"raw/{COLLECTION}/{upload.id}/") == []
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert await ingest.keys(f"raw/{COLLECTION}/{upload.id}/") == []


async def test_limits_and_expiry(ingest: Ingest):
    app = ingest.app(max_upload_bytes=1000, worker_enabled=False)
    async with served(app) as url:
        client = type(ingest.client)(ingest.http, url)
        with pytest.raises(TooLarge, match="max_upload_bytes"):
            await client.create(
                request_of(files=[{"name": "a", "size": 1001}]), token=ingest.admin_token
            )
        upload = await client.create(
            request_of(id="large", files=[{"name": "a"}, {"name": "b"}]), token=ingest.admin_token
        )
        await client.put_file(upload.id, "a", b"x" * 600, token=ingest.admin_token)
        for body in (b"x" * 401, chunked(b"x" * 401)):
            with pytest.raises((TooLarge, Conflict, NotFound)):
                await client.put_file(upload.id, "b", body, token=ingest.admin_token)
    assert upload.expires_at > datetime.now(UTC) + timedelta(hours=23)  # upload_ttl_s is a day
    await ingest.sql(
        "UPDATE uploads SET expires_at = expires_at - interval '1 day' WHERE id = $1",
        uuid.UUID(upload.id),
    )
    await ingest.emptied(f"raw/{COLLECTION}/{upload.id}/")  # the other replica sweeps
    with pytest.raises(NotFound):
        await ingest.client.upload(upload.id, token=ingest.admin_token)


async def test_files_that_come_at_once_share_the_limit(ingest: Ingest):
    async with served(ingest.app(max_upload_bytes=1000, worker_enabled=False)) as url:
        client = type(ingest.client)(ingest.http, url)
        files = [{"name": name} for name in "abcd"]
        upload = await client.create(request_of(id="many", files=files), token=ingest.admin_token)
        sent = await asyncio.gather(
            *(
                client.put_file(upload.id, name, chunked(b"x" * 400), token=ingest.admin_token)
                for name in "abcd"
            ),
            return_exceptions=True,
        )
        assert [type(answer) for answer in sent].count(TooLarge) == 2
        current = await client.upload(upload.id, token=ingest.admin_token)
        assert sum(file.received for file in current.files) == 2


async def test_problems_carry_slugs_and_request_ids(ingest: Ingest):
    with pytest.raises(NotFound) as caught:
        await ingest.client.upload("00000000-0000-4000-8000-000000000000", token=ingest.admin_token)
    problem = problem_of(caught.value)
    assert problem.slug == "not-found"
    assert problem.request_id


async def test_readiness(ingest: Ingest):
    assert await ready(ingest.http, ingest.url) == {"postgres": "ok", "storage": "ok"}
    async with served(ingest.app(storage_proxy_url="http://127.0.0.1:9")) as url:
        answer = await ingest.http.get(f"{url}/readyz")
        assert answer.status_code == 503
