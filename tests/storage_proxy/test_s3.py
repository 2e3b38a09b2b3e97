"""S3 servers that answer ranges in other ways, that are away, and buckets at start."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from tests.support.platform import fresh_bucket, storage_settings

from hsis.errors import NotFound, Unavailable
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.readiness import free_port
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.errors import RangeNotSatisfiable
from hsis_storage_proxy.hot import HotReads
from hsis_storage_proxy.objects import PIECE_BYTES
from hsis_storage_proxy.places import KeyTurns
from hsis_storage_proxy.ranges import WantedRange
from hsis_storage_proxy.reading import Content, read
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.tags import MadeTags

CONTENT = bytes(range(256)) * 3000
KEY = "raw/c/u/f"


def answering(server: ObjectStore, way: str) -> FastAPI:
    """The real object store behind something that gives its answers to ranges another form."""
    app = FastAPI()

    app.state.asked = []

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "PUT"])
    async def forward(request: Request, path: str) -> Response:
        presigned = "X-Amz-Signature" in request.query_params
        if request.method == "GET":
            app.state.asked.append(str(request.url) if presigned else "signed by its headers")
        if presigned and way == "no presigned URLs":
            return Response(status_code=403)
        wanted = request.headers.get("Range")
        url = f"{server.endpoint_url}/{path}"
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                request.method,
                url,
                params=request.query_params,
                headers=dict(request.headers),
                content=await request.body(),
            )
        status, content, headers = answer.status_code, answer.content, dict(answer.headers)
        if request.method == "GET" and wanted and status in {200, 206}:
            if way == "everything":
                headers.pop("content-range", None)
                headers["content-length"] = str(len(CONTENT))
                status, content = 200, CONTENT
            elif way == "206":
                status = 206
        return Response(content, status, headers)

    return app


def settings_for(store: ObjectStore, bucket: str, **more: Any) -> Settings:
    """Settings of a store without a service around it."""
    return Settings(token_public_key="-", **storage_settings(store, bucket) | more)


async def slice_of(store: BlobStore, wanted: WantedRange | None) -> bytes:
    """What a reader of the range gets."""
    ranges = (wanted,) if wanted else ()
    answer = await read(store, KeyTurns(), KEY, Conditions(), ranges, fresh=True)
    assert isinstance(answer, Content)
    try:
        content = b"".join([piece async for piece in answer.opened.pieces()])
    finally:
        answer.opened.close()
    assert len(content) == answer.opened.span.length
    return content


@pytest.mark.parametrize("way", ["as it is", "206", "everything", "no presigned URLs"])
async def test_ranges_are_right_whatever_the_server_answers(
    object_store: ObjectStore, serve: Callable[..., Any], way: str
) -> None:
    more = (
        {} if way == "as it is" else {"s3_endpoint_url": await serve(answering(object_store, way))}
    )
    async with open_s3(settings_for(object_store, "unused", **more)) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        await store.put(KEY, [CONTENT], "a/b")
        size = len(CONTENT)
        for wanted, expected in (
            (None, CONTENT),
            (WantedRange(0, 0), CONTENT[:1]),
            (WantedRange(700_000, 700_009), CONTENT[700_000:700_010]),
            (WantedRange(10, None), CONTENT[10:]),
            (WantedRange(size - 1, size + 50), CONTENT[-1:]),
            (WantedRange(None, 5), CONTENT[-5:]),
        ):
            assert await slice_of(store, wanted) == expected
        for wanted in (WantedRange(size, None), WantedRange(None, 0), WantedRange(1 << 60, None)):
            with pytest.raises(RangeNotSatisfiable) as caught:
                await slice_of(store, wanted)
            assert caught.value.size == size


@pytest.mark.parametrize("way", ["206", "no presigned URLs"])
async def test_every_read_of_a_blob_is_one_request_to_the_same_url(
    object_store: ObjectStore, serve: Callable[..., Any], way: str
) -> None:
    app = answering(object_store, way)
    more = {"s3_endpoint_url": await serve(app)}
    async with open_s3(settings_for(object_store, "unused", **more)) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        await store.put(KEY, [CONTENT], "a/b")
        app.state.asked.clear()
        await slice_of(store, WantedRange(0, 9))
        await slice_of(store, WantedRange(70_000, 70_999))
        await slice_of(store, None)
    asked = app.state.asked
    if way == "206":
        assert len(asked) == 3
        assert len(set(asked)) == 1
    else:  # refused ones are asked for again, and signed anew the next time
        assert asked[1::2] == ["signed by its headers"] * 3


async def test_a_small_read_that_comes_again_asks_nothing(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    app = answering(object_store, "as it is")
    more = {"s3_endpoint_url": await serve(app)}
    async with open_s3(settings_for(object_store, "unused", **more)) as client:
        store = BlobStore(client, fresh_bucket(), HotReads(64 << 20, 60.0), MadeTags())
        await store.make_bucket()
        await store.put(KEY, [CONTENT], "a/b")
        app.state.asked.clear()
        for start, length, asked in ((0, 4096, 1), (PIECE_BYTES, PIECE_BYTES + 1, 3)):
            for _ in range(2):
                opened = await store.open_hot(KEY, WantedRange(start, start + length - 1))
                assert await opened.whole() == CONTENT[start : start + length]
                assert opened.blob.size == len(CONTENT)
            assert len(app.state.asked) == asked


async def test_a_small_answer_that_breaks_off_is_told_by_its_status(
    serve: Callable[..., Any], make_proxy: Callable[..., Any]
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = [(b"content-length", b"1000"), (b"etag", b'"x"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "GET":
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
            raise ConnectionError("the disk is gone")
        await send({"type": "http.response.body", "body": b""})

    proxy = await make_proxy(s3_endpoint_url=await serve(broken), s3_entity_tags="kept")
    answer = await proxy.get(KEY)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["type"] == "urn:hsis:problem:unavailable"


async def test_a_bucket_is_made_once(object_store: ObjectStore) -> None:
    async with open_s3(settings_for(object_store, "unused")) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        with pytest.raises(Unavailable, match="no bucket"):
            await store.ping()
        await store.make_bucket()
        await store.put(KEY, [b"kept"], "a/b")
        await store.make_bucket()
        await store.ping()
        assert (await store.head(KEY)).size == 4


async def test_a_bucket_that_another_replica_makes_at_the_same_time(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_s3(settings_for(object_store, "unused")) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        known, looks = store._has_bucket, []

        async def not_yet() -> bool:
            looks.append(1)
            return await known() if len(looks) > 1 else False

        monkeypatch.setattr(store, "_has_bucket", not_yet)
        await store.make_bucket()
        assert len(looks) == 2


async def test_an_object_store_that_is_away(object_store: ObjectStore) -> None:
    away = settings_for(object_store, "none", s3_endpoint_url=f"http://127.0.0.1:{free_port()}")
    wrong = settings_for(object_store, "none", s3_secret_key="wrong")
    for settings in (away, wrong):
        async with open_s3(settings) as client:
            store = BlobStore(client, "none")
            attempts = (store.ping(), store.make_bucket())
            about_key = (store.head(KEY), store.delete(KEY), store.open(KEY))
            # At once: each tries again a few times.
            ends = await asyncio.gather(*attempts, *about_key, return_exceptions=True)
            assert [type(end) for end in ends] == [Unavailable] * 5


async def test_a_body_that_breaks_off(object_store: ObjectStore, serve: Callable[..., Any]) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = [(b"content-length", b"1000"), (b"etag", b'"x"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ConnectionError("the disk is gone")

    url = await serve(broken)
    async with open_s3(settings_for(object_store, "none", s3_endpoint_url=url)) as client:
        with pytest.raises(Unavailable):
            await slice_of(BlobStore(client, "none"), None)


async def test_a_missing_blob(object_store: ObjectStore) -> None:
    async with open_s3(settings_for(object_store, "unused")) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        for about_key in (store.head, store.open):
            with pytest.raises(NotFound, match="'raw/c/u/f'"):
                await about_key(KEY)
        assert await store.find(KEY) is None


async def test_a_missing_blob_is_asked_for_once(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    app = answering(object_store, "206")
    more = {"s3_endpoint_url": await serve(app)}
    async with open_s3(settings_for(object_store, "unused", **more)) as client:
        store = BlobStore(client, fresh_bucket(), tags=MadeTags())
        await store.make_bucket()
        with pytest.raises(NotFound, match="'raw/c/u/f'"):
            await store.open(KEY)
        assert len(app.state.asked) == 1
        # A bucket that is not there is another matter, which botocore tells.
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            await BlobStore(client, fresh_bucket(), tags=MadeTags()).open(KEY)
        assert len(app.state.asked) == 3


async def test_an_answer_without_an_entity_tag_is_no_answer(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def untagged(path: str) -> Response:
        return Response(CONTENT)

    url = await serve(app)
    async with open_s3(settings_for(object_store, "none", s3_endpoint_url=url)) as client:
        with pytest.raises(Unavailable, match="entity tag"):
            await BlobStore(client, "none").open(KEY)


def test_settings_that_cannot_work() -> None:
    keys = {"token_public_key": "-", "s3_access_key": "a", "s3_secret_key": "s"}
    with pytest.raises(ValidationError, match="max_object_bytes"):
        Settings(**keys, part_bytes=5 * 1024**2, max_object_bytes=5 * 1024**2 * 10_000 + 1)
    assert "very-secret" not in repr(Settings(**keys | {"s3_secret_key": "very-secret"}))
