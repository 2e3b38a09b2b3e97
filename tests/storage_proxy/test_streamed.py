"""Parts that are sent on while they come, over connections that were used before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from tests.storage_proxy.test_s3 import settings_for
from tests.support.platform import fresh_bucket

from hsis.errors import Unavailable
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.readiness import free_port
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.tags import MadeTags

KEY = "raw/c/u/f"
PIECE = b"0123456789abcdef" * 4096
PATIENCE_S = 60.0
"""Half of the time after which storage-proxy gives a silent object store up."""


@asynccontextmanager
async def breaking_at(server: ObjectStore, part: int) -> AsyncIterator[tuple[str, list[int]]]:
    """The URL of a relay to the object store, which closes a connection that was used before when
    the head of the part comes by it, once; and how many bytes had come by that one."""
    broken: list[int] = []
    relays: set[asyncio.Task[None] | None] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays.add(asyncio.current_task())
        inside, outside = await asyncio.open_connection("127.0.0.1", server.port)

        async def back() -> None:
            while piece := await inside.read(65536):
                writer.write(piece)
                await writer.drain()

        answers = asyncio.create_task(back())
        passed = 0
        while piece := await reader.read(65536):
            if passed and not broken and f"partNumber={part}&".encode() in piece:
                broken.append(passed)
                break
            passed += len(piece)
            outside.write(piece)
            await outside.drain()
        answers.cancel()
        await asyncio.gather(answers, return_exceptions=True)
        for one in (outside, writer):
            one.close()
            await asyncio.gather(one.wait_closed(), return_exceptions=True)

    port = free_port()
    async with await asyncio.start_server(relay, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}", broken
        await asyncio.gather(*(task for task in relays if task is not None))


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


async def test_a_part_is_not_begun_anew_without_its_bytes(object_store: ObjectStore) -> None:
    length = 96 * len(PIECE)
    async with breaking_at(object_store, 2) as (url, broken):
        settings = settings_for(object_store, "unused", s3_endpoint_url=url)
        async with open_s3(settings) as client:
            store = BlobStore(client, fresh_bucket(), tags=MadeTags())
            await store.make_bucket()
            upload = await store.begin_parts(KEY, "a/b")

            def send(number: int) -> Awaitable[str]:
                return store.stream_part(KEY, upload, number, pieces(96), length)

            etags = [await send(1)]
            assert not broken
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(Unavailable):
                    await send(2)
            assert broken
            etags.append(await send(2))
            await store.complete_parts(KEY, upload, etags)
            assert (await store.head(KEY)).size == 2 * length
