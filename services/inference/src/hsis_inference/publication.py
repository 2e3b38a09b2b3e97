"""Publishing a result: statistics, overviews, thumbnail, documents, and at last the STAC Item."""

import asyncio
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np

from hsis.clients.catalog import CatalogClient, StacObject
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix
from hsis.cube.checksums import ChecksumRecorder
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube
from hsis.cube.stac import Footprint, ItemParts, item_document
from hsis.cube.statistics import CubeStatistics, StatisticsCollector
from hsis.cube.writer import write_checksums, write_documents, write_overviews, write_thumbnail
from hsis.errors import Conflict, NotFound, TooLarge
from hsis_inference.describe import CODE_VERSION
from hsis_inference.errors import QuotaExceeded, SourceChanged
from hsis_inference.jobs import Job
from hsis_inference.processes.base import Plan
from hsis_inference.scene import footprints

JOB_PROPERTY = "hsi:job"
_EXTENSIONS = ("file", "processing")
_TIMES = ("datetime", "start_datetime", "end_datetime", "hsi:datetime_source")
_COPIED = (*_TIMES, "proj:code", "updated")


def holder_of(job: UUID) -> str:
    """How catalog knows the job that makes an item."""
    return f"job:{job}"


def most_bytes(plan: Plan, source: CubeInfo) -> int:
    """How large the result can be: its values, not compressed, and a third more for overviews."""
    pixels = source.shape[1] * source.shape[2]
    return len(plan.result.names) * pixels * np.dtype(plan.result.dtype).itemsize * 4 // 3


async def reserve_bytes(catalog: CatalogClient, collection: str, job: UUID, count: int) -> None:
    """Tell catalog what a job is about to store; QuotaExceeded where there is no room."""
    try:
        await catalog.reserve_bytes(collection, holder_of(job), count)
    except TooLarge as error:
        raise QuotaExceeded(error.detail) from error


def source_of(item: StacObject) -> StacObject:
    """What a job keeps of its source item: the place, the times, and the state that it is in."""
    properties = item["properties"]
    return {
        "geometry": item.get("geometry"),
        "bbox": item.get("bbox"),
        "properties": {name: properties[name] for name in _COPIED if name in properties},
    }


def result_info(job: Job, source: CubeInfo) -> CubeInfo:
    """The description of the result cube: the process's bands on the source's grid."""
    bands = job.plan.result
    return CubeInfo(
        shape=(len(bands.names), *source.shape[1:]),
        dtype=np.dtype(bands.dtype),
        band_names=bands.names,
        unit=bands.unit,
        nodata=bands.nodata,
        crs_wkt=source.crs_wkt,
        transform=source.transform,
        classes=bands.classes,
    )


async def publish(
    job: Job,
    info: CubeInfo,
    catalog: CatalogClient,
    storage: StorageClient,
    executor: Executor,
    software: dict[str, str],
    checksums: ChecksumRecorder,
) -> None:
    """Complete the stored result and register its item; doing it again ends in the same state.

    `checksums` are those of the shards that the blocks stored.

    SourceChanged where the source is not the one that was read, Conflict where another item has
    the result's id.
    """
    if await _registered(job, catalog):
        return
    await _check_source(job, catalog)

    async def store(key: str, content: bytes, kind: str) -> None:
        await storage.put(key, content, content_type=kind)

    async def put(key: str, content: bytes, kind: str) -> None:
        checksums.note(key, content)
        await store(key, content, kind)

    prefix = cube_prefix(job.collection, job.result_item)
    statistics = await _statistics(StoredCube(storage, prefix, info, executor), executor)
    await write_overviews(storage, put, prefix, info, executor)
    await write_thumbnail(storage, put, job.collection, job.result_item, info, statistics, executor)
    await write_documents(put, job.collection, job.result_item, info, statistics)
    await write_checksums(store, job.collection, job.result_item, checksums.result())
    document = item_of(job, info, datetime.now(UTC), software)
    size = document["assets"]["cube"]["file:size"] = checksums.result().total_bytes
    await reserve_bytes(catalog, job.collection, job.id, size)
    await _register(job, document, catalog)


def item_of(job: Job, info: CubeInfo, created_at: datetime, software: dict[str, str]) -> StacObject:
    """The result's STAC Item: the source's place and time, and what made it."""
    source = job.source
    footprint = None
    if source["geometry"] is not None and source["bbox"] is not None:
        code = source["properties"].get("proj:code")
        footprint = Footprint(source["geometry"], source["bbox"], code)
    properties: dict[str, Any] = {
        name: source["properties"][name] for name in _TIMES if name in source["properties"]
    }
    properties |= {
        "title": f"{job.process} of {job.source_item}",
        "hsi:process": job.process,
        "hsi:parameters": job.parameters,
        "hsi:device": ", ".join(sorted(job.devices)),
        "hsi:code_version": CODE_VERSION,
        JOB_PROPERTY: str(job.id),
        "processing:software": {"hsis-inference": CODE_VERSION, **software},
    }
    link = {
        "rel": "derived_from",
        "href": f"/stac/collections/{job.collection}/items/{job.source_item}",
        "type": "application/geo+json",
        "title": job.source_item,
    }
    return item_document(
        ItemParts(
            collection=job.collection,
            item=job.result_item,
            info=info,
            footprint=footprint,
            acquired_at=None,
            created_at=created_at,
            properties=properties,
            links=[link],
            extensions=(*_EXTENSIONS, "classification") if info.classes else _EXTENSIONS,
        )
    )


async def _check_source(job: Job, catalog: CatalogClient) -> None:
    what = f"The source item {job.source_item!r} in {job.collection!r}"
    try:
        item = await catalog.item(job.collection, job.source_item)
    except NotFound:
        raise SourceChanged(f"{what} was removed while the job ran.") from None
    if item["properties"].get("updated") != job.source["properties"].get("updated"):
        raise SourceChanged(f"{what} was changed while the job ran; run the process again.")


async def _statistics(cube: StoredCube, executor: Executor) -> CubeStatistics:
    info = cube.info
    collector = StatisticsCollector(info.shape, info.dtype, info.nodata)
    loop = asyncio.get_running_loop()
    for block in footprints(*info.shape[1:]):
        values = await cube.read(None, block.rows, block.columns)
        await loop.run_in_executor(
            executor, collector.add, values, 0, block.rows[0], block.columns[0]
        )
    return await loop.run_in_executor(executor, collector.result)


async def _registered(job: Job, catalog: CatalogClient) -> bool:
    """Whether an earlier attempt registered the item; Conflict where the id is another item's."""
    try:
        there = await catalog.item(job.collection, job.result_item)
    except NotFound:
        return False
    if there["properties"].get(JOB_PROPERTY) == str(job.id):
        return True
    raise Conflict(f"Another item {job.result_item!r} was made in {job.collection!r} meanwhile.")


async def _register(job: Job, document: StacObject, catalog: CatalogClient) -> None:
    try:
        await catalog.create_item(job.collection, document)
    except Conflict:
        if not await _registered(job, catalog):
            raise
