"""A blob that many requests make of parts."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.storage_proxy.conftest import PART_BYTES, Proxy

from hsis.clients.storage import StorageClient
from hsis.errors import Conflict, NotFound
from hsis_storage_proxy.places import KeyTurns
from hsis_storage_proxy.store import BlobStore

MIB = 1024 * 1024
FIRST = bytes(range(256)) * (PART_BYTES // 256)


@pytest.fixture
def storage(proxy: Proxy) -> StorageClient:
    return StorageClient(proxy.http, proxy.url)


async def test_parts_become_a_blob(proxy: Proxy, storage: StorageClient) -> None:
    key = "raw/parts/u/a b.bin"
    upload = await storage.begin_parts(key, content_type="a/b")
    etags = [await storage.put_part(key, upload, 1, [FIRST])]
    # A part whose answer was lost is sent again.
    assert await storage.put_part(key, upload, 1, [FIRST]) == etags[0]
    etags.append(await storage.put_part(key, upload, 2, [b"end"]))
    assert (await proxy.get(key)).status_code == 404
    blob = await storage.complete_parts(key, upload, etags)
    assert (blob.key, blob.size) == (key, PART_BYTES + 3)
    got = await proxy.get(key)
    assert got.content == FIRST + b"end"
    assert got.headers["ETag"] == blob.etag
    for late in (
        storage.put_part(key, upload, 3, [b"x"]),
        storage.complete_parts(key, upload, etags),
    ):
        with pytest.raises(NotFound):
            await late


async def test_completing_takes_the_turn_of_the_key(
    proxy: Proxy, storage: StorageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PUT that is to replace nothing comes while a blob is made of its parts."""
    key = "raw/parts/u/at-once"
    upload = await storage.begin_parts(key)
    etags = [await storage.put_part(key, upload, 1, [b"of parts"])]
    held, go, both = asyncio.Event(), asyncio.Event(), asyncio.Event()
    turns = []
    complete, turn_of = BlobStore.complete_parts, KeyTurns.of

    async def hold(self: BlobStore, *arguments: Any) -> None:
        held.set()
        await go.wait()
        await complete(self, *arguments)

    def noted(self: KeyTurns, wanted: str) -> Any:
        turns.append(wanted)
        if turns == [key, key]:
            both.set()
        return turn_of(self, wanted)

    monkeypatch.setattr(BlobStore, "complete_parts", hold)
    monkeypatch.setattr(KeyTurns, "of", noted)
    completing = asyncio.create_task(storage.complete_parts(key, upload, etags))
    await held.wait()
    putting = asyncio.create_task(proxy.put(key, b"whole", If_None_Match="*"))
    waiting = asyncio.create_task(both.wait())
    await asyncio.wait({putting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    go.set()
    blob = await completing
    assert (await putting).status_code == 412
    assert (blob.key, blob.size) == (key, 8)
    assert (await proxy.get(key)).content == b"of parts"


async def test_what_is_given_up_leaves_nothing(proxy: Proxy, storage: StorageClient) -> None:
    key = "raw/parts/u/given-up"
    before = proxy.files()
    uploads = [await storage.begin_parts(key) for _ in range(3)]
    neighbour = await storage.begin_parts(key + "-not")
    for upload in uploads:
        await storage.put_part(key, upload, 1, [FIRST])
    await storage.abort_parts(key, uploads[0])
    await storage.abort_parts(key, uploads[0])  # gone already
    with pytest.raises(NotFound):
        await storage.put_part(key, uploads[0], 2, [b"x"])
    await storage.abort_parts(key)
    await storage.abort_parts(key)
    for content in (b"x", FIRST):  # also where the store answers before it has all
        with pytest.raises(NotFound):
            await storage.put_part(key, uploads[2], 2, [content])
    await storage.put_part(key + "-not", neighbour, 1, [b"x"])  # of another key: still there
    await storage.abort_parts(key + "-not", neighbour)
    assert proxy.files() == before


async def test_giving_up_where_there_never_was_one(make_proxy: Callable[..., Any]) -> None:
    fresh = await make_proxy()
    await StorageClient(fresh.http, fresh.url).abort_parts("raw/parts/u/none")


async def test_other_bytes_than_before_are_told(storage: StorageClient) -> None:
    key = "raw/parts/u/others"
    upload = await storage.begin_parts(key)
    etag = await storage.put_part(key, upload, 1, [FIRST])
    wrong = '"' + "0" * 32 + '"'
    assert etag != wrong
    with pytest.raises(Conflict):
        await storage.complete_parts(key, upload, [wrong])
    await storage.abort_parts(key, upload)


async def test_what_is_refused(proxy: Proxy, make_token: Callable[..., str]) -> None:
    http, path = proxy.http, "/blobs/raw/parts/u/refused"
    upload = (await http.post(f"{path}?uploads")).json()["upload"]
    part = {"upload": upload, "part": 1}

    async def chunked():
        yield b"x"

    answers = {
        "too large": await http.put(path, params=part, content=b"x" * (PART_BYTES + 1)),
        "no length": await http.put(path, params=part, content=chunked()),
        "no number": await http.put(path, params={"upload": upload}, content=b"x"),
        "part 0": await http.put(path, params=part | {"part": 0}, content=b"x"),
        "no etags": await http.post(path, params={"upload": upload}, json={"etags": []}),
        "bad key": await http.post("/blobs/raw//x?uploads"),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "too large": 413, "no length": 400, "no number": 400, "part 0": 400, "no etags": 400,
        "bad key": 400,
    }  # fmt: skip
    user = {"Authorization": f"Bearer {make_token(admin=True, scopes=('read', 'write', 'admin'))}"}
    for method, query in (
        ("POST", "?uploads"),
        ("PUT", "?upload=u&part=1"),
        ("DELETE", "?uploads"),
    ):
        answer = await http.request(method, path + query, headers=user)
        assert answer.status_code == 403, method
    await http.delete(f"{path}?uploads")


async def test_a_part_that_breaks_off_is_not_stored(proxy: Proxy, storage: StorageClient) -> None:
    key = "raw/parts/u/broken"
    upload = await storage.begin_parts(key)
    address = httpx.URL(proxy.url)
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"PUT /blobs/{key}?upload={upload}&part=1 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {proxy.http.headers['Authorization']}\r\n"
        f"Content-Length: {2 * MIB}\r\n\r\n".encode()
        + b"x" * MIB
    )
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await asyncio.sleep(0.1)
    # It is sent again as it was. A store that writes parts in their place takes no others there.
    content = b"x" * (2 * MIB)
    etag = await storage.put_part(key, upload, 1, [content])
    await storage.complete_parts(key, upload, [etag])
    assert (await proxy.get(key)).content == content
