"""Answers that carry a blob."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hsis.contracts.blobs import Blob
from hsis_storage_proxy.conditions import http_date
from hsis_storage_proxy.multipart import DEFAULT_TYPE, OpenRanges
from hsis_storage_proxy.reading import Content
from hsis_storage_proxy.store import PIECE_BYTES


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
    for the reader's leaving, and what S3 fails to send can still be told by a status.
    """

    def __init__(
        self, opened: _Source, length: int, status_code: int, headers: dict[str, str]
    ) -> None:
        self._opened = opened
        self._length = length
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
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_leaving(receive))
                await self.stream_response(send)
                listening.cancel()
        except* _ReaderLeft:
            pass


async def _leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _ReaderLeft


def content_response(content: Content) -> BlobResponse:
    """200 with the whole blob or 206 with its range."""
    opened, span = content.opened, content.opened.span
    headers = entity_headers(opened.blob)
    if not content.partial:
        return BlobResponse(opened, span.length, 200, headers)
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{opened.blob.size}"
    return BlobResponse(opened, span.length, 206, headers)


def ranges_response(opened: OpenRanges) -> BlobResponse:
    """206 with several ranges."""
    headers = entity_headers(opened.blob)
    headers["Content-Type"] = f"multipart/byteranges; boundary={opened.boundary}"
    return BlobResponse(opened, opened.length, 206, headers)


def head_response(blob: Blob) -> Response:
    """What GET would say, without the bytes."""
    return Response(headers=entity_headers(blob) | {"Content-Length": str(blob.size)})


def not_modified_response(blob: Blob) -> Response:
    """304: the reader has it."""
    return Response(status_code=304, headers=validators(blob))


def validators(blob: Blob) -> dict[str, str]:
    """What a cache needs to know."""
    headers = {"ETag": blob.etag, "Cache-Control": "private, no-cache"}
    if blob.last_modified is not None:
        headers["Last-Modified"] = http_date(blob.last_modified)
    return headers


def entity_headers(blob: Blob) -> dict[str, str]:
    """All that is said of a blob, its length excepted."""
    return validators(blob) | {
        "Accept-Ranges": "bytes",
        "Content-Type": blob.content_type or DEFAULT_TYPE,
        # What users upload is shown on the platform's own origin: it must never run there.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
