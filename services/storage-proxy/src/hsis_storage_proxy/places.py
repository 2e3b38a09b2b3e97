"""Who may go on, of the requests of one process: places for parts in memory, turns for a key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class UploadPlaces:
    """How many uploads may hold a part in memory at once: `places` of them.

    Bodies that come as slowly as their sender likes never take the last `for_prompt` of these, so
    they cannot keep what services send from their memory waiting.
    """

    def __init__(self, places: int, for_prompt: int) -> None:
        self._all = asyncio.Semaphore(places)
        self._slow = asyncio.Semaphore(max(1, places - for_prompt))

    @asynccontextmanager
    async def taken(self, *, prompt: bool) -> AsyncIterator[None]:
        """Wait for a place and hold it; `prompt` where all of the body is in a service's memory."""
        if prompt:
            async with self._all:
                yield
        else:
            async with self._slow, self._all:
                yield


class KeyTurns:
    """One change of a key at a time. Other processes are not seen."""

    def __init__(self) -> None:
        # A lock is forgotten once nobody holds it or waits for it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait until nobody else changes the key, and hold others off meanwhile."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            yield

    def __len__(self) -> int:
        return len(self._locks)
