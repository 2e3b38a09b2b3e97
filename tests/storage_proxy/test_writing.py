"""PUT and DELETE: streams become blobs whole or not at all; listings."""

import asyncio
import hashlib
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.storage_proxy.conftest import MAX_OBJECT_BYTES, PART_BYTES, Proxy
from tests.support.platform import storage_settings
from tests.support.servers import ready

from hsis.clients.storage import StorageClient
from hsis.errors import Unavailable
from hsis.runs import Runs
from hsis_embedded.object_store import ObjectStore
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.writing import in_parts

MIB = 1024 * 1024


async def pieces(total: int, piece: int = 100_000) -> AsyncIterator[bytes]:
    """`total` bytes that are the same each time, of no told length."""
    source = random.Random(total)
    while total > 0:
        yield source.randbytes(min(piece, total))
        total -= piece


async def joined(total: int) -> bytes:
    """The same bytes at once."""
    return b"".join([piece async for piece in pieces(total)])


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 21, 35])
async def test_a_stream_is_cut_into_parts(size: int) -> None:
    content = bytes(range(size))
    for step in (1, 3, 10, 50):

        async def stream(step: int = step) -> AsyncIterator[bytes]:
            for start in range(0, size, step):
                yield content[start : start + step]

        parts = [part async for part in in_parts(stream(), 10)]
        told = [b"".join(part.pieces) for part in parts]
        assert b"".join(told) == content
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        assert all(len(part) == 10 for part in told[:-1])
        assert len(parts) == max(1, -(-size // 10))


async def test_the_last_part_is_held_once() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(65_536)

    tracemalloc.start()
    try:
        parts = in_parts(stream(), 8 * MIB)
        part = await anext(parts)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (sum(map(len, part.pieces)), part.last) == (4 * MIB, True)
    assert held < 5 * MIB
    await parts.aclose()


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 12_345_678])
async def test_what_is_put_is_got(proxy: Proxy, size: int) -> None:
    key = f"raw/writing/u/{size}"
    content = await joined(size)
    for body in (content, pieces(size)):  # with and without Content-Length
        answer = await proxy.put(key, body, Content_Type="a/b")
        assert answer.status_code == 201
        blob = answer.json()
        assert (blob["key"], blob["size"], blob["content_type"]) == (key, size, "a/b")
        got = await proxy.get(key)
        assert got.content == content
        assert got.headers["ETag"] == blob["etag"] == answer.headers["ETag"]
        assert got.headers["Content-Type"] == "a/b"
        await proxy.http.delete(f"/blobs/{key}")


async def test_a_stream_of_unknown_length_is_held_in_parts(proxy: Proxy) -> None:
    piece = bytes(range(256)) * 1024

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield piece

    tracemalloc.start()
    try:
        answer = await proxy.put("raw/writing/u/40-MiB", stream())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.json()["size"] == 40 * MIB
    assert peak < 5 * PART_BYTES
    digest = hashlib.sha256()
    async with proxy.http.stream("GET", "/blobs/raw/writing/u/40-MiB") as response:
        async for part in response.aiter_bytes():
            digest.update(part)
    assert digest.digest() == hashlib.sha256(piece * 160).digest()


async def vanish(proxy: Proxy, token: str, key: str, sent: int, framing: str) -> None:
    """Send the head and `sent` bytes of a body, then break the connection."""
    host, port = proxy.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    length = f"Content-Length: {30 * MIB}" if framing == "told" else "Transfer-Encoding: chunked"
    head = f"PUT /blobs/{key} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{length}"
    writer.write(f"{head}\r\n\r\n".encode())
    for _ in range(sent // 65_536):
        piece = b"x" * 65_536
        writer.write(piece if framing == "told" else b"10000\r\n" + piece + b"\r\n")
        await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()


@pytest.mark.parametrize("framing", ["told", "chunked"])
@pytest.mark.parametrize("sent", [0, 2 * MIB, 12 * MIB])
async def test_a_client_that_vanishes_leaves_nothing(
    proxy: Proxy, service_token: str, sent: int, framing: str
) -> None:
    await proxy.put("raw/writing/v/kept", b"before")
    files = proxy.files()
    for key in ("raw/writing/v/new", "raw/writing/v/kept"):
        await vanish(proxy, service_token, key, sent, framing)
        for _ in range(2):  # also where it looked before anything was written
            async with asyncio.timeout(60):
                while proxy.files() != files:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)
    assert (await proxy.get("raw/writing/v/new")).status_code == 404
    assert (await proxy.get("raw/writing/v/kept")).content == b"before"


async def test_an_object_store_that_fails_in_the_middle(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_part = BlobStore.put_part

    async def fail(self: BlobStore, key: str, upload: str, number: int, content: bytes) -> str:
        if number == 3:
            raise Unavailable("The object store does not answer.")
        return await put_part(self, key, upload, number, content)

    monkeypatch.setattr(BlobStore, "put_part", fail)
    files = proxy.files()
    answer = await proxy.put("raw/writing/u/failed", pieces(4 * PART_BYTES))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert proxy.files() == files


@pytest.mark.parametrize("when", ["a part", "the end"])
async def test_parts_that_the_object_store_knows_nothing_of_are_to_be_sent_again(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It was killed, or was asked again because its answer was lost."""
    put_part, complete_parts = BlobStore.put_part, BlobStore.complete_parts

    async def put(self: BlobStore, key: str, upload: str, number: int, content: Any) -> str:
        if number == 2 and when == "a part":
            await self.abort_parts(key, upload)
        return await put_part(self, key, upload, number, content)

    async def complete(self: BlobStore, key: str, upload: str, etags: list[str]) -> None:
        await complete_parts(self, key, upload, etags)
        await complete_parts(self, key, upload, etags)

    monkeypatch.setattr(BlobStore, "put_part", put)
    monkeypatch.setattr(BlobStore, "complete_parts", complete)
    answer = await proxy.put("raw/writing/u/lost", pieces(2 * PART_BYTES))
    assert answer.status_code == 503, answer.text
    assert "the same again works" in answer.json()["detail"]


async def test_too_large(proxy: Proxy, service_token: str) -> None:
    files = proxy.files()
    host, port = proxy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PUT /blobs/raw/writing/u/huge HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {service_token}\r\n"
        f"Content-Length: {MAX_OBJECT_BYTES + 1}\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")  # before any byte was sent
    writer.transport.abort()
    answer = await proxy.put("raw/writing/u/huge", pieces(MAX_OBJECT_BYTES + 1, 4 * MIB))
    assert answer.status_code == 413
    assert "max_object_bytes" in answer.json()["detail"]
    assert proxy.files() == files


async def test_conditions_of_a_change(proxy: Proxy) -> None:
    key = "raw/writing/u/once"
    assert (await proxy.put(key, b"x", If_Match='"x"')).status_code == 412
    first = await proxy.put(key, b"one", If_None_Match="*")
    assert first.status_code == 201
    again = await proxy.put(key, b"two", If_None_Match="*")
    assert again.status_code == 412
    assert again.json()["type"] == "urn:hsis:problem:precondition-failed"
    assert (await proxy.get(key)).content == b"one"
    etag = first.headers["ETag"]
    assert (await proxy.put(key, b"two", If_None_Match=etag)).status_code == 412
    assert (await proxy.put(key, b"two", If_Match=etag)).status_code == 201
    assert (await proxy.put(key, b"three", If_Match=etag)).status_code == 412
    answer = await proxy.http.delete(f"/blobs/{key}", headers={"If-Match": etag})
    assert answer.status_code == 412
    assert (await proxy.get(key)).content == b"two"


async def test_a_part_of_a_blob_cannot_be_put(proxy: Proxy) -> None:
    answer = await proxy.put("raw/writing/u/x", b"abc", Content_Range="bytes 0-2/10")
    assert answer.status_code == 400


async def test_delete(proxy: Proxy) -> None:
    key = "raw/writing/d/deep/er"
    await proxy.put(key, b"x")
    # The folder of a blob is not a blob, and removing it removes nothing.
    for absent in ("raw/writing/d/none", "raw/writing/d/deep", "raw/writing/none/at/all"):
        assert (await proxy.http.delete(f"/blobs/{absent}")).status_code == 204
    assert (await proxy.get(key)).content == b"x"
    for _ in range(2):
        answer = await proxy.http.delete(f"/blobs/{key}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await proxy.get(key)).status_code == 404


async def test_a_blob_is_not_a_folder(proxy: Proxy, admin_token: str) -> None:
    user = {"Authorization": f"Bearer {admin_token}"}
    for key in ("place/a/blob", "place/a/folder/blob"):
        assert (await proxy.put(key, b"x")).status_code == 201
    for key in ("place/a/blob/under", "place/a/blob/far/under", "place/a/folder", "place/a"):
        answer = await proxy.http.put(f"/blobs/{key}", content=b"y", headers=user)
        assert answer.status_code == 409, key
    for key in ("place/a/blob", "place/a/blobs", "place/a/fold"):
        answer = await proxy.http.put(f"/blobs/{key}", content=b"y", headers=user)
        assert answer.status_code == 201, key


async def test_the_typed_client(proxy: Proxy) -> None:
    client = StorageClient(proxy.http, proxy.url)
    stored = await client.put("raw/writing/u/client", pieces(6 * MIB), content_type="a/c")
    told = await client.head("raw/writing/u/client")
    assert (told.size, told.etag, told.content_type) == (6 * MIB, stored.etag, "a/c")
    content = await joined(6 * MIB)
    assert await client.get_range("raw/writing/u/client", 1000, 50) == content[1000:1050]
    target = bytearray(40)
    runs = Runs(memoryview(target)[:30], 10, 1_000_000)
    assert await client.get_range_into("raw/writing/u/client", 7, runs) == 2_000_030
    expected = b"".join(content[at : at + 10] for at in (7, 1_000_017, 2_000_027))
    assert target == expected + bytes(10)
    at_end = Runs.of(memoryview(target))
    assert await client.get_range_into("raw/writing/u/client", 6 * MIB - 3, at_end) == 3
    assert target[:3] == content[-3:]
    again = await client.put("raw/writing/u/client", [content[:MIB], content[MIB:]])
    assert again.size == 6 * MIB
    assert b"".join([p async for p in client.stream("raw/writing/u/client")]) == content
    await client.delete("raw/writing/u/client")


async def test_readiness(make_proxy: Callable[..., Any], object_store: ObjectStore) -> None:
    proxy: Proxy = await make_proxy()
    assert await ready(proxy.http) == {"bucket": "ok"}
    settings = Settings(token_public_key="-", **storage_settings(object_store, proxy.bucket))
    async with open_s3(settings) as s3:
        await s3.api.delete_bucket(Bucket=proxy.bucket)
    answer = await proxy.http.get("/readyz")
    assert answer.status_code == 503
    assert proxy.bucket in answer.json()["checks"]["bucket"]
    assert (await proxy.put("raw/writing/u/x", b"x")).status_code == 503


async def test_the_interface_is_described(proxy: Proxy) -> None:
    paths = (await proxy.http.get("/blobs/openapi.json", headers={"Authorization": ""})).json()[
        "paths"
    ]
    assert set(paths["/blobs/{key}"]) == {"get", "head", "put", "delete"}
    assert set(paths["/blobs"]) == {"get", "delete"}
    assert (await proxy.put("openapi.json", b"x")).status_code == 400
