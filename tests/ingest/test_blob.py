"""A blob read from threads: cached in blocks, in pieces when large, broken off when closed."""

import asyncio

import numpy as np
import pytest

from hsis.errors import Unavailable
from hsis.runs import Runs
from hsis_ingest.formats import blob
from hsis_ingest.formats.blob import BlobSource

CONTENT = np.random.default_rng(0).bytes(1000)


class Store:
    """Answers ranges of CONTENT and counts them."""

    def __init__(self):
        self.asked = []

    async def get_range(self, key, start, length):
        self.asked.append((start, length))
        await asyncio.sleep(0)
        return CONTENT[start : start + length]

    async def get_range_into(self, key, start, runs):
        assert start < len(CONTENT) or not runs.length
        content = await self.get_range(key, start, runs.length)
        runs.put(0, content)
        return len(content)


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(blob, "BLOCK_BYTES", 100)
    monkeypatch.setattr(blob, "DIRECT_READ_BYTES", 250)
    return Store()


async def test_every_range(store):
    source = BlobSource(store, "key", "name", len(CONTENT))
    rng = np.random.default_rng(1)
    for offset, length in rng.integers(0, 1100, (100, 2)).tolist():
        got = await asyncio.to_thread(source.read_at, offset, length)
        assert got == CONTENT[offset : offset + length]
    assert max(length for _, length in store.asked) == 250


async def test_small_reads_are_cached(store):
    source = BlobSource(store, "key", "name", len(CONTENT))
    for _ in range(3):
        await asyncio.to_thread(source.read_at, 150, 60)
    assert store.asked == [(100, 100), (200, 100)]


async def test_errors_of_the_store_come_through(store):
    async def away(*_):
        raise Unavailable("away")

    store.get_range = away
    source = BlobSource(store, "key", "name", len(CONTENT))
    with pytest.raises(Unavailable):
        await asyncio.to_thread(source.read_at, 0, 10)


async def test_close_ends_a_read(store):
    begun = asyncio.Event()

    async def never(*_):
        begun.set()
        await asyncio.Event().wait()

    store.get_range = never
    source = BlobSource(store, "key", "name", len(CONTENT))
    reading = asyncio.ensure_future(asyncio.to_thread(source.read_at, 0, 10))
    await begun.wait()
    source.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ValueError, match="closed"):
        await asyncio.to_thread(source.read_at, 0, 10)


async def test_reads_ahead_are_few_and_in_order(store):
    source = BlobSource(store, "key", "name", len(CONTENT))
    spans = [(offset, 30) for offset in range(0, 1000, 40)] + [(990, 30)]
    pieces = source.read_ahead(spans)
    assert await asyncio.to_thread(next, pieces) == CONTENT[:30]
    assert len(store.asked) <= blob.READS_AHEAD + 1
    rest = await asyncio.to_thread(list, pieces)
    assert rest == [CONTENT[offset : offset + 30] for offset, _ in spans[1:]]
    assert store.asked == [*spans[:-1], (990, 10)]


async def test_targets_are_filled_ahead_and_in_order(store):
    source = BlobSource(store, "key", "name", len(CONTENT))
    buffer = bytearray(1020)
    spans = [(offset, 30) for offset in range(0, 1000, 40)] + [(990, 30)]
    filled = source.fill_ahead(
        (at, Runs.of(memoryview(buffer)[at : at + size])) for at, size in spans
    )
    assert await asyncio.to_thread(next, filled) == 30
    assert len(store.asked) <= blob.READS_AHEAD + 1
    assert await asyncio.to_thread(list, filled) == [30] * 24 + [10]
    assert store.asked == spans
    for offset, size in spans[:-1]:
        assert buffer[offset : offset + size] == CONTENT[offset : offset + size]
    assert buffer[990:] == CONTENT[990:] + bytes(20)
    behind = [(at, Runs.of(memoryview(buffer)[:30])) for at in (1000, 1500)]
    assert await asyncio.to_thread(list, source.fill_ahead(behind)) == [0, 0]


async def test_reads_ahead_end_with_their_reader(store):
    stopped, begun = [], asyncio.Semaphore(0)

    async def never(_key, start, _length):
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(start)

    source = BlobSource(store, "key", "name", len(CONTENT))
    store.get_range = never
    pieces = source.read_ahead([(offset, 10) for offset in range(100)])
    reading = asyncio.ensure_future(asyncio.to_thread(next, pieces))
    for _ in range(blob.READS_AHEAD + 1):
        await begun.acquire()
    source.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.sleep(0)
    assert sorted(stopped) == list(range(blob.READS_AHEAD + 1))
