"""Entity tags: the object store's own, and those made of time and size."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from tests.support.platform import fresh_bucket, storage_settings

from hsis_embedded.object_store import ObjectStore
from hsis_embedded.readiness import accepts, free_port
from hsis_embedded.supervisor import Program, Supervisor
from hsis_storage_proxy.s3 import open_s3
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.store import BlobStore
from hsis_storage_proxy.tags import EntityTags, KeptTags, MadeTags

KEY = "cubes/c/i/statistics.json"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def blobs(
    server: ObjectStore, bucket: str, tags: EntityTags, **more: Any
) -> AsyncIterator[BlobStore]:
    """The bucket as one storage-proxy has it."""
    settings = Settings(token_public_key="-", **storage_settings(server, bucket) | more)
    async with open_s3(settings) as client:
        store = BlobStore(client, bucket, tags=tags)
        await store.make_bucket()
        yield store


def test_a_made_tag_is_of_time_and_size() -> None:
    tags = MadeTags()
    told = {"LastModified": NOON.replace(microsecond=700), "ETag": '""'}
    assert tags.of(told, 1000) == '"69f495c0-3e8"'  # 1777636800 s after 1970
    assert tags.changed(told) == NOON
    kept = {"LastModified": datetime(2026, 5, 2, tzinfo=UTC), "Metadata": {"mtime": "1777636800"}}
    assert tags.of(kept, 1000) == '"69f495c0-3e8"'
    kept["Metadata"] = {"mtime": "1777636800.987654321"}  # as rclone's own client writes it
    assert tags.of(kept, 1000) == '"69f495c0-3e8"'
    kept["Metadata"] = {"mtime": "yesterday"}
    assert tags.changed(kept) == datetime(2026, 5, 2, tzinfo=UTC)
    assert tags.of({"ETag": '"x"'}, 1000) is None


def test_a_key_never_gets_the_same_second_twice() -> None:
    now = [1000.2]
    tags = MadeTags(lambda: now[0])
    given = [tags.metadata("a")["mtime"] for _ in range(3)]
    assert given == ["1000", "1001", "1002"]
    assert tags.metadata("b")["mtime"] == "1000"
    now[0] = 1001.9
    assert tags.metadata("a")["mtime"] == "1003"
    assert tags.metadata("b")["mtime"] == "1001"
    now[0] = 1010.0
    assert tags.metadata("a")["mtime"] == "1010"
    now[0] = 1030.0
    assert tags.metadata("b")["mtime"] == "1030"
    now[0] = 1010.5  # a clock that was set back
    assert tags.metadata("a")["mtime"] == "1011"


async def test_made_tags_hold_when_the_store_is_started_anew(tmp_path: Path) -> None:
    server = ObjectStore(tmp_path / "data", free_port(), "access-key", "secret-key-of-the-test")
    server.initialise()
    bucket = fresh_bucket()
    parts = [b"a" * 5 * 1024**2, b"end"]
    found = []
    for _ in range(2):
        with Supervisor(tmp_path) as supervisor:
            ready = partial(accepts, server.port)
            await supervisor.start(Program("rclone", server.command(), server.environment(), ready))
            async with blobs(server, bucket, MadeTags()) as store:
                if not found:
                    told = [(await store.put(KEY, [b"abc"], "a/b")).etag]
                    upload = await store.begin_parts("raw/c/u/f", "a/b")
                    etags = [
                        await store.put_part("raw/c/u/f", upload, number, [content])
                        for number, content in enumerate(parts, start=1)
                    ]
                    await store.complete_parts("raw/c/u/f", upload, etags)
                    told.append((await store.head("raw/c/u/f")).etag)
                    found.append(told)
                    assert (await store.put(KEY, [b"abd"], "a/b")).etag != told[0]
                    told[0] = (await store.put(KEY, [b"abe"], "a/b")).etag
                opened = await store.open(KEY)
                assert await opened.whole() == b"abe"
                listed = {blob.key: blob for blob in (await store.page("", None, 10)).blobs}
                heads = [await store.head(key) for key in (KEY, "raw/c/u/f")]
                found.append([blob.etag for blob in heads])
                found.append([listed[blob.key].etag for blob in heads])
                assert opened.blob.etag == heads[0].etag
                for blob in heads:
                    assert listed[blob.key].last_modified == blob.last_modified
    assert len(found) == 5
    assert all(told == found[0] for told in found)


async def test_a_store_keeps_its_own_tags(
    object_store: ObjectStore, serve: Callable[..., Any]
) -> None:
    content: dict[str, bytes] = {}
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "PUT"])
    async def tagging(request: Request, path: str) -> Response:
        """The real object store, with the tags that S3 makes of content."""
        body = await request.body()
        if request.method == "PUT":
            content[path] = body
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                request.method,
                f"{object_store.endpoint_url}/{path}",
                params=request.query_params,
                headers=dict(request.headers),
                content=body,
            )
        digest = hashlib.md5(content.get(path, b"")).hexdigest()
        headers = dict(answer.headers) | {"etag": f'"{digest}"'}
        return Response(answer.content, answer.status_code, headers)

    url = await serve(app)
    async with blobs(object_store, fresh_bucket(), KeptTags(), s3_endpoint_url=url) as store:
        for text in (b"abc", b"abd"):
            expected = f'"{hashlib.md5(text).hexdigest()}"'
            assert (await store.put(KEY, [text], "a/b")).etag == expected
            assert (await store.head(KEY)).etag == expected
            opened = await store.open(KEY)
            assert opened.blob.etag == expected
            assert await opened.whole() == text
