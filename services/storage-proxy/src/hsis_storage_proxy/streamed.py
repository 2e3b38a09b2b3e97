"""PUT of parts that go on to the object store while they come, by presigned URLs.

botocore wants a body that it can send twice, so a part had to be here before its first byte was
sent: the object store waited for us, and then we for it. A part that breaks off is not stored.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from botocore.exceptions import ClientError
from yarl import URL

from hsis.errors import DomainError

LIFETIME_S = 3600
ERROR_CHARACTERS = 16 * 1024
_CODE = re.compile(r"<Code>(\w+)</Code>")


class StreamedParts:
    """Sends parts with the HTTP client of the reads. `s3` signs the URLs."""

    def __init__(self, s3: Any, http: aiohttp.ClientSession, timeout_s: float) -> None:
        self._s3 = s3
        self._http = http
        self._timeout_s = timeout_s

    async def put(
        self,
        place: dict[str, Any],
        pieces: AsyncIterator[bytes],
        length: int,
    ) -> str:
        """The entity tag of a part of `length` bytes, whose `place` is what botocore's
        `upload_part` takes. Raises what `pieces` raises, and botocore's and aiohttp's errors.
        """
        url = await self._s3.generate_presigned_url(
            "upload_part", Params=place, ExpiresIn=LIFETIME_S
        )
        failure: DomainError | None = None

        async def body() -> AsyncIterator[bytes]:
            nonlocal failure
            try:
                async for piece in pieces:
                    yield piece
            except DomainError as error:
                failure = error
                raise

        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.put(
                    URL(url, encoded=True),
                    data=body(),
                    headers={
                        "Content-Length": str(length),
                        "Content-Type": "application/octet-stream",
                    },
                    allow_redirects=False,
                ) as answer,
            ):
                told = (await answer.text())[:ERROR_CHARACTERS]
        except aiohttp.ClientError:
            if failure is not None:
                raise failure from None
            await self._require_upload(place)
            raise
        if answer.status == 200 and "ETag" in answer.headers:
            return answer.headers["ETag"]
        code = _CODE.search(told)
        raise ClientError(
            {
                "Error": {"Code": code[1] if code else str(answer.status)},
                "ResponseMetadata": {"HTTPStatusCode": answer.status},
            },
            "UploadPart",
        )

    async def _require_upload(self, place: dict[str, Any]) -> None:
        """Raise botocore's NoSuchUpload where that is why the object store took no more."""
        upload = {name: place[name] for name in ("Bucket", "Key", "UploadId")}
        await self._s3.list_parts(**upload, MaxParts=1)
