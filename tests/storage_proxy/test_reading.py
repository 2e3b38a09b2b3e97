"""GET and HEAD: ranges are slices of the bytes, conditions as in RFC 9110."""

import asyncio
import hashlib
import random
import socket
from datetime import timedelta
from email import message_from_bytes
from email.policy import HTTP
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest
from tests.storage_proxy.conftest import Proxy

from hsis_storage_proxy.objects import OpenBlob
from hsis_storage_proxy.store import BlobStore

CONTENT = random.Random(3).randbytes(300_000)
KEY = "raw/reading/u/file.bin"
EMPTY = "raw/reading/u/empty"


@pytest.fixture(scope="module")
async def stored(proxy: Proxy) -> Proxy:
    """The blobs that the tests read."""
    assert (await proxy.put(KEY, CONTENT, Content_Type="image/x-test")).status_code == 201
    assert (await proxy.put(EMPTY, b"")).status_code == 201
    return proxy


async def test_a_whole_blob(stored: Proxy) -> None:
    answer = await stored.get(KEY)
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["ETag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "image/x-test"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Range" not in answer.headers
    assert parsedate_to_datetime(answer.headers["Last-Modified"]).tzinfo is not None


async def test_head_says_what_get_says(stored: Proxy) -> None:
    for key in (KEY, EMPTY):
        got = await stored.get(key)
        told = await stored.http.head(f"/blobs/{key}", headers={"Range": "bytes=0-3"})
        assert told.status_code == 200
        assert told.content == b""
        ignored = ("x-request-id", "date")
        assert {n: v for n, v in told.headers.items() if n not in ignored} == {
            n: v for n, v in got.headers.items() if n not in ignored
        }


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 300_000),
        ("bytes=100-4195", 100, 4196),
        ("bytes=299999-", 299_999, 300_000),
        ("bytes=299990-400000", 299_990, 300_000),
        ("bytes=5-99999999999999999999999999", 5, 300_000),
        ("bytes=-1", 299_999, 300_000),
        ("bytes=-4096", 295_904, 300_000),
        ("bytes=-999999", 0, 300_000),
    ],
)
async def test_a_range_is_a_slice(stored: Proxy, wanted: str, start: int, stop: int) -> None:
    answer = await stored.get(KEY, Range=wanted)
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/300000"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,x",
        "bytes=" + ",".join(["0-1"] * 33),
        "bytes=5-3",
        "bytes=x-",
        "lines=1-2",
        "bytes=1",
        "bytes=-",
    ],
)
async def test_malformed_and_too_many_ranges_are_ignored(stored: Proxy, wanted: str) -> None:
    answer = await stored.get(KEY, Range=wanted)
    assert answer.status_code == 200
    assert answer.content == CONTENT


def parts_of(answer: httpx.Response) -> list[tuple[str | None, str | None, bytes]]:
    """Type, Content-Range and bytes of each part, as Python's own MIME parser reads them."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    return [
        (part["Content-Type"], part["Content-Range"], part.get_payload(decode=True))
        for part in message.iter_parts()
    ]


async def test_several_ranges_are_several_parts(stored: Proxy) -> None:
    expected = [
        ("image/x-test", "bytes 299990-299999/300000", CONTENT[-10:]),
        ("image/x-test", "bytes 0-1/300000", CONTENT[:2]),
        ("image/x-test", "bytes 5000-289999/300000", CONTENT[5000:290_000]),
    ]
    wanted = "bytes=-10, 0-1, 900000-, 5000-289999"
    etag = (await stored.get(KEY)).headers["ETag"]
    for more in ({}, {"If-Range": etag}, {"If-None-Match": '"x"'}):
        answer = await stored.get(KEY, Range=wanted, **more)
        assert answer.status_code == 206
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["ETag"] == etag
        assert "Content-Range" not in answer.headers
        assert parts_of(answer) == expected
    lines = [("Range", "bytes=0-1"), ("Range", "4-5")]
    answer = await stored.http.get(f"/blobs/{KEY}", headers=lines)
    assert [content for _, _, content in parts_of(answer)] == [CONTENT[:2], CONTENT[4:6]]


async def test_several_ranges_that_are_answered_otherwise(stored: Proxy) -> None:
    answer = await stored.get(KEY, Range="bytes=900000-,4-5")  # one is left: no parts
    assert (answer.status_code, answer.content) == (206, CONTENT[4:6])
    assert answer.headers["Content-Range"] == "bytes 4-5/300000"
    for wanted in ("bytes=0-,0-", "bytes=0-200000,100000-299999"):  # more bytes than there are
        answer = await stored.get(KEY, Range=wanted)
        assert (answer.status_code, answer.content) == (200, CONTENT)
    answer = await stored.get(KEY, Range="bytes=0-1,4-5", If_Range='"other"')
    assert (answer.status_code, answer.content) == (200, CONTENT)
    answer = await stored.get(KEY, Range="bytes=300000-,400000-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */300000")


async def test_a_blob_replaced_between_two_ranges_breaks_off(
    stored: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "raw/reading/u/replaced"
    await stored.put(key, bytes(2_000_000))
    opened, replaced, opening = 0, 0, BlobStore.open

    async def replaced_before_the_second(store: BlobStore, key: str, wanted: Any = None) -> Any:
        nonlocal opened, replaced
        opened += 1
        if opened == 2:
            replaced += 1
            await store.put(key, bytes([replaced]) * 2_000_000, "a/b")
        return await opening(store, key, wanted)

    monkeypatch.setattr(BlobStore, "open", replaced_before_the_second)
    with pytest.raises(httpx.RemoteProtocolError):
        await stored.get(key, Range="bytes=0-999999,1000001-1999999")
    assert (await stored.get(key, Range="bytes=0-1")).content == b"\1\1"
    opened = 0  # what fits into one piece was not begun to be sent: its status tells
    assert (await stored.get(key, Range="bytes=0-1,3-4")).status_code == 503


@pytest.mark.parametrize(
    ("key", "wanted", "size"),
    [
        (KEY, "bytes=300000-", 300_000),
        (KEY, "bytes=300000-300001", 300_000),
        (KEY, "bytes=99999999999999999999999-", 300_000),
        (KEY, "bytes=-0", 300_000),
        (EMPTY, "bytes=0-0", 0),
        (EMPTY, "bytes=0-", 0),
    ],
)
async def test_a_range_past_the_end(stored: Proxy, key: str, wanted: str, size: int) -> None:
    answer = await stored.get(key, Range=wanted)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:hsis:problem:range-not-satisfiable"


async def test_an_empty_blob(stored: Proxy) -> None:
    for headers in ({}, {"Range": "bytes=-5"}):
        answer = await stored.get(EMPTY, **headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Length"] == "0"


async def test_a_missing_blob(stored: Proxy) -> None:
    answer = await stored.get("raw/reading/u/none")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no blob 'raw/reading/u/none'."
    assert (await stored.http.head("/blobs/raw/reading/u/none")).status_code == 404
    for name in ("Range", "If-None-Match"):
        assert (await stored.get("raw/reading/u", **{name: "bytes=-4"})).status_code in {400, 404}
    assert (await stored.get("raw/reading/u/none", Range="bytes=-4")).status_code == 404


async def test_if_none_match(stored: Proxy) -> None:
    etag = (await stored.get(KEY)).headers["ETag"]
    lines = [("If-None-Match", '"x"'), ("If-None-Match", etag)]  # one list
    assert (await stored.http.get(f"/blobs/{KEY}", headers=lines)).status_code == 304
    for tags in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        for method in ("GET", "HEAD"):
            answer = await stored.http.request(
                method, f"/blobs/{KEY}", headers={"If-None-Match": tags, "Range": "bytes=0-1"}
            )
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["ETag"] == etag
            assert "Content-Length" not in answer.headers
    answer = await stored.get(KEY, If_None_Match='"x"', Range="bytes=0-1")
    assert (answer.status_code, answer.content) == (206, CONTENT[:2])


async def test_if_match(stored: Proxy) -> None:
    etag = (await stored.get(KEY)).headers["ETag"]
    for tags in (etag, f'"x", {etag}', "*"):
        assert (await stored.get(KEY, If_Match=tags)).content == CONTENT
    for tags in ('"x"', f"W/{etag}"):
        answer = await stored.get(KEY, If_Match=tags)
        assert answer.status_code == 412
        assert answer.json()["type"] == "urn:hsis:problem:precondition-failed"
        assert (await stored.http.head(f"/blobs/{KEY}", headers={"If-Match": tags})).is_error


async def test_times(stored: Proxy) -> None:
    told = (await stored.get(KEY)).headers["Last-Modified"]
    before = format_datetime(parsedate_to_datetime(told) - timedelta(seconds=1), usegmt=True)
    assert (await stored.get(KEY, If_Modified_Since=told)).status_code == 304
    assert (await stored.get(KEY, If_Modified_Since=before)).status_code == 200
    assert (await stored.get(KEY, If_Modified_Since="yesterday")).status_code == 200
    beyond = "Fri, 31 Dec 9999 23:59:59 -2300"  # in UTC it is in no year that there is
    assert (await stored.get(KEY, If_Modified_Since=beyond)).status_code == 200
    assert (await stored.get(KEY, If_Unmodified_Since=beyond)).status_code == 200
    assert (await stored.get(KEY, If_Unmodified_Since=told)).status_code == 200
    assert (await stored.get(KEY, If_Unmodified_Since=before)).status_code == 412


async def test_if_range(stored: Proxy) -> None:
    first = await stored.get(KEY)
    etag, told = first.headers["ETag"], first.headers["Last-Modified"]
    await asyncio.sleep(1.1)
    for validator in (etag, told):
        answer = await stored.get(KEY, If_Range=validator, Range="bytes=7-9")
        assert (answer.status_code, answer.content) == (206, CONTENT[7:10])
    for validator in ('"other"', f"W/{etag}", "Mon, 01 Jan 2001 00:00:00 GMT", "nonsense"):
        answer = await stored.get(KEY, If_Range=validator, Range="bytes=7-9")
        assert (answer.status_code, answer.content) == (200, CONTENT)
    answer = await stored.get(KEY, If_Range='"other"', Range="bytes=900000-")
    assert answer.status_code == 200


async def test_unusual_names(proxy: Proxy) -> None:
    key = "raw/reading/u/Überflug 1 (a+b)&c=%41?.tif"
    path = "raw/reading/u/%C3%9Cberflug%201%20(a+b)&c=%2541%3F.tif"
    assert (await proxy.put(path, b"abc")).json()["key"] == key
    assert (await proxy.get(path, Range="bytes=1-")).content == b"bc"
    page = (await proxy.http.get("/blobs", params={"prefix": "raw/reading/u/Ü"})).json()
    assert [blob["key"] for blob in page["blobs"]] == [key]
    assert (await proxy.get("raw/reading/%2e%2e/x")).status_code == 400
    for path in ("raw/reading/u%0Ax", "raw/reading/u/x%0A", "raw/reading/u/%00"):
        assert (await proxy.get(path)).status_code == 400


async def test_what_users_upload_never_runs_on_this_origin(proxy: Proxy) -> None:
    await proxy.put("raw/reading/u/page.html", b"<script>", Content_Type="text/html")
    headers = (await proxy.get("raw/reading/u/page.html")).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_reader_that_goes_away_ends_the_reading(
    proxy: Proxy, service_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "raw/reading/u/large"
    await proxy.put(key, bytes(64 * 1024 * 1024))
    closed = asyncio.get_running_loop().create_future()
    read = 0
    close, pieces = OpenBlob.close, OpenBlob.pieces

    def noted_close(opened: OpenBlob) -> None:
        close(opened)
        if not closed.done():
            closed.set_result(opened._body)

    async def counted(opened: OpenBlob):
        nonlocal read
        async for piece in pieces(opened):
            read += len(piece)
            yield piece

    monkeypatch.setattr(OpenBlob, "close", noted_close)
    monkeypatch.setattr(OpenBlob, "pieces", counted)
    host, port = proxy.url.removeprefix("http://").split(":")
    connection = socket.socket()
    # The kernel may take half of the blob otherwise, before anybody reads.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(
        f"GET /blobs/{key} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {service_token}\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await reader.read(1000)
    writer.transport.abort()
    stream = await asyncio.wait_for(closed, 5)
    assert stream.closed
    assert read < 8 * 1024 * 1024
