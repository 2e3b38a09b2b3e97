"""Client of ingest: uploads and their conversion."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from hsis.clients.base import OUTAGE_S, BaseClient, patiently
from hsis.contracts.labels import LabelMap, LabelRequest
from hsis.contracts.metadata import CubeMetadata, ItemMetadata
from hsis.contracts.scrub import SCRUB_LINE, ScrubLine, ScrubRequest
from hsis.contracts.sweep import SWEEP_LINE, RemovalAnswer, SweepLine
from hsis.contracts.trash import RestoreRequest
from hsis.contracts.uploads import IngestRequest, OriginalItem, Upload, UploadRequest
from hsis.errors import Unavailable

POLL_S = 0.5
TUS = {"Tus-Resumable": "1.0.0"}
ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S = 120.0, 10.0
"""Of sending bytes: the longest time in which none is taken, or the last ones are not answered."""


class IngestClient(BaseClient):
    """Sends files and follows their conversion."""

    async def create(
        self, request: UploadRequest, *, key: str | None = None, token: str | None = None
    ) -> Upload:
        """Announce an upload. Conflict when the item exists or another upload is making it.

        With a `key`, a UUID of the caller's own, the same announcement again answers the upload
        that was made the first time: it can be repeated where the answer was lost.
        """
        response = await self._request(
            "POST",
            "/uploads",
            json=request.model_dump(mode="json"),
            token=token,
            headers={} if key is None else {"Idempotency-Key": key},
            repeatable=key is not None,
        )
        return Upload.model_validate_json(response.content)

    async def ingest(
        self, request: IngestRequest, *, key: str | None = None, token: str | None = None
    ) -> Upload:
        """Have ingest fetch files by itself, from URLs or the store; then as `create`."""
        response = await self._request(
            "POST",
            "/ingest",
            json=request.model_dump(mode="json", exclude_none=True),
            token=token,
            headers={} if key is None else {"Idempotency-Key": key},
            repeatable=key is not None,
        )
        return Upload.model_validate_json(response.content)

    async def originals(self, sha256: str, *, token: str | None = None) -> list[OriginalItem]:
        """The items that have an original file with this SHA-256, in hexadecimal."""
        response = await self._request(
            "GET", "/ingest/originals", params={"sha256": sha256}, token=token
        )
        return [OriginalItem.model_validate(item) for item in response.json()["items"]]

    async def put_file(
        self,
        upload: str,
        name: str,
        content: AsyncIterator[bytes] | bytes,
        *,
        token: str | None = None,
    ) -> Upload:
        """Send one of the announced files. The last one in starts the conversion."""
        response = await self._request(
            "PUT",
            f"/uploads/{upload}/{quote(name, safe='')}",
            content=content,
            token=token,
            headers={"Content-Type": "application/octet-stream"},
            timeout=None,
        )
        return Upload.model_validate_json(response.content)

    async def create_transfer(
        self, upload: str, name: str, length: int, *, token: str | None = None
    ) -> str:
        """Begin a resumable transfer (tus 1.0) of an announced file of `length` bytes; its path.

        An unfinished one of the same file gives way to it.
        """
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}"
            for key, value in (("upload", upload), ("filename", name))
        )
        response = await self._request(
            "POST",
            "/uploads",
            token=token,
            headers=TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata},
        )
        return urlsplit(response.headers["Location"]).path

    async def transfer_offset(self, transfer: str, *, token: str | None = None) -> int:
        """How many of a transfer's bytes are stored; NotFound where it is over or expired."""
        response = await self._request("HEAD", transfer, token=token, headers=TUS)
        return int(response.headers["Upload-Offset"])

    async def send_bytes(
        self,
        transfer: str,
        offset: int,
        content: AsyncIterator[bytes] | bytes,
        *,
        size: int | None = None,
        token: str | None = None,
    ) -> int:
        """Send a transfer's bytes from `offset` on; the offset after them. Never tried again here:
        what came before an error counts, as `transfer_offset` tells.

        `size` is their number where it is known. Without it they travel in chunks, which cost the
        server more.
        """
        told = {} if size is None else {"Content-Length": str(size)}
        response = await self._request(
            "PATCH",
            transfer,
            token=token,
            content=content,
            headers=TUS
            | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
            | told,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )
        return int(response.headers["Upload-Offset"])

    async def upload(self, upload: str, *, token: str | None = None) -> Upload:
        """Where an upload stands."""
        response = await self._request("GET", f"/uploads/{upload}", token=token)
        return Upload.model_validate_json(response.content)

    async def uploads(
        self, collection: str, *, limit: int = 100, token: str | None = None
    ) -> list[Upload]:
        """A collection's uploads, the newest first."""
        response = await self._request(
            "GET", "/uploads", params={"collection": collection, "limit": limit}, token=token
        )
        return [Upload.model_validate(upload) for upload in response.json()["uploads"]]

    async def retry(
        self,
        upload: str,
        metadata: CubeMetadata | None = None,
        *,
        white_reflectance: float | str | None = None,
        token: str | None = None,
    ) -> Upload:
        """Convert a failed upload again; Conflict where its files are not kept any more.

        `metadata` takes the place of what was said of the cube before, `white_reflectance` (a
        number, or the name of a file of the upload) of what was said of the white panel; None
        leaves each as it is.
        """
        body: dict[str, Any] = {} if metadata is None else {"metadata": metadata.said()}
        if white_reflectance is not None:
            body["white_reflectance"] = white_reflectance
        response = await self._request(
            "POST",
            f"/uploads/{upload}/retry",
            token=token,
            json=body,
        )
        return Upload.model_validate_json(response.content)

    async def restore(self, request: RestoreRequest, *, token: str | None = None) -> Upload:
        """Make an item of the original files that an entry of the trash keeps: a new upload, whose
        conversion is queued. Conflict where the id is taken or there are no files."""
        response = await self._request(
            "POST", "/ingest/restore", json=request.model_dump(mode="json"), token=token
        )
        return Upload.model_validate_json(response.content)

    async def metadata(
        self, collection: str, item: str, *, token: str | None = None
    ) -> ItemMetadata:
        """What is known of an item's cube, and how it was corrected."""
        response = await self._request("GET", _metadata_path(collection, item), token=token)
        return ItemMetadata.model_validate_json(response.content)

    async def correct(
        self, collection: str, item: str, changes: dict[str, Any], *, token: str | None = None
    ) -> ItemMetadata:
        """Change fields of CubeMetadata of a stored cube and its item; null takes one away.

        Conflict for what only another conversion can change. May be repeated.
        """
        response = await self._request(
            "PATCH", _metadata_path(collection, item), json=changes, token=token
        )
        return ItemMetadata.model_validate_json(response.content)

    async def scrub(
        self, request: ScrubRequest, *, token: str | None = None
    ) -> AsyncGenerator[ScrubLine, None]:
        """Check what is stored: a line for each item, the last one the summary. Unavailable where
        the answer ends before that."""
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        body = request.model_dump(mode="json")
        async with self._stream(
            "POST", "/ingest/scrub", json=body, token=token, timeout=timeout
        ) as response:
            async for line in response.aiter_lines():
                told = SCRUB_LINE.validate_json(line)
                yield told
                if told.kind == "summary":
                    return
        raise Unavailable("The check of what is stored broke off.")

    async def sweep(self, *, token: str | None = None) -> AsyncGenerator[SweepLine, None]:
        """Report orphans and items whose objects are missing, the last line the summary. For
        administrators. Unavailable where the answer ends before that."""
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        async with self._stream("POST", "/ingest/sweep", token=token, timeout=timeout) as response:
            async for line in response.aiter_lines():
                told = SWEEP_LINE.validate_json(line)
                yield told
                if told.kind == "summary":
                    return
        raise Unavailable("The look for orphans broke off.")

    async def remove_orphans(
        self, prefixes: list[str], *, token: str | None = None
    ) -> RemovalAnswer:
        """Remove orphans of a report, at most 1000; each is looked at again. For
        administrators."""
        response = await self._request(
            "POST",
            "/ingest/sweep/removal",
            json={"prefixes": prefixes},
            token=token,
            timeout=httpx.Timeout(600.0, connect=CONNECT_TIMEOUT_S),
        )
        return RemovalAnswer.model_validate_json(response.content)

    async def delete(self, upload: str, *, token: str | None = None) -> None:
        """Give an unfinished or failed upload up; what was stored for it is removed. Of an archive
        the scenes that are items stay."""
        await self._request("DELETE", f"/uploads/{upload}", token=token)

    async def add_labels(
        self, collection: str, item: str, request: LabelRequest, *, token: str | None = None
    ) -> LabelMap:
        """Attach a class raster, whose files are stored under `raw/<collection>/`, to a cube."""
        response = await self._request(
            "POST",
            _labels(collection, item),
            json=request.model_dump(mode="json"),
            token=token,
            timeout=ANSWER_TIMEOUT_S,
        )
        return LabelMap.model_validate_json(response.content)

    async def remove_labels(
        self, collection: str, item: str, name: str, *, token: str | None = None
    ) -> None:
        """Take a label map off a cube; NotFound where there is none of that name."""
        await self._request(
            "DELETE", f"{_labels(collection, item)}/{quote(name, safe='')}", token=token
        )

    async def wait(self, upload: str, *, token: str | None = None) -> AsyncIterator[Upload]:
        """The upload's states, about two a second, until it succeeded or failed (the last one).

        Unavailable only where nothing answers for OUTAGE_S: it goes on without being watched.
        """
        while True:
            current = await patiently(partial(self.upload, upload, token=token), OUTAGE_S)
            yield current
            if current.state.final:
                return
            await asyncio.sleep(POLL_S)


def _metadata_path(collection: str, item: str) -> str:
    return f"/ingest/{quote(collection, safe='')}/{quote(item, safe='')}/metadata"


def _labels(collection: str, item: str) -> str:
    return f"/ingest/{quote(collection, safe='')}/{quote(item, safe='')}/labels"
