"""Files that ingest fetches itself: from URLs and from elsewhere in the store."""

import asyncio
import hashlib
import io
from contextlib import suppress

import jwt
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from hsis.clients.base import problem_of
from hsis.contracts.uploads import IngestRequest, UploadRequest, UploadState
from hsis.errors import Conflict, DomainError, Forbidden, NotFound, Unauthenticated
from tests.ingest.conftest import Ingest
from tests.support.servers import served

COLLECTION = "fetched"
CUBE = np.arange(60, dtype="<u2").reshape(3, 4, 5)
HEADER = (
    "ENVI\nsamples = 5\nlines = 4\nbands = 3\ndata type = 12\ninterleave = bsq\n"
    "byte order = 0\nheader offset = 0\n"
)


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


class Files:
    """A server of files, and how often each was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held = asyncio.Event()
        self.url = ""

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.answer)])

    async def answer(self, request) -> Response:
        path = request.path_params["path"]
        self.asked.append(path)
        if path == "moved/my cube.raw":
            return RedirectResponse("../files/cube.raw")
        if path.startswith("round"):
            return RedirectResponse("/round")
        if path == "inside":
            return RedirectResponse("http://127.0.0.2:1/secret")
        if path == "flaky.npy" and self.asked.count(path) < 3:
            return PlainTextResponse("busy", 503)
        if path == "endless.npy":
            return StreamingResponse(self.endless())
        if path == "packed.npy":
            return Response(b"x", headers={"Content-Encoding": "gzip"})
        if path == "large.npy":
            return Response(headers={"Content-Length": "1001"}, content=b"x" * 1001)
        content = {"files/cube.raw": CUBE.tobytes(), "files/cube.hdr": HEADER.encode()}.get(path)
        if path.endswith("flaky.npy"):
            content = npy(CUBE)
        return PlainTextResponse("no", 404) if content is None else Response(content)

    async def endless(self):
        self.held.set()
        while True:
            yield b"x" * 10_000
            await asyncio.sleep(0.02)


@pytest.fixture
async def source():
    files = Files()
    async with served(files.app()) as url:
        files.url = url.replace("127.0.0.1", "localhost")
        yield files


async def noted(ingest: Ingest, key: str, content: bytes) -> None:
    """Keep a file in the store, beside the uploads of the collection, which then exists."""
    with suppress(Conflict):
        request = UploadRequest(collection=COLLECTION, id="never-sent", files=[{"name": "a"}])
        await ingest.client.create(request, token=ingest.admin_token)
    await ingest.storage.put(key, content, token=ingest.admin_token)


async def ingested(ingest: Ingest, *sources, url=None, **more):
    client = ingest.client if url is None else type(ingest.client)(ingest.http, url)
    request = IngestRequest(collection=COLLECTION, sources=list(sources), **more)
    return await client.ingest(request, token=ingest.admin_token)


@pytest.fixture
async def replica(idle_ingest: Ingest):
    app = idle_ingest.app(
        worker_enabled=True, fetch_private_hosts="localhost", fetch_max_redirects=2,
        max_upload_bytes=1000, concurrent_fetches=4,
    )  # fmt: skip
    async with served(app) as url:
        yield url


async def test_a_cube_and_its_header_by_url(idle_ingest: Ingest, source: Files, replica: str):
    upload = await ingested(
        idle_ingest,
        f"{source.url}/moved/my%20cube.raw?signature=secret",
        {"url": f"{source.url}/files/cube.hdr", "name": "my cube.hdr"},
        url=replica,
    )
    assert (upload.state, upload.item) == (UploadState.FETCHING, "my-cube")
    assert upload.files[0].source == f"{source.url}/moved/my%20cube.raw"
    ended = await idle_ingest.ended(upload)
    assert (ended.state, ended.error) == (UploadState.SUCCEEDED, None)
    item = await idle_ingest.catalog.item(COLLECTION, "my-cube", token=idle_ingest.admin_token)
    assert item["assets"]["original-1"]["file:checksum"] == (
        "1220" + hashlib.sha256(CUBE.tobytes()).hexdigest()
    )
    stored = await idle_ingest.storage.get(
        f"raw/{COLLECTION}/{upload.id}/my cube.raw", token=idle_ingest.admin_token
    )
    assert stored == CUBE.tobytes()


async def test_a_server_that_is_busy_is_asked_again(
    idle_ingest: Ingest, source: Files, replica: str
):
    upload = await ingested(idle_ingest, f"{source.url}/flaky.npy", url=replica)
    assert (await idle_ingest.ended(upload)).state is UploadState.SUCCEEDED
    assert source.asked == ["flaky.npy"] * 3


@pytest.mark.parametrize(
    ("path", "slug", "why"),
    [
        ("nothing.npy", "source-refused", "404"),
        ("round", "source-refused", "more than 2 times"),
        ("inside", "source-not-allowed", "127.0.0.2"),
        ("packed.npy", "source-refused", "encoded"),
        ("large.npy", "too-large", "1001 bytes"),
        ("endless.npy", "too-large", "max_upload_bytes"),
    ],
)
async def test_what_cannot_be_fetched_leaves_nothing(
    idle_ingest: Ingest, source: Files, replica: str, path, slug, why
):
    upload = await ingested(
        idle_ingest,
        {"url": f"{source.url}/files/cube.hdr", "name": f"{path}.hdr"},
        f"{source.url}/{path}",
        url=replica,
        id=f"bad-{path}",
    )
    ended = await idle_ingest.ended(upload)
    assert (ended.state, ended.error.slug) == (UploadState.FAILED, slug)
    assert why in ended.error.detail
    await idle_ingest.emptied(f"raw/{COLLECTION}/{upload.id}/")


async def test_a_server_that_is_away_is_given_up(idle_ingest: Ingest, replica: str):
    upload = await ingested(idle_ingest, "http://localhost:9/a.npy?key=secret", url=replica)
    ended = await idle_ingest.ended(upload)
    assert ended.error.slug == "source-unavailable"
    assert "secret" not in ended.error.detail


async def test_another_replica_fetches_after_a_shutdown(idle_ingest: Ingest, source: Files):
    app = {"worker_enabled": True, "fetch_private_hosts": "localhost"}
    async with served(idle_ingest.app(**app)) as url:
        upload = await ingested(
            idle_ingest, {"url": f"{source.url}/endless.npy", "name": "a.npy"}, url=url, id="moved"
        )
        await source.held.wait()
        with pytest.raises(Conflict, match="fetched from"):
            await idle_ingest.client.put_file(
                upload.id, "a.npy", b"x", token=idle_ingest.admin_token
            )
    source.held.clear()
    async with served(idle_ingest.app(**app)):
        await source.held.wait()  # asked for again, by the other
        await idle_ingest.client.delete(upload.id, token=idle_ingest.admin_token)
        await idle_ingest.emptied(f"raw/{COLLECTION}/{upload.id}/")


async def test_a_blob_of_the_store(idle_ingest: Ingest, replica: str):
    key = f"raw/{COLLECTION}/scratch/day 1/cube.npy"
    with pytest.raises(NotFound, match="no blob"):
        await ingested(idle_ingest, key)
    content = npy(CUBE + 2)  # else an earlier item's originals would be taken instead
    await noted(idle_ingest, key, content)
    upload = await ingested(idle_ingest, key, url=replica, id="from-blob")
    assert (upload.files[0].size, upload.files[0].source) == (len(content), key)
    assert (await idle_ingest.ended(upload)).state is UploadState.SUCCEEDED
    copied = await idle_ingest.keys(f"raw/{COLLECTION}/{upload.id}/")
    assert copied == [f"raw/{COLLECTION}/{upload.id}/cube.npy"]


async def test_a_blob_that_changes_meanwhile_is_not_taken(idle_ingest: Ingest):
    token, key = idle_ingest.admin_token, f"raw/{COLLECTION}/scratch/changing.npy"
    await noted(idle_ingest, key, npy(CUBE))
    upload = await ingested(idle_ingest, key)
    await idle_ingest.storage.put(key, npy(CUBE + 1), token=token)
    async with served(idle_ingest.app(worker_enabled=True)):
        ended = await idle_ingest.ended(upload)
    assert ended.error.slug == "source-refused"


async def test_who_may_have_what_fetched(idle_ingest: Ingest):
    token, key = idle_ingest.admin_token, f"raw/{COLLECTION}/scratch/private.npy"
    await noted(idle_ingest, key, npy(CUBE))
    client, request = idle_ingest.client, IngestRequest(collection="theirs", sources=[key])
    with pytest.raises(Unauthenticated):
        await client.ingest(request)
    subject = jwt.decode(token, options={"verify_signature": False})["sub"]
    limited = idle_ingest.make_token(subject, admin=True, collections=["theirs"])
    with pytest.raises(Forbidden):
        await client.ingest(request, token=limited)
    access = await idle_ingest.catalog.access("theirs", token=token)
    assert access.role is None  # nothing was made for requests that failed


@pytest.mark.parametrize(
    ("source", "slug"),
    [
        ("http://127.0.0.1:5432/a.npy", "source-not-allowed"),
        ("http://169.254.169.254/latest/meta-data", "source-not-allowed"),
        ("ftp://example.org/a.npy", "source-not-allowed"),
        ("https://me:word@example.org/a.npy", "source-not-allowed"),
        ("http://8.8.8.8/", "invalid-input"),
        ("staging/transfers/x/whole", "invalid-input"),
    ],
)
async def test_what_is_refused_at_once(idle_ingest: Ingest, source: str, slug: str):
    with pytest.raises(DomainError) as caught:
        await ingested(idle_ingest, source)
    assert problem_of(caught.value).slug == slug
