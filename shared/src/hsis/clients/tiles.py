"""Client of tiles: pictures and spectra of stored cubes."""

from typing import Any
from urllib.parse import quote

from hsis.clients.base import BaseClient
from hsis.contracts.spectra import PixelSpectrum


class TilesClient(BaseClient):
    """Reads spectra, statistics and previews."""

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


def _cube(collection: str, item: str) -> str:
    return f"/cubes/{quote(collection, safe='')}/{quote(item, safe='')}"
