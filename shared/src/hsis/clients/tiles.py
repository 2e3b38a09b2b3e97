"""Client of tiles: pictures, spectra and exports of stored cubes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote

import httpx

from hsis.clients.base import BaseClient
from hsis.contracts.spectra import PixelSpectrum

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """An export as it arrives.

    `length` is that of the whole file, None where it is not known; `start` is where `pieces`
    begin; `etag` names these bytes where a part of them can be asked for.
    """

    filename: str
    length: int | None
    start: int
    etag: str | None
    pieces: AsyncIterator[bytes]


class TilesClient(BaseClient):
    """Reads spectra, statistics, previews and exports."""

    async def spectrum(
        self, collection: str, item: str, x: int, y: int, *, token: str | None = None
    ) -> PixelSpectrum:
        """The spectrum of the pixel in column x and row y, from the upper left, from 0."""
        response = await self._request(
            "GET", _cube(collection, item) + "/spectrum", params={"x": x, "y": y}, token=token
        )
        return PixelSpectrum.model_validate_json(response.content)

    async def statistics(
        self, collection: str, item: str, *, token: str | None = None
    ) -> dict[str, Any]:
        """Per-band statistics as stored with the cube."""
        response = await self._request("GET", _cube(collection, item) + "/statistics", token=token)
        return dict(response.json())

    async def preview(
        self,
        collection: str,
        item: str,
        *,
        bands: tuple[int, ...] | None = None,
        stretch: str | None = None,
        token: str | None = None,
    ) -> bytes:
        """A PNG picture of one or three bands (numbers from 1), natural colour when not given."""
        query = {
            name: value
            for name, value in (
                ("bands", ",".join(map(str, bands)) if bands else None),
                ("stretch", stretch),
            )
            if value is not None
        }
        response = await self._request(
            "GET", _cube(collection, item) + "/preview.png", params=query, token=token
        )
        return response.content

    @asynccontextmanager
    async def export(
        self,
        collection: str,
        item: str,
        query: Mapping[str, str],
        *,
        start: int = 0,
        etag: str | None = None,
        token: str | None = None,
    ) -> AsyncIterator[ExportAnswer]:
        """A cube in another format; `query` has `format` and what else the path takes.

        With `start` and `etag`, the rest of a file that was not sent whole: where the item changed
        meanwhile the whole file comes, and `start` of the answer is 0.
        """
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start and etag else {}
        path = _cube(collection, item) + "/export"
        async with self._stream(
            "GET", path, token=token, headers=headers, params=dict(query)
        ) as response:
            partial = response.status_code == 206
            length = response.headers.get("Content-Length")
            begin = start if partial else 0
            seekable = response.headers.get("Accept-Ranges") == "bytes"
            yield ExportAnswer(
                filename=_filename(response),
                length=None if length is None else begin + int(length),
                start=begin,
                etag=response.headers.get("ETag") if seekable else None,
                pieces=response.aiter_bytes(CHUNK_BYTES),
            )


def _filename(response: httpx.Response) -> str:
    """The name in Content-Disposition, without a path."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    name = unquote(str(message.get_filename("export")))
    return name.replace("\\", "/").rpartition("/")[2].lstrip(".") or "export"


def _cube(collection: str, item: str) -> str:
    return f"/cubes/{quote(collection, safe='')}/{quote(item, safe='')}"
