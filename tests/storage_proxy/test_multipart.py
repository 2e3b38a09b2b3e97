"""Several ranges of one request (RFC 9110, sections 14.2 and 14.6)."""

import random
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import httpx
import pytest
from tests.storage_proxy.conftest import Proxy

from hsis_storage_proxy.store import BlobStore

CONTENT = random.Random(4).randbytes(300_000)
KEY = "raw/several/u/file.bin"


@pytest.fixture(scope="module")
async def stored(proxy: Proxy) -> Proxy:
    """The blob that the tests read."""
    assert (await proxy.put(KEY, CONTENT, Content_Type="image/x-test")).status_code == 201
    return proxy


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
    key = "raw/several/u/replaced"
    await stored.put(key, bytes(2_000_000))
    opened, replaced, opening = 0, 0, BlobStore.open

    async def replaced_before_the_second(store: BlobStore, key: str, wanted: Any = None) -> Any:
        nonlocal opened, replaced
        opened += 1
        if opened == 2:
            replaced += 1
            await store.put(key, [bytes([replaced]) * 2_000_000], "a/b")
        return await opening(store, key, wanted)

    monkeypatch.setattr(BlobStore, "open", replaced_before_the_second)
    with pytest.raises(httpx.RemoteProtocolError):
        await stored.get(key, Range="bytes=0-999999,1000001-1999999")
    assert (await stored.get(key, Range="bytes=0-1")).content == b"\1\1"
    opened = 0  # what fits into one piece was not begun to be sent: its status tells
    assert (await stored.get(key, Range="bytes=0-1,3-4")).status_code == 503
