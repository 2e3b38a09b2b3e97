"""Answers that carry a blob."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Protocol

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from hsis.contracts.blobs import Blob
from hsis_storage_proxy.conditions import http_date
from hsis_storage_proxy.digests import field_value
from hsis_storage_proxy.multipart import DEFAULT_TYPE, OpenRanges
from hsis_storage_proxy.objects import PIECE_BYTES
from hsis_storage_proxy.reading import Content

logger = logging.getLogger(__name__)


class _ReaderLeft(Exception):
    """Nobody waits for the rest."""


class _Source(Protocol):
    """Something open whose bytes are sent."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The bytes."""

    def close(self) -> None:
        """Let go of it."""


class BlobResponse(StreamingResponse):
    """Sends `length` bytes of an open blob and closes it, also when the reader goes away.

    What fits into one piece is read before anything is sent: it needs no second task that listens
    for the reader's leaving, and what S3 fails to send can still be told by a status. Only of that
    a digest is made, where it is wanted. A reader that takes nothing for `patience_s` seconds is
    left: it must not keep a connection to the object store.
    """

    def __init__(
        self,
        opened: _Source,
        length: int,
        status_code: int,
        headers: dict[str, str],
        *,
        patience_s: float,
        digest: bool,
    ) -> None:
        self._opened = opened
        self._patience_s = patience_s
        self._sending_since_s: float | None = None
        self._length = length
        self._digest = digest
        told = headers | {"Content-Length": str(length)}
        super().__init__(opened.pieces(), status_code=status_code, headers=told)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            if self._length <= PIECE_BYTES:
                content = b"".join([piece async for piece in self._opened.pieces()])
                await self._send_whole(content, send)
            else:
                await self._send_pieces(receive, send)
        finally:
            self._opened.close()

    async def _send_whole(self, content: bytes, send: Send) -> None:
        if self._digest:
            found = field_value("sha-256", hashlib.sha256(content).digest())
            self.raw_headers.append((b"content-digest", found.encode()))
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": content})

    async def _send_pieces(self, receive: Receive, send: Send) -> None:
        """Not Starlette's way: while S3 has bytes ready at every turn of the loop, anyio puts the
        cancellation off, and the better part of a blob was read for nobody."""
        time_s = asyncio.get_running_loop().time

        async def send_noted(message: Message) -> None:
            self._sending_since_s = time_s()
            await send(message)
            self._sending_since_s = None

        try:
            async with asyncio.TaskGroup() as group:
                watching = [
                    group.create_task(_leaving(receive)),
                    group.create_task(self._losing_patience(time_s)),
                ]
                await self.stream_response(send_noted)
                for task in watching:
                    task.cancel()
        except* _ReaderLeft:
            pass

    async def _losing_patience(self, time_s: Callable[[], float]) -> None:
        """A timeout for each piece would take a tenth of the time of sending a large blob."""
        while True:
            since_s = self._sending_since_s
            left_s = self._patience_s - (0 if since_s is None else time_s() - since_s)
            if left_s <= 0:
                logger.warning("a reader took nothing for %g s", self._patience_s)
                raise _ReaderLeft
            await asyncio.sleep(left_s)


async def _leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _ReaderLeft


def content_response(content: Content, *, patience_s: float, digest: bool) -> BlobResponse:
    """200 with the whole blob or 206 with its range."""
    opened, span = content.opened, content.opened.span
    headers = entity_headers(opened.blob)
    if not content.partial:
        headers |= _whole_digest(opened.blob)
        digest = digest and opened.blob.sha256 is None
        return BlobResponse(opened, span.length, 200, headers, patience_s=patience_s, digest=digest)
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{opened.blob.size}"
    return BlobResponse(opened, span.length, 206, headers, patience_s=patience_s, digest=digest)


def ranges_response(opened: OpenRanges, *, patience_s: float, digest: bool) -> BlobResponse:
    """206 with several ranges."""
    headers = entity_headers(opened.blob)
    headers["Content-Type"] = f"multipart/byteranges; boundary={opened.boundary}"
    return BlobResponse(opened, opened.length, 206, headers, patience_s=patience_s, digest=digest)


def head_response(blob: Blob) -> Response:
    """What GET would say, without the bytes."""
    headers = entity_headers(blob) | _whole_digest(blob)
    return Response(headers=headers | {"Content-Length": str(blob.size)})


def elsewhere_response(url: str) -> Response:
    """307: the bytes are to be had there, for a moment."""
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(status_code=307, headers=headers)


def not_modified_response(blob: Blob) -> Response:
    """304: the reader has it."""
    return Response(status_code=304, headers=validators(blob))


def validators(blob: Blob) -> dict[str, str]:
    """What a cache needs to know."""
    headers = {"ETag": blob.etag, "Cache-Control": "private, no-cache"}
    if blob.last_modified is not None:
        # Never later than now (RFC 9110, 8.8.2.1), as what is made for tags may be.
        headers["Last-Modified"] = http_date(min(blob.last_modified, datetime.now(UTC)))
    return headers


def entity_headers(blob: Blob) -> dict[str, str]:
    """All that is said of a blob, its length excepted."""
    digest = {"Repr-Digest": _digest(blob.sha256)} if blob.sha256 else {}
    return (
        validators(blob)
        | digest
        | {
            "Accept-Ranges": "bytes",
            "Content-Type": blob.content_type or DEFAULT_TYPE,
            # What users upload is shown on the platform's own origin: it must never run there.
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
    )


def _whole_digest(blob: Blob) -> dict[str, str]:
    """The digest of an answer that is all of the blob."""
    return {"Content-Digest": _digest(blob.sha256)} if blob.sha256 else {}


def _digest(sha256: str) -> str:
    return field_value("sha-256", bytes.fromhex(sha256))
