"""Reads of what is just being changed, by real S3 behind something that shows it for long."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from tests.storage_proxy.test_s3 import settings_for
from tests.support.platform import fresh_bucket

from hsis.errors import Unavailable
from hsis_embedded.object_store import ObjectStore
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.hot import HotReads
from hsis_storage_proxy.places import KeyTurns
from hsis_storage_proxy.ranges import WantedRange
from hsis_storage_proxy.reading import Content, OpenRanges, look, read
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.tags import MadeTags

KEY = "raw/c/u/f"


class Slow:
    """The object store, whose PUTs are answered when `go` is set. Until then GETs have the new
    bytes with the old headers, and HEADs these: what rclone shows for less than a millisecond."""

    def __init__(self, server: ObjectStore, stale: tuple[str, ...] = ("GET", "HEAD")) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.stored = asyncio.Event()
        self.read = asyncio.Event()
        self._before: dict[str, str] = {}
        self.app = FastAPI()

        @self.app.api_route("/{path:path}", methods=["GET", "HEAD", "PUT"])
        async def forward(request: Request, path: str) -> Response:
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.request(
                    request.method,
                    f"{server.endpoint_url}/{path}",
                    params=request.query_params,
                    headers=dict(request.headers),
                    content=await request.body(),
                )
            told = dict(answer.headers)
            if request.method == "PUT":
                self.stored.set()
                await self.go.wait()
            elif "x-amz-meta-mtime" in told:
                late = request.method in stale and not self.go.is_set()
                old = self._before if late else {}
                self._before = self._before or told
                told |= {name: old[name] for name in ("x-amz-meta-mtime", "last-modified") if old}
                self.read.set()
            return Response(answer.content, answer.status_code, told)


@pytest.mark.parametrize(
    "wanted", [(), (WantedRange(0, 3),), (WantedRange(0, 1), WantedRange(4, 5))]
)
@pytest.mark.parametrize("fresh", [True, False])
async def test_new_bytes_never_have_the_old_tag(
    object_store: ObjectStore,
    serve: Callable[..., Any],
    wanted: tuple[WantedRange, ...],
    fresh: bool,
) -> None:
    slow = Slow(object_store)
    settings = settings_for(object_store, "unused", s3_endpoint_url=await serve(slow.app))
    turns = KeyTurns()
    async with open_s3(settings) as client:
        store = BlobStore(client, fresh_bucket(), HotReads(1 << 20, 60), MadeTags())
        await store.make_bucket()

        async def change(content: bytes) -> str:
            async with turns.of(KEY):
                return (await store.put(KEY, [content], "a/b")).etag

        async def told() -> tuple[str, bytes]:
            answer = await read(store, turns, KEY, Conditions(), wanted, fresh=fresh)
            assert isinstance(answer, Content | OpenRanges)
            opened = answer.opened if isinstance(answer, Content) else answer
            content = b"".join([piece async for piece in opened.pieces()])
            opened.close()
            return opened.blob.etag, content

        before = await change(b"before")
        assert (await told())[0] == before
        slow.go.clear()
        slow.stored.clear()
        slow.read.clear()
        changing = asyncio.create_task(change(b"after."))
        await slow.stored.wait()
        reading = asyncio.create_task(told())
        if fresh:
            await slow.read.wait()
        await asyncio.sleep(0.05)
        slow.go.set()
        tag, content = await reading
        assert (tag == await changing) == (b"af" in content)


async def test_a_look_tells_the_tag_before_or_after(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    slow = Slow(object_store)
    settings = settings_for(object_store, "unused", s3_endpoint_url=await serve(slow.app))
    turns = KeyTurns()
    async with open_s3(settings) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()

        async def change(content: bytes) -> str:
            async with turns.of(KEY):
                return (await store.put(KEY, [content], "a/b")).etag

        tags = {await change(b"before")}
        assert {(await look(store, turns, KEY)).etag} == tags
        slow.go.clear()
        slow.stored.clear()
        slow.read.clear()
        changing = asyncio.create_task(change(b"longer after"))
        await slow.stored.wait()
        looking = asyncio.create_task(look(store, turns, KEY))
        await slow.read.wait()
        slow.go.set()
        told = (await looking).etag
        assert told in tags | {await changing}


async def test_what_stays_disturbed_is_never_answered_with_another_state(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    """If-Match holds for what was looked at, and what is opened then is the next one."""
    slow = Slow(object_store, stale=("HEAD",))
    settings = settings_for(object_store, "unused", s3_endpoint_url=await serve(slow.app))
    async with open_s3(settings) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        before = (await store.put(KEY, [b"before"], "a/b")).etag
        assert (await store.head(KEY)).etag == before
        slow.go.clear()
        slow.stored.clear()
        changing = asyncio.create_task(store.put(KEY, [b"after."], "a/b"))  # takes no turn
        await slow.stored.wait()
        conditions = Conditions.of(Headers({"If-Match": before}))
        with pytest.raises(Unavailable, match="again and again"):
            await read(store, KeyTurns(), KEY, conditions, (), fresh=True)
        slow.go.set()
        await changing
