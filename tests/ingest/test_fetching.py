"""Files that ingest fetches itself: from URLs and from elsewhere in the store."""

import asyncio
import hashlib
import io
from contextlib import suppress
from uuid import UUID, uuid4

import httpx
import jwt
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from hsis.clients.base import problem_of
from hsis.contracts.uploads import IngestRequest, UploadRequest, UploadState
from hsis.errors import Conflict, DomainError, Forbidden, NotFound, Unauthenticated
from hsis.service.postgres import open_pool
from hsis_ingest import fetch_queue, receiving, transfer_repository
from hsis_ingest.settings import Settings
from hsis_ingest.sources import strong_validator
from hsis_ingest.transfer_rows import NewTransfer, TransferKind
from tests.ingest.breaking_server import Answer, Breaking, breaking, rest, whole
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


@pytest.fixture
async def broken():
    async with breaking() as files:
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


WHOLE, OTHER = b"no cube" * 40, b"another" * 40
CUT = 100
V1 = {"ETag": '"v1"'}
OLD = {"Last_Modified": "Sat, 01 Jan 2022 10:00:00 GMT", "Date": "Sat, 01 Jan 2022 10:00:01 GMT"}
NONE, FROM_CUT = (None, None), (f"bytes={CUT}-", '"v1"')
BY_TIME = (f"bytes={CUT}-", OLD["Last_Modified"])
"""What a request says in Range and If-Range."""


def chunked(content: bytes, start: int = 0, *, ends: bool, **headers: str):
    """Bytes of a length that is not told, and then the end or a broken line."""
    tail = b"0\r\n\r\n" if ends else b""

    def answer(_: int) -> Answer:
        sent = b"%x\r\n%b\r\n" % (len(content[start:]), content[start:]) + tail
        status = 206 if "Content-Range" in headers else 200
        return Answer(sent, status, {"Transfer-Encoding": "chunked"} | headers)

    return answer


RANGE = f"bytes {CUT}-{len(WHOLE) - 1}/{len(WHOLE)}"
SHORT = f"bytes {CUT}-149/{len(WHOLE)}"
GOES_ON = {
    "by tag": ([whole(WHOLE, CUT, **V1), rest(WHOLE, **V1)], [NONE, FROM_CUT], WHOLE),
    "by time": ([whole(WHOLE, CUT, **OLD), rest(WHOLE)], [NONE, BY_TIME], WHOLE),
    "length untold": (
        [chunked(WHOLE[:CUT], ends=False, **V1), rest(WHOLE, **V1)], [NONE, FROM_CUT], WHOLE,
    ),
    "total untold": (
        [whole(WHOLE, CUT, **V1), rest(WHOLE, None, RANGE.split("/")[0] + "/*", **V1)],
        [NONE, FROM_CUT], WHOLE,
    ),
    "less than asked": (
        [
            whole(WHOLE, CUT, **V1),
            chunked(WHOLE[:150], CUT, ends=True, **V1 | {"Content-Range": SHORT}),
            rest(WHOLE, **V1),
        ],
        [NONE, FROM_CUT, ("bytes=150-", '"v1"')], WHOLE,
    ),
    "weak tag": ([whole(WHOLE, CUT, ETag='W/"v1"'), whole(WHOLE)], [NONE, NONE], WHOLE),
    "changed just now": (
        [whole(WHOLE, CUT, **OLD | {"Date": OLD["Last_Modified"]}), whole(WHOLE)],
        [NONE, NONE], WHOLE,
    ),
    "knows no ranges": ([whole(WHOLE, CUT, **V1), whole(WHOLE, **V1)], [NONE, FROM_CUT], WHOLE),
    "changed": ([whole(WHOLE, CUT, **V1), whole(OTHER, ETag='"v2"')], [NONE, FROM_CUT], OTHER),
    "changed and longer": (
        [whole(WHOLE[:-1], CUT, **V1), whole(OTHER, ETag='"v2"')], [NONE, FROM_CUT], OTHER,
    ),
    "no bytes any more": (
        [
            whole(WHOLE, CUT, **V1),
            lambda _: Answer(b"", 416, {"Content-Length": "0"}),
            whole(OTHER),
        ],
        [NONE, FROM_CUT, NONE], OTHER,
    ),
    "changed, does not know If-Range": (
        [whole(WHOLE, CUT, **V1), rest(OTHER, ETag='"v2"'), whole(OTHER)],
        [NONE, FROM_CUT, NONE], OTHER,
    ),
    "more than told": (
        [
            whole(WHOLE, CUT, **V1),
            chunked(WHOLE + b"x", CUT, ends=True, **V1 | {"Content-Range": RANGE}),
            whole(WHOLE),
        ],
        [NONE, FROM_CUT, NONE], WHOLE,
    ),
}  # fmt: skip


async def test_what_broke_off_goes_on(idle_ingest: Ingest, broken: Breaking, replica: str):
    uploads = {
        case: await ingested(
            idle_ingest, broken.has(f"{place}.npy", *answers), url=replica, id=f"on-{place}"
        )
        for place, (case, (answers, _, _)) in enumerate(GOES_ON.items())
    }
    for place, (case, (_, asked, content)) in enumerate(GOES_ON.items()):
        ended = await idle_ingest.ended(uploads[case])
        assert (case, ended.error.slug) == (case, "unknown-format")  # it came to the conversion
        assert (case, broken.asked[f"{place}.npy"]) == (case, asked)
        [file] = ended.files
        sha256 = hashlib.sha256(content).hexdigest()
        assert (case, file.size, file.sha256) == (case, len(content), sha256)


LIES = {
    rest(WHOLE, None, f"bytes 0-{len(WHOLE) - 1}/{len(WHOLE)}", **V1): "from 100 on were asked",
    rest(WHOLE, None, f"bytes {CUT}-280/{len(WHOLE)}", **V1): "from 100 on were asked",
    rest(WHOLE, None, f"bytes {CUT}-280/281", **V1): "has 281 bytes, not 280",
    rest(WHOLE, None, f"bytes {CUT}-280/*", **V1): "of a file of 280 bytes",
    rest(WHOLE, None, "items 100-200/280", **V1): "Content-Range 'items 100-200/280'",
    rest(WHOLE): "ETag is None",
}


async def test_who_lies_about_ranges_is_named(idle_ingest: Ingest, broken: Breaking):
    """It is asked for all of the file after that, and here breaks off again."""
    cut = whole(WHOLE, CUT, **V1)
    app = idle_ingest.app(
        worker_enabled=True, fetch_private_hosts="localhost", max_attempts=4, retry_delay_s=0,
        concurrent_fetches=4,
    )  # fmt: skip
    async with served(app) as url:
        uploads = [
            await ingested(
                idle_ingest, broken.has(f"{place}", cut, lie, cut, lie), url=url, id=f"lie-{place}"
            )
            for place, lie in enumerate(LIES)
        ]
        for place, (upload, why) in enumerate(zip(uploads, LIES.values(), strict=True)):
            ended = await idle_ingest.ended(upload)
            assert ended.error.slug == "source-changed"
            assert why in ended.error.detail
            assert broken.asked[f"{place}"] == [NONE, FROM_CUT, NONE, FROM_CUT]
        await idle_ingest.emptied(f"raw/{COLLECTION}/{uploads[0].id}/", "staging/")


MIB = 1024 * 1024
LARGE = npy(np.random.default_rng(3).integers(0, 9, (17, 1024, 1024), dtype=np.uint8))


async def test_attempts_that_bring_a_part_do_not_count(
    idle_ingest: Ingest, broken: Breaking, monkeypatch
):
    note, deaths = receiving.note_finished, iter([True])

    async def note_finished(*arguments):
        """As SIGKILL at first: the store has the file, the database does not know."""
        if next(deaths, False):
            raise RuntimeError("killed")
        return await note(*arguments)

    monkeypatch.setattr(receiving, "note_finished", note_finished)
    cuts = [6 * MIB, 12 * MIB, 12 * MIB + 5]
    source = broken.has(
        "a.npy",
        whole(LARGE, cuts[0], **V1),
        *(rest(LARGE, cut, **V1) for cut in cuts[1:]),
        rest(LARGE, **V1),
    )
    app = idle_ingest.app(
        worker_enabled=True, fetch_private_hosts="localhost", max_attempts=3,
        transfer_part_bytes=5 * MIB, retry_delay_s=0,
    )  # fmt: skip
    async with served(app) as url:
        upload = await ingested(idle_ingest, source, url=url, id="parts", axes="byx")
        ended = await idle_ingest.ended(upload)
    assert (ended.state, ended.error) == (UploadState.SUCCEEDED, None)
    assert broken.asked["a.npy"] == [NONE, *((f"bytes={cut}-", '"v1"') for cut in cuts)]
    assert ended.files[0].sha256 == hashlib.sha256(LARGE).hexdigest()
    key = f"raw/{COLLECTION}/{upload.id}/a.npy"
    assert await idle_ingest.storage.get(key, token=idle_ingest.admin_token) == LARGE


async def test_attempts_that_bring_less_count(idle_ingest: Ingest, broken: Breaking, replica: str):
    cuts = (rest(WHOLE, cut, **V1) for cut in (19, 29, 39))
    source = broken.has("a.npy", whole(WHOLE, 9, **V1), *cuts)
    upload = await ingested(idle_ingest, f"{source}?key=secret", url=replica, id="drips")
    ended = await idle_ingest.ended(upload)
    assert ended.error.slug == "source-unavailable"
    assert "secret" not in ended.error.detail
    assert len(broken.asked["a.npy"]) == 3


async def test_another_goes_on_after_a_kill(idle_ingest: Ingest, broken: Breaking, monkeypatch):
    async def never(*_, **__):
        """As SIGKILL: no lease is given back."""

    told = {"Content-Length": str(len(LARGE)), **V1}
    source = broken.has(
        "a.npy", lambda _: Answer(LARGE[: 11 * MIB], 200, told, True), rest(LARGE, **V1)
    )
    app = {
        "worker_enabled": True, "fetch_private_hosts": "localhost",
        "transfer_part_bytes": 5 * MIB,
    }  # fmt: skip
    with monkeypatch.context() as killed:
        killed.setattr(fetch_queue, "put_back", never)
        killed.setattr(transfer_repository, "release", never)
        async with served(idle_ingest.app(**app)) as url:
            upload = await ingested(
                idle_ingest, source, url=url, id="killed", axes="byx", on_duplicate="share"
            )
            async with asyncio.timeout(60):
                while upload.progress < 10 * MIB / len(LARGE):
                    await asyncio.sleep(0.02)
                    upload = await idle_ingest.client.upload(
                        upload.id, token=idle_ingest.admin_token
                    )
    for table, column in (("transfers", "lease_until"), ("files", "receive_until")):
        await idle_ingest.sql(
            f"UPDATE {table} SET {column} = {column} - interval '1 hour' WHERE upload = $1",
            UUID(upload.id),
        )
    async with served(idle_ingest.app(**app)):
        ended = await idle_ingest.ended(upload)
    assert (ended.state, ended.error) == (UploadState.SUCCEEDED, None)
    assert broken.asked["a.npy"] == [NONE, (f"bytes={10 * MIB}-", '"v1"')]
    # What two processes received is hashed once it is whole.
    assert ended.files[0].sha256 == hashlib.sha256(LARGE).hexdigest()


async def test_a_fetch_whose_transfer_rested_too_long_lets_others_go_on(idle_ingest: Ingest):
    first = await ingested(idle_ingest, "http://8.8.8.8/a.npy", id="rested")
    other = await ingested(idle_ingest, "http://8.8.8.8/b.npy", id="after-it")
    async with open_pool(Settings(**idle_ingest.settings), "ingest") as pool, pool.acquire() as db:
        undone = db.transaction()
        await undone.start()  # in which no sweep sees it
        key = f"raw/{COLLECTION}/{first.id}/a.npy"
        new = NewTransfer(
            uuid4(), fetch_queue.NOBODY, TransferKind.FILE, key, None, None, UUID(first.id), "a.npy"
        )
        await transfer_repository.create(db, new, -1)
        claimed = await fetch_queue.claim(db, uuid4(), 30, 30)
        assert claimed.file.name == "b.npy"
        await transfer_repository.discard(db, new.id)  # as the sweep does
        again = await fetch_queue.claim(db, uuid4(), 30, 30)
        assert (str(again.upload.id), again.transfer.received) == (first.id, 0)
        await undone.rollback()
    for upload in (first, other):  # nothing is to be fetched there
        await idle_ingest.client.delete(upload.id, token=idle_ingest.admin_token)


async def test_time_is_counted_over_all_attempts(idle_ingest: Ingest, broken: Breaking):
    told = {"Content-Length": str(len(WHOLE))}
    source = broken.has("a.npy", lambda _: Answer(WHOLE[:CUT], 200, told, True))
    app = {
        "worker_enabled": True, "fetch_private_hosts": "localhost", "fetch_max_s": 0.2,
    }  # fmt: skip
    async with served(idle_ingest.app(**app)) as url:
        upload = await ingested(idle_ingest, source, url=url, id="slow")
        ended = await idle_ingest.ended(upload)
    assert ended.error.slug == "source-unavailable"
    assert "within 0 s (setting fetch_max_s)" in ended.error.detail
    assert len(broken.asked["a.npy"]) <= 1  # or 0.2 s were over before it came to asking


async def test_an_attempt_that_goes_on_is_checked_as_the_first(
    idle_ingest: Ingest, broken: Breaking, replica: str
):
    moved = Answer(b"", 302, {"Location": "http://127.0.0.2:1/a.npy", "Content-Length": "0"})
    source = broken.has("a.npy", whole(WHOLE, CUT, **V1), lambda _: moved)
    upload = await ingested(idle_ingest, source, url=replica, id="inwards")
    ended = await idle_ingest.ended(upload)
    assert ended.error.slug == "source-not-allowed"
    assert broken.asked["a.npy"] == [NONE, FROM_CUT]


async def test_what_has_no_room_is_refused_before_it_comes(
    idle_ingest: Ingest, broken: Breaking, replica: str
):
    catalog, token = idle_ingest.catalog, idle_ingest.admin_token
    await catalog.create_collection({"id": "narrow", "description": "of a test"}, token=token)
    await catalog.set_quota("narrow", len(WHOLE) - 1, token=token)
    told = {"Content-Length": str(len(WHOLE))}
    source = broken.has("a.npy", lambda _: Answer(b"", 200, told, True))
    client = type(idle_ingest.client)(idle_ingest.http, replica)
    wanted = IngestRequest(collection="narrow", sources=[source])
    ended = await idle_ingest.ended(await client.ingest(wanted, token=token))
    assert ended.error.slug == "quota-exceeded"
    assert len(broken.asked["a.npy"]) == 1


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '"a"', "Last-Modified": OLD["Last_Modified"], "Date": OLD["Date"]}, '"a"'),
        ({"Last-Modified": OLD["Last_Modified"], "Date": OLD["Date"]}, OLD["Last_Modified"]),
        ({"Last-Modified": OLD["Last_Modified"]}, None),
        ({"Last-Modified": OLD["Date"], "Date": OLD["Last_Modified"]}, None),
        ({"Last-Modified": "yesterday", "Date": OLD["Date"]}, None),
        ({"ETag": "a"}, None),
        ({"ETag": '"\xe4"'}, None),
        ({"ETag": 'W/"a"'}, None),
        ({}, None),
    ],
)
def test_what_a_source_is_known_by(headers, validator):
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert strong_validator(httpx.Headers(raw)) == validator
