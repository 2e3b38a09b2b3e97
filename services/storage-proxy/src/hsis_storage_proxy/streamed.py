"""PUT of objects and parts by presigned URLs: in the pieces they came in, parts also while they
come.

botocore wants a body that it can send twice, so a part had to be here before its first byte was
sent: the object store waited for us, and then we for it. A part that breaks off is not stored.
What is here already is joined and handed to botocore only where it has to be sent again.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any

import aiohttp
from botocore.exceptions import ClientError
from yarl import URL

from hsis.errors import DomainError

LIFETIME_S = 3600
ERROR_CHARACTERS = 16 * 1024
_CODE = re.compile(r"<Code>(\w+)</Code>")


class _Whole:
    """A body that is here: aiohttp may begin it anew, on another connection."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class StreamedWrites:
    """Sends bodies with the HTTP client of the reads. `s3` signs the URLs."""

    def __init__(self, s3: Any, http: aiohttp.ClientSession, timeout_s: float) -> None:
        self._s3 = s3
        self._http = http
        self._timeout_s = timeout_s

    async def put_object(self, params: dict[str, Any], pieces: Sequence[bytes]) -> str | None:
        """Store an object, `params` being botocore's of `put_object`; its entity tag, which may be
        empty. None where S3 did not take it: it is for botocore to try again and to tell why.
        TimeoutError where the server is silent.
        """
        headers = {"Content-Type": params["ContentType"]} | {
            f"x-amz-meta-{name}": value for name, value in params["Metadata"].items()
        }
        return await self._put_whole("put_object", params, pieces, headers)

    async def put_part(self, place: dict[str, Any], pieces: Sequence[bytes]) -> str | None:
        """The same of a part that is here, `place` being botocore's of `upload_part`."""
        headers = {"Content-Type": "application/octet-stream"}
        return await self._put_whole("upload_part", place, pieces, headers)

    async def _put_whole(
        self,
        operation: str,
        params: dict[str, Any],
        pieces: Sequence[bytes],
        headers: dict[str, str],
    ) -> str | None:
        length = sum(map(len, pieces))
        try:
            status, etag, _ = await self._put(operation, params, _Whole(pieces), length, headers)
        except aiohttp.ClientError:
            return None
        return etag or "" if status == 200 else None

    async def stream_part(
        self,
        place: dict[str, Any],
        pieces: AsyncIterator[bytes],
        length: int,
    ) -> str:
        """The entity tag of a part of `length` bytes, whose `place` is what botocore's
        `upload_part` takes. Raises what `pieces` raises, and botocore's and aiohttp's errors.
        """
        failure: DomainError | None = None

        async def body() -> AsyncIterator[bytes]:
            nonlocal failure
            try:
                async for piece in pieces:
                    yield piece
            except DomainError as error:
                failure = error
                raise

        headers = {"Content-Type": "application/octet-stream"}
        try:
            status, etag, told = await self._put("upload_part", place, body(), length, headers)
        except aiohttp.ClientError:
            if failure is not None:
                raise failure from None
            await self._require_upload(place)
            raise
        if status == 200 and etag is not None:
            return etag
        code = _CODE.search(told)
        raise ClientError(
            {
                "Error": {"Code": code[1] if code else str(status)},
                "ResponseMetadata": {"HTTPStatusCode": status},
            },
            "UploadPart",
        )

    async def _put(
        self,
        operation: str,
        params: dict[str, Any],
        body: AsyncIterable[bytes],
        length: int,
        headers: dict[str, str],
    ) -> tuple[int, str | None, str]:
        """Status, entity tag and body of the answer."""
        url = await self._s3.generate_presigned_url(operation, Params=params, ExpiresIn=LIFETIME_S)
        async with (
            asyncio.timeout(self._timeout_s),
            self._http.put(
                URL(url, encoded=True),
                data=body,
                headers=headers | {"Content-Length": str(length)},
                allow_redirects=False,
            ) as answer,
        ):
            told = (await answer.text())[:ERROR_CHARACTERS]
        return answer.status, answer.headers.get("ETag"), told

    async def _require_upload(self, place: dict[str, Any]) -> None:
        """Raise botocore's NoSuchUpload where that is why the object store took no more."""
        upload = {name: place[name] for name in ("Bucket", "Key", "UploadId")}
        await self._s3.list_parts(**upload, MaxParts=1)
