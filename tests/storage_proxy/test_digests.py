"""Content-Digest, Repr-Digest and Want-Content-Digest (RFC 9530)."""

import base64
import hashlib
import random
from collections.abc import AsyncIterator

import pytest
from tests.storage_proxy.conftest import PART_BYTES, Proxy

CONTENT = random.Random(9).randbytes(2 * PART_BYTES + 1000)
SMALL = CONTENT[:1000]


def told(algorithm: str, content: bytes) -> str:
    """The value of a header."""
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """A body whose length is not told."""
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("content", [b"", SMALL, CONTENT])
async def test_a_digest_is_checked_kept_and_told(proxy: Proxy, content: bytes) -> None:
    key, digest = f"raw/digests/u/{len(content)}", told("sha-256", content)
    for name, body in (("Content_Digest", content), ("Repr_Digest", pieces(content))):
        answer = await proxy.put(key, body, **{name: f"md5=:AAAA:, {digest};x=1"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
        got, head = await proxy.get(key), await proxy.http.head(f"/blobs/{key}")
        for whole in (got, head):
            assert whole.headers["Content-Digest"] == digest
            assert whole.headers["Repr-Digest"] == digest
    if content:
        part = await proxy.get(key, Range="bytes=5-9")
        assert part.headers["Repr-Digest"] == digest  # of all of it
        assert "Content-Digest" not in part.headers
    # A blob of other bytes does not keep the digest of the one before.
    await proxy.put(key, b"other")
    assert "Repr-Digest" not in (await proxy.get(key)).headers


@pytest.mark.parametrize("content", [SMALL, CONTENT])
async def test_another_digest_stores_nothing(proxy: Proxy, content: bytes) -> None:
    key = f"raw/digests/kept/{len(content)}"
    await proxy.put(key, b"before")
    files = proxy.files()
    wrong = told("sha-256", b"others")
    for field, value in (
        ("Content-Digest", wrong),
        ("Repr-Digest", told("sha-512", b"others")),
        ("Content-Digest", f"{told('sha-256', content)}, {told('sha-512', b'others')}"),
    ):
        headers = {field: value}
        answer = await proxy.http.put(f"/blobs/{key}", content=content, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:hsis:problem:digest-mismatch"
        assert answer.json()["detail"].startswith(f"{field} says")
    assert proxy.files() == files
    assert (await proxy.get(key)).content == b"before"


@pytest.mark.parametrize(
    "value", ["sha-256=abc", "sha-256=::", "sha-256=:AAAA:", "sha-512=:" + "A" * 43 + "=:"]
)
async def test_what_is_no_digest(proxy: Proxy, value: str) -> None:
    answer = await proxy.put("raw/digests/u/none", SMALL, Content_Digest=value)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:hsis:problem:invalid-input"
    assert value.split("=")[0] in answer.json()["detail"]
    assert (await proxy.get("raw/digests/u/none")).status_code == 404


async def test_a_digest_that_is_wanted(proxy: Proxy) -> None:
    key = "raw/digests/u/wanted"
    await proxy.put(key, SMALL)
    for wanted in ("sha-256=10", "sha-512=3, sha-256=1", "sha-256=2,unixsum=1"):
        for more, sent in (({}, SMALL), ({"Range": "bytes=10-19"}, SMALL[10:20])):
            answer = await proxy.get(key, Want_Content_Digest=wanted, **more)
            assert answer.headers["Content-Digest"] == told("sha-256", sent)
        several = await proxy.get(key, Want_Content_Digest=wanted, Range="bytes=0-1,5-6")
        assert several.headers["Content-Digest"] == told("sha-256", several.content)
    for wanted in ("sha-256=0", "sha-512=1", "sha-256"):
        answer = await proxy.get(key, Want_Content_Digest=wanted)
        assert "Content-Digest" not in answer.headers


async def test_a_coded_body_is_refused(proxy: Proxy) -> None:
    answer = await proxy.put("raw/digests/u/coded", SMALL, Content_Encoding="gzip")
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:hsis:problem:coded-body"
    answer = await proxy.put("raw/digests/u/coded", SMALL, Content_Encoding="identity")
    assert answer.status_code == 201
