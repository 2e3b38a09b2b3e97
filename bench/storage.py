"""GET of a blob through HSIS against GET of the same object from the object store itself.

Both by the same client, in turns, so that both meet the same machine; the object store is asked by
presigned URLs. storage-proxy is asked itself, and through the edge, which is one process more. The
client is aiohttp: httpx takes longer for a small answer than everything else together.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import httpx
from yarl import URL

from bench.report import report
from bench.store import BUCKET, DirectStore
from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient

SIZE = 64 * 1024**2
RANGE_BYTES = 4096
WHOLE_READS = 9
RANGE_READS = 400
HOT_PLACES = 8
AT_ONCE = 32
READS_AT_ONCE = 40
KEY = "bench/blob"


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to the blob."""

    name: str
    url: URL
    headers: Mapping[str, str]


async def measure(url: str, password: str, store: DirectStore, storage_url: str) -> None:
    """Print the rate of whole blobs and the time of small ranges, each with its ratio.

    `url` is the edge, `storage_url` storage-proxy itself.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        storage = StorageClient(http, url)
        await storage.put(KEY, os.urandom(SIZE), token=token)
        bearer = {"Authorization": f"Bearer {token}"}
        direct = _Way("the object store itself", URL(await store.url_of(KEY), encoded=True), {})
        proxy = _Way("storage-proxy", URL(f"{storage_url}/blobs/{KEY}"), bearer)
        edge = _Way("the edge", URL(f"{url}/blobs/{KEY}"), bearer)
        async with _client() as client:
            await _compare_whole(client, direct, proxy, edge)
            for hot in (False, True):
                await _compare_ranges(client, direct, proxy, edge, hot=hot)
                await _compare_at_once(client, store, proxy, hot=hot)
        await storage.delete(KEY, token=token)


@asynccontextmanager
async def _client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=2 * AT_ONCE), read_bufsize=256 * 1024
    ) as client:
        yield client


async def _compare_whole(client: aiohttp.ClientSession, reference: _Way, *ways: _Way) -> None:
    times: dict[str, list[float]] = {way.name: [] for way in (reference, *ways)}
    for _ in range(WHOLE_READS):
        for way in (reference, *ways):
            times[way.name].append(await _seconds(client, way, {}, SIZE))
    rates = {name: SIZE / 1e6 / statistics.median(taken) for name, taken in times.items()}
    report(f"64 MiB from {reference.name}", f"{rates[reference.name]:.0f} MB/s")
    for way in ways:
        ratio = f"{rates[way.name] / rates[reference.name]:.2f} of the reference"
        report(f"64 MiB through {way.name}", f"{rates[way.name]:.0f} MB/s", ratio)


async def _compare_ranges(
    client: aiohttp.ClientSession, reference: _Way, *ways: _Way, hot: bool
) -> None:
    places = _places(hot)
    times: dict[str, list[float]] = {way.name: [] for way in (reference, *ways)}
    for _ in range(RANGE_READS):
        for way in (reference, *ways):  # each its own: what one way brought is hot for the next
            wanted = _range(next(places))
            times[way.name].append(await _seconds(client, way, wanted, RANGE_BYTES))
    medians = {name: statistics.median(taken) * 1000 for name, taken in times.items()}
    which = _which(hot)
    report(f"{which} of 4 KiB from {reference.name}, p50", f"{medians[reference.name]:.2f} ms")
    for way in ways:
        more = medians[way.name] - medians[reference.name]
        told = f"{more:+.2f} ms to the reference"
        report(f"{which} of 4 KiB through {way.name}, p50", f"{medians[way.name]:.2f} ms", told)


async def _compare_at_once(
    client: aiohttp.ClientSession, store: DirectStore, proxy: _Way, *, hot: bool
) -> None:
    """The reference is aiobotocore: what a service without storage-proxy would use."""
    places = _places(hot)

    async def by_aiobotocore() -> None:
        answer = await store.api.get_object(Bucket=BUCKET, Key=KEY, **_range(next(places)))
        async with answer["Body"] as body:
            if len(await body.read()) != RANGE_BYTES:
                raise RuntimeError("aiobotocore brought another number of bytes.")

    async def by_proxy() -> None:
        await _seconds(client, proxy, _range(next(places)), RANGE_BYTES)

    theirs = await _requests_per_s(by_aiobotocore)
    ours = await _requests_per_s(by_proxy)
    which = f"{_which(hot)} of 4 KiB, {AT_ONCE} at once"
    report(f"{which}, by aiobotocore", f"{theirs:.0f}/s")
    report(f"{which}, {proxy.name}", f"{ours:.0f}/s", f"{ours / theirs:.2f} of the reference")


async def _requests_per_s(read: Callable[[], Awaitable[None]]) -> float:
    async def some() -> None:
        for _ in range(READS_AT_ONCE):
            await read()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return AT_ONCE * READS_AT_ONCE / (time.perf_counter() - began)


def _which(hot: bool) -> str:
    return "a hot range" if hot else "a new range"


def _places(hot: bool) -> Iterator[int]:
    """Where ranges begin: anywhere, or in few places that come again and again."""
    choose = random.Random(11)  # noqa: S311 - which bytes, not a secret
    few = [choose.randrange(SIZE - RANGE_BYTES) for _ in range(HOT_PLACES)]
    while True:
        yield choose.choice(few) if hot else choose.randrange(SIZE - RANGE_BYTES)


def _range(start: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{start + RANGE_BYTES - 1}"}


async def _seconds(
    client: aiohttp.ClientSession, way: _Way, headers: Mapping[str, str], expected: int
) -> float:
    """How long a GET takes to its last byte; RuntimeError unless `expected` bytes came."""
    began = time.perf_counter()
    received = 0
    async with client.get(way.url, headers={**way.headers, **headers}) as answer:
        answer.raise_for_status()
        async for piece in answer.content.iter_any():
            received += len(piece)
    if received != expected:
        raise RuntimeError(f"GET answered {received} bytes instead of {expected}.")
    return time.perf_counter() - began
