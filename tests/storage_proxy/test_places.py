"""Places for parts in memory and turns for keys: what one request holds and another waits for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.storage_proxy.conftest import PART_BYTES, Proxy

from hsis_storage_proxy.places import KeyTurns, UploadPlaces
from hsis_storage_proxy.store import BlobStore


async def test_slow_bodies_leave_places_to_prompt_ones() -> None:
    places = UploadPlaces(3, 1)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(places.taken(prompt=False))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), places.taken(prompt=False):
                pass
        await held.enter_async_context(places.taken(prompt=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), places.taken(prompt=True):
                pass
    async with UploadPlaces(1, 8).taken(prompt=False):
        pass  # one place at least


async def test_turns_are_by_key_and_forgotten() -> None:
    turns = KeyTurns()
    order: list[str] = []

    async def change(key: str, name: str) -> None:
        async with turns.of(key):
            order.append(f"{name} begins")
            await asyncio.sleep(0.01)
            order.append(f"{name} ends")

    async with turns.of("b"):
        await asyncio.gather(change("a", "first"), change("a", "second"))
        assert len(turns) == 1
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert len(turns) == 0


@pytest.mark.parametrize("size", [2, PART_BYTES + 2])
async def test_of_two_that_create_a_blob_at_once_one_does(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    looked = 0
    find = BlobStore.find

    async def counted(self: BlobStore, key: str) -> Any:
        nonlocal looked
        found = await find(self, key)
        looked += 1
        return found

    monkeypatch.setattr(BlobStore, "find", counted)

    async def body(letter: bytes) -> AsyncIterator[bytes]:
        yield letter
        async with asyncio.timeout(60):
            while looked < 2:  # both were told before their bodies that there is none yet
                await asyncio.sleep(0.01)
        yield letter * (size - 1)

    key = f"raw/places/u/{size}"
    answers = await asyncio.gather(
        *(proxy.put(key, body(letter), If_None_Match="*") for letter in (b"a", b"b"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 412]
    winner = b"ab"[0 if answers[0].status_code == 201 else 1 :][:1]
    assert (await proxy.get(key)).content == winner * size
    assert not any("multipart" in file for file in proxy.files())


@pytest.fixture
def places_taken(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Released by each upload that gets a place."""
    got, taken = asyncio.Semaphore(0), UploadPlaces.taken

    @asynccontextmanager
    async def noted(self: UploadPlaces, *, prompt: bool) -> AsyncIterator[None]:
        async with taken(self, prompt=prompt):
            got.release()
            yield

    monkeypatch.setattr(UploadPlaces, "taken", noted)
    return got


async def test_slow_senders_do_not_keep_shards_waiting(
    make_proxy: Callable[..., Any], places_taken: asyncio.Semaphore
) -> None:
    proxy: Proxy = await make_proxy(concurrent_uploads=3, prompt_uploads=1)
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await go_on.wait()

    uploads = [asyncio.create_task(proxy.put(f"raw/slow/u/{n}", slow())) for n in range(4)]
    for _ in range(2):
        await places_taken.acquire()
    async with asyncio.timeout(60):
        assert (await proxy.put("cubes/slow/i/shard", b"shard")).status_code == 201
    go_on.set()
    assert [(await upload).status_code for upload in uploads] == [201] * 4


async def test_a_place_is_left_between_parts(
    make_proxy: Callable[..., Any], places_taken: asyncio.Semaphore
) -> None:
    proxy: Proxy = await make_proxy(concurrent_uploads=1, prompt_uploads=0)
    others_wait, go_on = asyncio.Event(), asyncio.Event()

    async def long() -> AsyncIterator[bytes]:
        yield b"x" * PART_BYTES
        await others_wait.wait()
        yield b"x"  # now the first part is known not to be the last
        await go_on.wait()

    first = asyncio.create_task(proxy.put("raw/slow/u/long", long()))
    await places_taken.acquire()
    second = asyncio.create_task(proxy.put("raw/slow/u/short", b"y"))
    await asyncio.sleep(0.3)
    assert not second.done()
    others_wait.set()
    async with asyncio.timeout(60):
        assert (await second).status_code == 201
    go_on.set()
    assert (await first).json()["size"] == PART_BYTES + 1
