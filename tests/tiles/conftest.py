"""Cubes stored in the real platform by the pieces of hsis.cube."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from numpy.typing import NDArray

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix
from hsis.cube import layout
from hsis.cube.acquisition import Acquisition
from hsis.cube.shard import encode_shard
from hsis.cube.stac import ItemParts, item_document
from hsis.cube.statistics import StatisticsCollector
from hsis.cube.writer import write_documents, write_overviews
from tests.support.platform import Platform

COLLECTION = "cubes-of-the-tests"


@dataclass(frozen=True)
class Tiles:
    """The service as a client sees it, and the parts that it reads from."""

    http: httpx.AsyncClient
    catalog: CatalogClient
    storage: StorageClient
    admin_token: str
    service_token: str

    async def get(self, path: str, **arguments: Any) -> httpx.Response:
        """An answer of tiles for the administrator."""
        headers = {"Authorization": f"Bearer {self.admin_token}"} | arguments.pop("headers", {})
        return await self.http.get(path, headers=headers, **arguments)

    async def put(self, key: str, content: bytes, kind: str) -> None:
        """Store a blob as ingest would."""
        await self.storage.put(key, content, content_type=kind, token=self.service_token)

    async def store(
        self,
        item: str,
        values: NDArray[Any],
        collection: str = COLLECTION,
        acquisition: Acquisition | None = None,
        **description: Any,
    ) -> str:
        """Write the cube (band, y, x), register it, and answer its path at tiles."""
        info = layout.CubeInfo(values.shape, values.dtype, **description)
        prefix = cube_prefix(collection, item)
        statistics = StatisticsCollector(info.shape, info.dtype, info.nodata)
        for index in layout.shard_indices(info.shape):
            parts = layout.shard_slices(info.shape, index)
            statistics.add(values[parts], *(part.start for part in parts))
            content = encode_shard(values[parts], layout.shard_shape(info.shape))
            await self.put(prefix + layout.shard_key(index), content, "application/octet-stream")
        await write_overviews(_Reads(self), self.put, prefix, info, None)
        await write_documents(self.put, collection, item, info, statistics.result(), acquisition)
        parts_of_item = ItemParts(collection, item, info, None, None, datetime.now(UTC))
        await self.catalog.create_item(
            collection, item_document(parts_of_item), token=self.service_token
        )
        return f"/cubes/{collection}/{item}"


@dataclass(frozen=True)
class _Reads:
    tiles: Tiles

    async def get(self, key: str) -> bytes:
        return await self.tiles.storage.get(key, token=self.tiles.service_token)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        token = self.tiles.service_token
        return await self.tiles.storage.get_range(key, start, length, token=token)


@pytest.fixture(scope="session")
async def stack(platform_of: Any) -> AsyncIterator[Platform]:
    """Tiles and what it reads from, shared by all modules."""
    async with platform_of("catalog", "storage-proxy", "tiles") as platform:
        yield platform


@pytest.fixture(scope="session")
async def tiles(stack: Platform, make_token: Callable[..., str]) -> AsyncIterator[Tiles]:
    """Tiles in the platform, with a collection in which each test stores cubes of its own names."""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
        httpx.AsyncClient(base_url=stack.tiles_url, trust_env=False, timeout=30) as own,
    ):
        catalog = CatalogClient(http, stack.catalog_url)
        storage = StorageClient(http, stack.storage_url)
        service = make_token(subject="service:ingest", scopes=("service",))
        await catalog.create_collection(
            {"id": COLLECTION, "description": "made by a test"}, token=stack.admin_token
        )
        yield Tiles(own, catalog, storage, stack.admin_token, service)
