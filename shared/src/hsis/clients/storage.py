"""Client of storage-proxy."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from urllib.parse import quote

import httpx

from hsis.clients.base import RETRY_DELAYS_S, RETRY_STATUSES, BaseClient, problem_of
from hsis.contracts.blobs import Blob, BlobPage, Part, PartsUpload
from hsis.errors import DomainError
from hsis.runs import Runs

CHUNK_BYTES = 256 * 1024
SENT_BYTES = 512 * 1024
"""Pieces of a body are joined to so many: less would cost the loop, more the memory."""


class StorageClient(BaseClient):
    """Reads and writes blobs by key. With a service's HTTP client it acts as that service."""

    @property
    def base_url(self) -> str:
        """Where the service is, without a trailing slash."""
        return self._base_url

    async def head(self, key: str, *, token: str | None = None) -> Blob:
        """Size, entity tag and type of a blob; NotFound when there is none."""
        response = await self._request("HEAD", _path(key), token=token)
        return _blob(key, response)

    async def get(self, key: str, *, token: str | None = None) -> bytes:
        """A whole blob in memory: for small ones."""
        return (await self._request("GET", _path(key), token=token)).content

    async def get_range(
        self, key: str, start: int, length: int, *, token: str | None = None
    ) -> bytes:
        """`length` bytes from offset `start` (fewer where the blob ends before)."""
        if length <= 0:
            return b""
        response = await self._request(
            "GET",
            _path(key),
            token=token,
            headers={"Range": f"bytes={start}-{start + length - 1}"},
        )
        if response.status_code == 200:  # a server that does not do ranges sent all of it
            return response.content[start : start + length]
        return response.content

    async def get_range_into(
        self, key: str, start: int, runs: Runs, *, token: str | None = None
    ) -> int:
        """The bytes from offset `start` that are to come into `runs`, put there as they come; how
        many came (fewer where the blob ends before)."""
        if not runs.length:
            return 0
        headers = {"Range": f"bytes={start}-{start + runs.length - 1}"}
        for delay_s in (*RETRY_DELAYS_S, None):
            try:
                async with self._stream("GET", _path(key), token=token, headers=headers) as answer:
                    # A server that does not do ranges sends all of it.
                    return await _fill(runs, answer, 0 if answer.status_code == 206 else start)
            except DomainError as error:
                problem = problem_of(error)
                passes = problem is None or problem.status in RETRY_STATUSES
                if delay_s is None or not passes:
                    raise
            await asyncio.sleep(delay_s)
        raise AssertionError("the last round returns or raises")

    async def stream(
        self, key: str, *, start: int = 0, token: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The blob's bytes from offset `start`, which must lie in it, in pieces."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._stream("GET", _path(key), token=token, headers=headers) as response:
            async for piece in response.aiter_bytes(CHUNK_BYTES):
                yield piece

    async def put(
        self,
        key: str,
        content: bytes | list[bytes] | AsyncIterator[bytes],
        *,
        content_type: str = "application/octet-stream",
        token: str | None = None,
    ) -> Blob:
        """Store a blob, replacing any before. A list has its bytes in pieces. An iterator is
        streamed and not retried."""
        headers = {"Content-Type": content_type}
        if isinstance(content, list):
            headers["Content-Length"] = str(sum(map(len, content)))
        response = await self._request(
            "PUT",
            _path(key),
            token=token,
            content=_Joined(content) if isinstance(content, list) else content,
            headers=headers,
        )
        return Blob.model_validate_json(response.content)

    async def delete(self, key: str, *, token: str | None = None) -> None:
        """Remove a blob; no error when there is none."""
        await self._request("DELETE", _path(key), token=token)

    async def list(self, prefix: str, *, token: str | None = None) -> AsyncIterator[Blob]:
        """Every blob whose key begins with `prefix`, in the order of the keys."""
        async for page in self._pages({"prefix": prefix}, token):
            for blob in page.blobs:
                yield blob

    async def folders(self, prefix: str, *, token: str | None = None) -> AsyncIterator[str]:
        """The prefixes right under one that ends in `/`, each ending in `/`, in their order."""
        async for page in self._pages({"prefix": prefix, "delimiter": "/"}, token):
            for folder in page.prefixes:
                yield folder

    async def _pages(self, query: dict[str, str], token: str | None) -> AsyncIterator[BlobPage]:
        after: dict[str, str] = {}
        while True:
            response = await self._request("GET", "/blobs", params=query | after, token=token)
            page = BlobPage.model_validate_json(response.content)
            yield page
            if page.next is None:
                return
            after = {"after": page.next}

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every blob under a prefix ending in `/`; the number removed. For services."""
        response = await self._request("DELETE", "/blobs", params={"prefix": prefix})
        return int(response.json()["deleted"])

    async def begin_parts(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """Begin a blob that is made of parts; the id of that upload. For services."""
        response = await self._request(
            "POST", _path(key) + "?uploads", headers={"Content-Type": content_type}
        )
        return PartsUpload.model_validate_json(response.content).upload

    async def put_part(self, key: str, upload: str, number: int, content: Sequence[bytes]) -> str:
        """Store part `number`, from 1, in ascending order; its entity tag. `content` is in pieces.

        NotFound where the upload is gone, Conflict where other bytes have that number already.
        """
        response = await self._request(
            "PUT",
            _path(key),
            params={"upload": upload, "part": number},
            content=_Joined(content),
            headers={"Content-Length": str(sum(map(len, content)))},
        )
        return Part.model_validate_json(response.content).etag

    async def complete_parts(self, key: str, upload: str, etags: Sequence[str]) -> Blob:
        """Make the blob of all its parts. NotFound where the upload is gone, or complete already;
        Conflict where its parts are others."""
        response = await self._request(
            "POST", _path(key), params={"upload": upload}, json={"etags": [*etags]}
        )
        return Blob.model_validate_json(response.content)

    async def abort_parts(self, key: str, upload: str | None = None) -> None:
        """Give an upload in parts up, or every one of the key; no error where there is none."""
        query = "?uploads" if upload is None else "?upload=" + quote(upload, safe="")
        await self._request("DELETE", _path(key) + query)


class _Joined:
    """A body of pieces, sent as fewer and longer ones. It can be sent again."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        waiting: list[bytes] = []
        size = 0
        for piece in self._pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= SENT_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)


async def _fill(runs: Runs, answer: httpx.Response, skip: int) -> int:
    """Put the body, without its first `skip` bytes, into `runs`; how many bytes of it belong
    there."""
    position = -skip
    async for piece in answer.aiter_raw():
        runs.put(max(0, position), piece if position >= 0 else piece[-position:])
        position += len(piece)
    return max(0, min(position, runs.length))


def _path(key: str) -> str:
    return "/blobs/" + quote(key, safe="/")


def _blob(key: str, response: httpx.Response) -> Blob:
    return Blob(
        key=key,
        size=int(response.headers["Content-Length"]),
        etag=response.headers["ETag"],
        content_type=response.headers.get("Content-Type"),
    )
