"""Small reads that come again: what is kept of them, how long, and who is never answered by it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.storage_proxy.conftest import Proxy

from hsis.clients.catalog import CatalogClient
from hsis.contracts.blobs import Blob
from hsis_storage_proxy.hot import ENTRY_BYTES, LARGEST_SHARE, HotRead, HotReads
from hsis_storage_proxy.ranges import Span, WantedRange

KEY = "raw/hot/u/file.bin"
FIRST = WantedRange(0, 3)


def read_of(content: bytes, key: str = KEY) -> HotRead:
    blob = Blob(key=key, size=100, etag='"e"')
    return HotRead(blob, Span(0, len(content)), content)


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_read_is_kept_for_its_age_from_when_it_was_begun() -> None:
    clock = Clock()
    hot = HotReads(1 << 20, 2.0, clock)
    begun = hot.begin(KEY)
    clock.now_s = 1.5
    hot.keep(FIRST, read_of(b"abcd"), begun)
    found = hot.find(KEY, FIRST)
    assert found is not None
    assert found.content == b"abcd"
    assert hot.find(KEY, None) is None
    assert hot.find(KEY, WantedRange(0, 4)) is None
    assert hot.find(KEY + "2", FIRST) is None
    clock.now_s = 2.0
    assert hot.find(KEY, FIRST) is None


def test_a_change_is_seen_also_by_reads_on_their_way() -> None:
    hot = HotReads(1 << 20, 2.0, Clock())
    before = hot.begin(KEY)
    hot.forget(KEY)
    after = hot.begin(KEY)
    hot.keep(FIRST, read_of(b"old"), before)
    assert hot.find(KEY, FIRST) is None
    hot.keep(FIRST, read_of(b"new"), after)
    hot.keep(FIRST, read_of(b"old"), before)
    found = hot.find(KEY, FIRST)
    assert found is not None
    assert found.content == b"new"
    hot.forget(KEY)
    assert hot.find(KEY, FIRST) is None


@pytest.mark.parametrize(("max_bytes", "age_s", "kept"), [(0, 2.0, 0), (1 << 20, 0.0, 0)])
def test_nothing_is_kept_where_nothing_may_be(max_bytes: int, age_s: float, kept: int) -> None:
    hot = HotReads(max_bytes, age_s, Clock())
    hot.keep(FIRST, read_of(b"abcd"), hot.begin(KEY))
    assert len(hot) == kept


def test_memory_is_bounded() -> None:
    size = 1024
    hot = HotReads(LARGEST_SHARE * (size + ENTRY_BYTES), 2.0, Clock())
    for number in range(3 * LARGEST_SHARE):
        key = f"{KEY}{number}"
        hot.keep(FIRST, read_of(bytes(size), key), hot.begin(key))
    assert len(hot) == LARGEST_SHARE
    hot.keep(FIRST, read_of(bytes(size + 1)), hot.begin(KEY))
    assert hot.find(KEY, FIRST) is None


@pytest.fixture(scope="module")
async def replicas(make_proxy: Callable[..., Any], admin_token: str) -> tuple[Proxy, Proxy]:
    """Two over the same bucket, with a collection for what they hold."""
    first = await make_proxy(hot_s=1.0)
    async with httpx.AsyncClient(trust_env=False) as http:
        catalog = CatalogClient(http, first.catalog_url)
        await catalog.create_collection({"id": "hot", "description": "-"}, token=admin_token)
    return first, await make_proxy(hot_s=1.0, s3_bucket=first.bucket)


async def ranged(proxy: Proxy, token: str | None = None, **more: str) -> httpx.Response:
    headers = {"Range": "bytes=0-3"} | {name.replace("_", "-"): v for name, v in more.items()}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return await proxy.http.get(f"/blobs/{KEY}", headers=headers)


async def test_what_a_replica_changes_it_answers_at_once(
    replicas: tuple[Proxy, Proxy], admin_token: str
) -> None:
    proxy, _ = replicas
    for content in (b"first blob", b"second blob"):
        assert (await proxy.put(KEY, content)).status_code == 201
        for _ in range(2):
            answer = await ranged(proxy, admin_token)
            assert (answer.status_code, answer.content) == (206, content[:4])
            assert answer.headers["Content-Range"] == f"bytes 0-3/{len(content)}"
    assert (await proxy.http.delete(f"/blobs/{KEY}")).status_code == 204
    assert (await ranged(proxy, admin_token)).status_code == 404
    await proxy.put(KEY, b"third blob")
    assert (await ranged(proxy, admin_token)).content == b"thir"
    prefix = {"prefix": "raw/hot/u/"}
    assert (await proxy.http.delete("/blobs", params=prefix)).json() == {"deleted": 1}
    assert (await ranged(proxy, admin_token)).status_code == 404


async def test_another_replica_s_change_is_seen_soon_and_by_services_at_once(
    replicas: tuple[Proxy, Proxy], admin_token: str
) -> None:
    one, other = replicas
    await one.put(KEY, b"old blob")
    assert (await ranged(other, admin_token)).content == b"old "
    await one.put(KEY, b"new blob")
    assert (await ranged(other, admin_token, Cache_Control="no-cache")).content == b"new "
    assert (await ranged(other)).content == b"new "  # the fixture's own token is a service's
    async with asyncio.timeout(60):
        while (await ranged(other, admin_token)).content != b"new ":
            await asyncio.sleep(0.05)


async def test_a_kept_read_is_for_those_alone_who_may_read(
    replicas: tuple[Proxy, Proxy], admin_token: str
) -> None:
    proxy, _ = replicas
    await proxy.put(KEY, b"a blob")
    assert (await ranged(proxy, admin_token)).status_code == 206
    async with httpx.AsyncClient(trust_env=False) as anonymous:
        answer = await anonymous.get(f"{proxy.url}/blobs/{KEY}", headers={"Range": "bytes=0-3"})
    assert answer.status_code == 401
