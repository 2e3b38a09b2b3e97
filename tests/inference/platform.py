"""Cubes put into the real platform, and what a user does with them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from numpy.typing import NDArray

from hsis.clients.catalog import CatalogClient
from hsis.clients.processing import ProcessingClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix, item_prefix
from hsis.contracts.jobs import JobInfo
from hsis.cube import layout
from hsis.cube.reader import StoredCube
from hsis.cube.shard import encode_shard
from hsis.cube.stac import Footprint, ItemParts, item_document
from hsis.cube.statistics import StatisticsCollector
from hsis.cube.writer import write_documents
from tests.support.platform import Platform

PLACE = Footprint(
    {"type": "Polygon", "coordinates": [[[13, 52], [14, 52], [14, 53], [13, 53], [13, 52]]]},
    (13, 52, 14, 53),
    "EPSG:32633",
)
ACQUIRED = datetime(2022, 7, 24, 10, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Bench:
    """The platform's clients with a token each call."""

    platform: Platform
    http: httpx.AsyncClient
    service_token: str

    @property
    def catalog(self) -> CatalogClient:
        return CatalogClient(self.http, self.platform.catalog_url)

    @property
    def storage(self) -> StorageClient:
        return StorageClient(self.http, self.platform.storage_url)

    @property
    def processing(self) -> ProcessingClient:
        return ProcessingClient(self.http, self.platform.inference_url)

    @property
    def token(self) -> str:
        return self.platform.admin_token

    async def store(
        self, collection: str, item: str, values: NDArray[Any], **description: Any
    ) -> None:
        """Write a cube (band, y, x) and register it, as ingest would."""
        info = layout.CubeInfo(values.shape, values.dtype, **description)
        statistics = StatisticsCollector(info.shape, info.dtype, info.nodata)
        for index in layout.shard_indices(info.shape):
            parts = layout.shard_slices(info.shape, index)
            statistics.add(values[parts], *(part.start for part in parts))
            content = encode_shard(values[parts], layout.shard_shape(info.shape))
            key = cube_prefix(collection, item) + layout.shard_key(index)
            await self.put(key, content, "application/octet-stream")
        await write_documents(self.put, collection, item, info, statistics.result())
        parts_of_item = ItemParts(collection, item, info, PLACE, ACQUIRED, datetime.now(UTC))
        await self.catalog.create_item(
            collection, item_document(parts_of_item), token=self.service_token
        )

    async def put(self, key: str, content: bytes, kind: str) -> None:
        await self.storage.put(key, content, content_type=kind, token=self.service_token)

    async def get(self, key: str) -> bytes:
        return await self.storage.get(key, token=self.service_token)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        return await self.storage.get_range(key, start, length, token=self.service_token)

    async def run(self, process: str, **inputs: Any) -> JobInfo:
        """The job at its end."""
        job = await self.processing.execute(process, inputs, token=self.token)
        async for last in self.processing.wait(job.job_id, token=self.token):
            job = last
        return job

    async def result(self, job: JobInfo) -> dict[str, Any]:
        """The STAC Item that the job's only output links to."""
        results = await self.processing.results(job.job_id, token=self.token)
        path = httpx.URL(results["result"]["href"]).path
        response = await self.http.get(
            self.platform.catalog_url + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        assert response.status_code == 200
        return dict(response.json())

    async def cube(self, collection: str, item: str) -> StoredCube:
        return await StoredCube.open(self, cube_prefix(collection, item))

    async def keys(self, collection: str, item: str) -> list[str]:
        prefix = item_prefix(collection, item)
        return [blob.key async for blob in self.storage.list(prefix, token=self.service_token)]
