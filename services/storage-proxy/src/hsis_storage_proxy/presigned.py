"""GET and HEAD of objects by presigned URLs: what a read costs without botocore's share of it.

Building, signing and parsing one request takes botocore about as long as the object store takes to
answer it. A presigned URL is signed once and then good for every range of the object.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from ssl import SSLContext, create_default_context
from typing import Any

import aiohttp
from botocore.httpsession import get_cert_path
from cachetools import TTLCache
from yarl import URL

from hsis.errors import NotFound
from hsis_storage_proxy.settings import Settings

LIFETIME_S = 3600
REUSED_FOR_S = LIFETIME_S // 2
MAX_URLS = 10_000
BUFFER_BYTES = 256 * 1024
KEEP_ALIVE_S = 30.0
SHA256 = "sha256"
MTIME = "mtime"
"""What is kept with an object beside its type: S3's metadata of these names."""
ERROR_BYTES = 16 * 1024
_NO_SUCH_KEY = b"<Code>NoSuchKey</Code>"


class _Body:
    """The rest of an answer, as botocore gives it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def read(self, _: int) -> bytes:
        """The next bytes, as they came: 256 KiB at most. None at the end."""
        piece, more = b"", True
        while more and not piece:
            piece, more = await self._answer.content.readchunk()
        return piece

    def close(self) -> None:
        """Give the connection back, or drop it where bytes are still to come."""
        self._answer.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed or read to its end."""
        return self._answer.closed


class PresignedReads:
    """Asks an S3 server for objects with one pooled HTTP client. `s3` signs the URLs."""

    def __init__(self, s3: Any, http: aiohttp.ClientSession) -> None:
        self._s3 = s3
        self._http = http
        # By the clock that the server compares with: it goes on while this machine sleeps.
        self._urls: TTLCache[tuple[str, str, str], URL] = TTLCache(
            MAX_URLS, REUSED_FOR_S, time.time
        )

    async def get(self, bucket: str, key: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """What botocore's `get_object` would answer, where S3 has the bytes and sends them.

        None for any other answer and for a broken connection: it is for botocore then to ask
        again, and to tell what is wrong. NotFound where S3 says so; TimeoutError where the server
        is silent.
        """
        answer = await self._asked("get_object", bucket, key, headers)
        if answer is None:
            return None
        if answer.status in {200, 206} and _tells_all(answer):
            return _told(answer) | {
                "ContentRange": answer.headers.get("Content-Range"),
                "Body": _Body(answer),
            }
        self._urls.pop(("get_object", bucket, key), None)
        try:
            if answer.status == 404 and _NO_SUCH_KEY in await _beginning(answer):
                raise NotFound(f"There is no blob {key!r}.")
        finally:
            answer.close()
        return None

    async def head(self, bucket: str, key: str) -> dict[str, Any] | None:
        """What botocore's `head_object` would answer; else None, NotFound, TimeoutError as `get`
        has them."""
        answer = await self._asked("head_object", bucket, key, {})
        if answer is None:
            return None
        answer.close()
        if answer.status == 200 and _tells_all(answer):
            return _told(answer)
        self._urls.pop(("head_object", bucket, key), None)
        if answer.status == 404:
            raise NotFound(f"There is no blob {key!r}.")
        return None

    async def _asked(
        self, operation: str, bucket: str, key: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse | None:
        url = self._urls.get((operation, bucket, key))
        if url is None:
            signed = await self._s3.generate_presigned_url(
                operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=LIFETIME_S
            )
            url = self._urls[operation, bucket, key] = URL(signed, encoded=True)
        method = "HEAD" if operation == "head_object" else "GET"
        try:
            return await self._http.request(method, url, headers=headers, allow_redirects=False)
        except TimeoutError:
            raise
        except aiohttp.ClientError:
            return None


def _tells_all(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_length is not None and "ETag" in answer.headers


def _told(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    return {
        "ETag": answer.headers["ETag"],
        "LastModified": _time(answer.headers.get("Last-Modified")),
        "ContentType": answer.headers.get("Content-Type"),
        "ContentLength": answer.content_length,
        "Metadata": {name: answer.headers.get(f"x-amz-meta-{name}") for name in (SHA256, MTIME)},
    }


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """As much of an answer as an error takes; what came where the connection breaks."""
    content = b""
    try:
        while len(content) < ERROR_BYTES:
            piece = await answer.content.read(ERROR_BYTES - len(content))
            if not piece:
                break
            content += piece
    except aiohttp.ClientError:
        return content
    return content


@lru_cache(MAX_URLS)
def _time(header: str | None) -> datetime | None:
    return parsedate_to_datetime(header) if header else None


@cache
def _trusted() -> SSLContext:
    """What botocore trusts; read once, which takes 50 ms."""
    tls = create_default_context()
    tls.load_verify_locations(get_cert_path(True))
    return tls


@asynccontextmanager
async def open_connections(
    settings: Settings, connect_timeout_s: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """Pooled connections to an S3 server, for presigned URLs."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=settings.s3_connections, ssl=_trusted(), keepalive_timeout=KEEP_ALIVE_S
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_s, sock_read=settings.s3_timeout_s
        ),
        headers={"Accept-Encoding": "identity"},
        read_bufsize=BUFFER_BYTES,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as http:
        yield http
