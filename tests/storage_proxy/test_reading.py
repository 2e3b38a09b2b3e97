"""GET and HEAD: ranges are slices of the bytes, conditions as in RFC 9110."""

import asyncio
import random
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from tests.storage_proxy.conftest import Proxy

from hsis_storage_proxy.objects import OpenBlob

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
    changed = parsedate_to_datetime(answer.headers["Last-Modified"])
    assert answer.headers["ETag"] == f'"{int(changed.timestamp()):x}-{len(CONTENT):x}"'
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "image/x-test"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Range" not in answer.headers
    assert changed.tzinfo is not None


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


async def test_no_change_is_told_later_than_now(proxy: Proxy) -> None:
    tags = {(await proxy.put(KEY + "-often", b"abc")).headers["ETag"] for _ in range(20)}
    assert len(tags) == 20
    answer = await proxy.get(KEY + "-often")
    told = answer.headers["Last-Modified"]
    assert parsedate_to_datetime(told) <= datetime.now(UTC)
    # Until that time comes, such a reader gets the blob again.
    assert (await proxy.get(KEY + "-often", If_Modified_Since=told)).status_code == 200


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
    stream = await asyncio.wait_for(closed, 60)
    assert stream.closed
    assert read < 8 * 1024 * 1024
