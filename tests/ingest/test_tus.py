"""Resumable uploads, as the text of tus 1.0.0 has them."""

import asyncio
import base64
import hashlib
import zlib
from email.utils import parsedate_to_datetime

import pytest

from hsis.clients.storage import StorageClient
from hsis.contracts.uploads import UploadState
from tests.ingest.conftest import Ingest
from tests.ingest.tus_client import (
    COLLECTION,
    MIB,
    OCTETS,
    Tus,
    bytes_of,
    encoded,
    stored,
    upload_of,
)
from tests.support.servers import served


@pytest.fixture
def tus(idle_ingest: Ingest) -> Tus:
    return Tus(idle_ingest.http, idle_ingest.url, idle_ingest.admin_token)


async def test_what_is_spoken(tus: Tus):
    answer = await tus.http.options(f"{tus.url}/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "checksum", "expiration",
        "termination", "concatenation",
    }  # fmt: skip
    assert int(answer.headers["Tus-Max-Size"]) == 64 * 1024 * MIB
    assert set(answer.headers["Tus-Checksum-Algorithm"].split(",")) == {
        "sha1", "sha256", "md5", "crc32",
    }  # fmt: skip


async def test_a_file_in_three_requests(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(20 * MIB)
    metadata = {"collection": COLLECTION, "filename": "three.npy", "note": "kept"}
    made = await tus.create(len(content), metadata=metadata)
    url = made.headers["Location"]
    assert url.startswith(f"{tus.url}/uploads/files/")
    assert made.headers["Upload-Offset"] == "0"
    first = parsedate_to_datetime(made.headers["Upload-Expires"])
    at = 0
    for size in (9 * MIB + 5, 3, 11 * MIB - 8):
        sent = await tus.send(url, at, content[at : at + size])
        assert sent.status_code == 204
        at += size
        assert sent.headers["Upload-Offset"] == str(at)
        if at < len(content):
            assert parsedate_to_datetime(sent.headers["Upload-Expires"]) >= first
        told = await tus.ask("HEAD", url)
        assert (told.status_code, told.headers["Upload-Offset"]) == (200, str(at))
        assert told.headers["Upload-Length"] == str(len(content))
        assert told.headers["Upload-Metadata"] == encoded(**metadata)
        assert told.headers["Cache-Control"] == "no-store"
        assert told.headers["Tus-Resumable"] == "1.0.0"
        assert "Upload-Defer-Length" not in told.headers
    assert at == len(content)
    assert await stored(idle_ingest, "three.npy") == content
    upload = await upload_of(idle_ingest, "three.npy")
    assert upload.state is UploadState.QUEUED
    # One process received all of it.
    assert upload.files[0].sha256 == hashlib.sha256(content).hexdigest()
    again = await tus.send(url, len(content), b"")
    assert (again.status_code, again.headers["Upload-Offset"]) == (204, str(len(content)))


async def test_parts_on_their_way_together_count_in_their_order(
    idle_ingest: Ingest, tus: Tus, monkeypatch: pytest.MonkeyPatch
):
    content = bytes_of(30 * MIB, 21)
    put_part, second, answered = StorageClient.put_part, asyncio.Event(), []

    async def first_is_answered_last(self, key, upload, number, pieces):
        etag = await put_part(self, key, upload, number, pieces)
        if number == 1:  # never, where the second waited for it
            async with asyncio.timeout(60):
                await second.wait()
        answered.append(number)
        if number == 2:
            second.set()
        return etag

    monkeypatch.setattr(StorageClient, "put_part", first_is_answered_last)
    url = await tus.created(len(content), "together.npy")
    assert (await tus.send(url, 0, content)).status_code == 204
    assert answered == [2, 1, 3, 4]
    assert await stored(idle_ingest, "together.npy") == content
    upload = await upload_of(idle_ingest, "together.npy")
    assert upload.files[0].sha256 == hashlib.sha256(content).hexdigest()


async def test_what_is_refused(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(100, "refused.npy")
    stranger = Tus(tus.http, tus.url, idle_ingest.make_token())
    anonymous = Tus(tus.http, tus.url, None)
    metadata = {"collection": COLLECTION, "filename": "a"}
    bad = base64.b64encode(b"0" * 20).decode()
    answers = {
        "version": (await tus.send(url, 0, b"x", Tus_Resumable="0.2.2"), 412),
        "version of creation": (await tus.create(1, Tus_Resumable="2.0.0"), 412),
        "type": (await tus.send(url, 0, b"x", Content_Type="text/plain"), 415),
        "offset": (await tus.send(url, 5, b"x"), 409),
        "no offset": (await tus.send(url, "", b"x"), 400),
        "past the length": (await tus.send(url, 0, b"x" * 101), 413),
        "algorithm": (await tus.send(url, 0, b"x", Upload_Checksum=f"sha512 {bad}"), 400),
        "checksum form": (await tus.send(url, 0, b"x", Upload_Checksum="sha1 !"), 400),
        "checksum": (await tus.send(url, 0, b"x", Upload_Checksum=f"sha1 {bad}"), 460),
        "other length": (await tus.send(url, 0, b"x", Upload_Length=99), 400),
        "too large": (await tus.create(65 * 1024 * MIB, metadata=metadata), 413),
        "no length": (await tus.create(None, metadata=metadata), 400),
        "negative": (await tus.create(-1, metadata=metadata), 400),
        "defer": (await tus.create(None, metadata=metadata, Upload_Defer_Length="2"), 400),
        "no collection": (await tus.create(1, metadata={"filename": "a"}), 400),
        "no filename": (await tus.create(1, metadata={"collection": COLLECTION}), 400),
        "bad filename": (await tus.create(1, metadata=metadata | {"filename": "a/b"}), 400),
        "bad axes": (await tus.create(1, metadata=metadata | {"axes": "zzz"}), 400),
        "bad rows": (await tus.create(1, metadata=metadata | {"rows": "x", "columns": "2"}), 400),
        "no base64": (await tus.create(1, Upload_Metadata="filename !!"), 400),
        "twice": (await tus.create(1, Upload_Metadata="a,a"), 400),
        "concat": (await tus.create(1, Upload_Concat="else"), 400),
        "no url": (await tus.create(None, Upload_Concat="final;http://[", metadata=metadata), 400),
        "no parts": (await tus.create(None, Upload_Concat="final;", metadata=metadata), 400),
        "unknown": (await tus.ask("HEAD", f"{tus.url}/uploads/files/none"), 404),
        "another's": (await stranger.ask("HEAD", url), 404),
        "another's bytes": (await stranger.send(url, 0, b"x"), 404),
        "another's end": (await stranger.ask("DELETE", url), 404),
        "anonymous": (await anonymous.send(url, 0, b"x"), 401),
        "anonymous creation": (await anonymous.create(1, metadata=metadata), 401),
        "method": (await tus.ask("POST", url), 405),
    }
    assert {name: answer.status_code for name, (answer, _) in answers.items()} == {
        name: status for name, (_, status) in answers.items()
    }
    for name, (answer, _) in answers.items():
        assert answer.headers["Tus-Resumable"] == "1.0.0", name
        if answer.request.method != "HEAD":
            assert answer.headers["Content-Type"] == "application/problem+json", name
        assert ("Tus-Version" in answer.headers) == (answer.status_code == 412), name
    assert await tus.offset(url) == 0


async def test_a_method_in_a_header(tus: Tus):
    url = await tus.created(3, "override.npy")
    sent = await tus.ask(
        "POST", url, b"ab", X_HTTP_Method_Override="PATCH", Content_Type=OCTETS, Upload_Offset=0
    )
    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, "2")
    gone = await tus.ask("POST", url, X_HTTP_Method_Override="DELETE")
    assert gone.status_code == 204
    assert (await tus.ask("HEAD", url)).status_code == 404


async def test_creation_with_upload_and_deferred_length(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(9 * MIB, 1)
    made = await tus.create(
        None,
        content[:1000],
        metadata={"collection": COLLECTION, "filename": "deferred.npy"},
        Upload_Defer_Length=1,
        Content_Type=OCTETS,
    )
    assert (made.status_code, made.headers["Upload-Offset"]) == (201, "1000")
    url = made.headers["Location"]
    told = await tus.ask("HEAD", url)
    assert told.headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in told.headers
    assert (await tus.send(url, 1000, content[1000:])).status_code == 204
    less = await tus.send(url, len(content), b"", Upload_Length=len(content) - 1)
    assert less.status_code == 400
    done = await tus.send(url, len(content), b"", Upload_Length=len(content))
    assert (done.status_code, done.headers["Upload-Offset"]) == (204, str(len(content)))
    assert await stored(idle_ingest, "deferred.npy") == content


async def test_an_empty_file_is_complete_at_once(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(0, "empty.npy")
    assert await tus.offset(url) == 0
    assert await stored(idle_ingest, "empty.npy") == b""


@pytest.mark.parametrize("size", [1000, 9 * MIB])
async def test_checksums(idle_ingest: Ingest, tus: Tus, size: int):
    name = f"checked-{size}.npy"
    content = bytes_of(2 * size, 2)
    halves = content[:size], content[size:]
    url = await tus.created(2 * size, name)
    digests = {
        "sha1": hashlib.sha1(halves[0]).digest(),
        "sha256": hashlib.sha256(halves[1]).digest(),
    }
    for at, (algorithm, digest) in enumerate(digests.items()):
        told = f"{algorithm} {base64.b64encode(digest).decode()}"
        refused = await tus.send(url, at * size, halves[1 - at], Upload_Checksum=told)
        assert refused.status_code == 460
        assert await tus.offset(url) == at * size
        sent = await tus.send(url, at * size, halves[at], Upload_Checksum=told)
        assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str((at + 1) * size))
    assert await stored(idle_ingest, name) == content


async def test_the_other_checksums(tus: Tus):
    url = await tus.created(100, "more-checksums.npy")
    digests = {
        "md5": hashlib.md5(b"hello world").digest(),
        "crc32": zlib.crc32(b"hello world").to_bytes(4, "big"),
    }
    assert digests["crc32"].hex() == "0d4a1185"  # as published for this text
    for at, (algorithm, digest) in enumerate(digests.items()):
        told = f"{algorithm} {base64.b64encode(digest).decode()}"
        for text, status in ((b"hello worlD", 460), (b"hello world", 204)):
            sent = await tus.send(url, 11 * at, text, Upload_Checksum=told)
            assert sent.status_code == status
    assert await tus.offset(url) == 22


async def test_concatenation(idle_ingest: Ingest, tus: Tus):
    content = bytes_of(10 * MIB, 3)
    urls = []
    for start, end in ((0, 9 * MIB), (9 * MIB, 10 * MIB)):
        made = await tus.create(end - start, Upload_Concat="partial")
        assert made.status_code == 201
        urls.append(made.headers["Location"])
    assert (await tus.send(urls[0], 0, content[: 9 * MIB])).status_code == 204
    metadata = {"collection": COLLECTION, "filename": "whole.npy"}
    final = "final;" + " ".join(urls)
    early = await tus.create(None, metadata=metadata, Upload_Concat=final)
    assert early.status_code == 400
    assert "not complete" in early.json()["detail"]
    told = await tus.ask("HEAD", urls[1])
    assert (told.headers["Upload-Concat"], told.headers["Upload-Offset"]) == ("partial", "0")
    assert (await tus.send(urls[1], 0, content[9 * MIB :])).status_code == 204
    stranger = Tus(tus.http, tus.url, idle_ingest.make_token())
    assert (await stranger.create(None, metadata=metadata, Upload_Concat=final)).status_code == 404
    relative = "final;" + " ".join(url.removeprefix(tus.url) for url in urls)
    made = await tus.create(None, metadata=metadata, Upload_Concat=relative)
    assert made.status_code == 201, made.text
    url = made.headers["Location"]
    told = await tus.ask("HEAD", url)
    assert told.headers["Upload-Concat"] == relative
    assert told.headers["Upload-Offset"] == told.headers["Upload-Length"] == str(len(content))
    assert (await tus.send(url, len(content), b"x")).status_code == 403
    assert [(await tus.ask("HEAD", part)).status_code for part in urls] == [404, 404]
    assert await stored(idle_ingest, "whole.npy") == content


async def test_termination(idle_ingest: Ingest, tus: Tus):
    url = await tus.created(9 * MIB + 1, "ended.npy")
    await tus.send(url, 0, bytes_of(9 * MIB))
    transfer = url.rsplit("/", 1)[1]
    upload = await upload_of(idle_ingest, "ended.npy")
    assert len(await idle_ingest.keys(f"staging/transfers/{transfer}/")) == 1
    ended = await tus.ask("DELETE", url)
    assert (ended.status_code, ended.content) == (204, b"")
    assert (await tus.ask("HEAD", url)).status_code == 404
    assert (await tus.send(url, 9 * MIB, b"x")).status_code == 404
    async with served(idle_ingest.app(worker_enabled=True)):
        await idle_ingest.emptied(
            f"staging/transfers/{transfer}/", f"raw/{COLLECTION}/{upload.id}/"
        )
    # The item's id is free again.
    await tus.created(1, "ended.npy")
