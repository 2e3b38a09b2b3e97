"""Client of ingest: uploads and their conversion."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

from hsis.clients.base import BaseClient
from hsis.contracts.uploads import Upload, UploadRequest

POLL_S = 0.5


class IngestClient(BaseClient):
    """Sends files and follows their conversion."""

    async def create(self, request: UploadRequest, *, token: str | None = None) -> Upload:
        """Announce an upload. Conflict when the item exists or another upload is making it."""
        response = await self._request(
            "POST", "/uploads", json=request.model_dump(mode="json"), token=token
        )
        return Upload.model_validate_json(response.content)

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

    async def upload(self, upload: str, *, token: str | None = None) -> Upload:
        """Where an upload stands."""
        response = await self._request("GET", f"/uploads/{upload}", token=token)
        return Upload.model_validate_json(response.content)

    async def retry(self, upload: str, *, token: str | None = None) -> Upload:
        """Convert a failed upload again; Conflict where its files are not kept any more."""
        response = await self._request("POST", f"/uploads/{upload}/retry", token=token)
        return Upload.model_validate_json(response.content)

    async def delete(self, upload: str, *, token: str | None = None) -> None:
        """Give an unfinished or failed upload up; what was stored for it is removed."""
        await self._request("DELETE", f"/uploads/{upload}", token=token)

    async def wait(self, upload: str, *, token: str | None = None) -> AsyncIterator[Upload]:
        """The upload's states, about two a second, until it succeeded or failed (the last one)."""
        while True:
            current = await self.upload(upload, token=token)
            yield current
            if current.state.final:
                return
            await asyncio.sleep(POLL_S)
