"""Exports and the clients that take them: too many, silent ones, and a cube replaced meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hsis.contracts.blobs import statistics_key
from hsis.service.secret_files import SigningKeys
from hsis_tiles.answers import UnsatisfiableRange, parse_range
from tests.hsis_cube.blobs import random_values
from tests.support.platform import SERVICE_SECRET, Platform, service_app
from tests.support.servers import served
from tests.tiles.conftest import COLLECTION, Tiles

SHAPE = (40, 400, 512)
MEMORY_BYTES = 1024 * 1024


@pytest.fixture(scope="module")
async def cube(tiles: Tiles) -> str:
    """The path of a cube of 16 MB: more than a connection holds by itself."""
    return await tiles.store("large", random_values(SHAPE, "int16"))


@pytest.fixture
async def narrow(
    stack: Platform, keys: SigningKeys, make_token: Callable[..., str]
) -> AsyncIterator[httpx.AsyncClient]:
    """Tiles that allows one export of little memory at once, and little patience."""
    app = service_app(
        "hsis_tiles",
        token_public_key=keys.public_pem,
        catalog_url=stack.catalog_url,
        storage_proxy_url=stack.storage_url,
        service_secret=SERVICE_SECRET + "tiles",
        concurrent_exports=1,
        export_memory_bytes=MEMORY_BYTES,
        export_max_bytes=17_000_000,
        export_idle_s=0.5,
    )
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, headers=headers) as http,
    ):
        yield http


@asynccontextmanager
async def taking_little(
    http: httpx.AsyncClient, token: str, path: str
) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that has asked for an export and holds hardly more than its head."""
    parts = urlsplit(str(http.base_url))
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=4096)
    try:
        writer.write(
            f"GET {path}/export?format=npy HTTP/1.1\r\nHost: tiles\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        yield reader
    finally:
        writer.transport.abort()


async def rest_of(reader: asyncio.StreamReader) -> tuple[int, int]:
    """The length that the head of an answer says, and that of the body up to its end."""
    said = 0
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            said = int(value)
    count = 0
    try:
        while piece := await reader.read(65536):
            count += len(piece)
            if count == said:
                break
    except ConnectionResetError:
        pass
    return said, count


async def test_one_too_many_is_told_to_come_again_and_a_silent_client_is_left(
    tiles: Tiles, narrow: httpx.AsyncClient, cube: str
) -> None:
    query = {"format": "npy", "bands": "1"}
    async with asyncio.timeout(60), AsyncExitStack() as lines:
        while True:  # a busy machine may ask only when the silent one was left already
            reader = await lines.enter_async_context(taking_little(narrow, tiles.admin_token, cube))
            refused = await narrow.get(f"{cube}/export", params=query)
            if refused.status_code == 503:
                break
        assert refused.headers["Retry-After"]
        assert refused.json()["type"] == "urn:hsis:problem:too-many-exports"
        assert "HSIS_CONCURRENT_EXPORTS" in refused.json()["detail"]
        while (await narrow.get(f"{cube}/export", params=query)).status_code == 503:
            await asyncio.sleep(0.05)
        said, count = await rest_of(reader)
    assert said > 2 * 40 * 400 * 512 > count


async def test_an_export_over_the_limit_is_refused_before_it_begins(
    tiles: Tiles, narrow: httpx.AsyncClient, cube: str
) -> None:
    path = await tiles.store("over", random_values((44, 400, 512), "int16"))
    answer = await narrow.get(f"{path}/export", params={"format": "envi"})
    assert answer.status_code == 413
    assert "18022400 bytes; at most 17000000" in answer.json()["detail"]
    assert "HSIS_EXPORT_MAX_BYTES" in answer.json()["detail"]
    answer = await narrow.get(f"{path}/export", params={"format": "envi", "bands": "1:41"})
    assert answer.status_code == 200


async def test_what_was_replaced_meanwhile_does_not_arrive_as_if_it_were_whole(
    tiles: Tiles, cube: str
) -> None:
    async with taking_little(tiles.http, tiles.admin_token, cube) as reader:
        said, count = await rest_of(reader)
    assert count == said
    key = statistics_key(COLLECTION, "large")
    statistics = await tiles.storage.get(key, token=tiles.service_token)
    async with taking_little(tiles.http, tiles.admin_token, cube) as reader:
        await tiles.put(key, statistics + b" ", "application/json")
        said, count = await rest_of(reader)
    assert 0 < count < said


async def test_a_damaged_shard_ends_the_answer_before_its_end(tiles: Tiles) -> None:
    path = await tiles.store("broken", random_values((4, 300, 64), "int16"))
    key = f"cubes/{COLLECTION}/broken/cube.zarr/cube/c/0/1/0"
    await tiles.put(key, b"\0" * 400, "application/octet-stream")
    with pytest.raises(httpx.RemoteProtocolError):
        await tiles.get(f"{path}/export", params={"format": "npy"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-300", (0, 100)),
        ("bytes=5-4", None),
        ("bytes=1-2,4-5", None),
        ("bytes=-", None),
        ("pixels=1-2", None),
    ],
)
def test_ranges(text: str | None, expected: Any) -> None:
    assert parse_range(text, 100) == expected


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end(text: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(text, 100)
