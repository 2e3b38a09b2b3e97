"""Writing what belongs to a stored cube besides its shards: overviews, thumbnail, documents."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from numpy.typing import NDArray

from hsis.contracts.blobs import checksums_key, cube_prefix, statistics_key, thumbnail_key
from hsis.cube import layout, overview, picture
from hsis.cube.acquisition import Acquisition, store_attributes
from hsis.cube.checksums import Checksums
from hsis.cube.reader import BlobReader, StoredCube
from hsis.cube.shard import encode_shard
from hsis.cube.statistics import CubeStatistics

Put = Callable[[str, bytes, str], Awaitable[object]]
"""Stores a blob: key, content, media type."""


async def write_overviews(
    blobs: BlobReader,
    put: Put,
    prefix: str,
    info: layout.CubeInfo,
    executor: Executor | None,
) -> None:
    """Write every overview of the cube at `prefix`, each made of the level above it."""
    source = StoredCube(blobs, prefix, info, executor)
    loop = asyncio.get_running_loop()
    for factor in layout.overview_factors(info.shape):
        above = layout.overview_shape(info.shape, factor // 2) if factor > 2 else info.shape
        shape = layout.overview_shape(info.shape, factor)
        for index in layout.shard_indices(shape):
            bands, rows, columns = layout.shard_slices(shape, index)
            block = await source.read(
                range(bands.start, bands.stop),
                (2 * rows.start, min(2 * rows.stop, above[1])),
                (2 * columns.start, min(2 * columns.stop, above[2])),
                factor // 2,
            )
            content = await loop.run_in_executor(
                executor, _reduced_shard, block, info, layout.shard_shape(shape)
            )
            await put(prefix + layout.shard_key(index, factor), content, "application/octet-stream")


def _reduced_shard(block: NDArray[Any], info: layout.CubeInfo, shape: layout.Shape) -> bytes:
    reduced = overview.halve(block, info.nodata, categorical=bool(info.classes))
    return encode_shard(reduced, shape)


async def write_documents(
    put: Put,
    collection: str,
    item: str,
    info: layout.CubeInfo,
    statistics: CubeStatistics,
    acquisition: Acquisition | None = None,
) -> None:
    """Write the statistics and the Zarr documents; the store is complete after this."""
    await put(
        statistics_key(collection, item), statistics.model_dump_json().encode(), "application/json"
    )
    prefix = cube_prefix(collection, item)
    attributes = store_attributes(acquisition or Acquisition())
    for key, content in layout.store_documents(info, attributes).items():
        await put(prefix + key, content, media_type(key))


async def write_checksums(put: Put, collection: str, item: str, checksums: Checksums) -> None:
    """Write the checksums of everything else that is stored for the item, last of all."""
    content = checksums.model_dump_json().encode()
    await put(checksums_key(collection, item), content, "application/json")


def media_type(key: str) -> str:
    """Of an object of a store, by its key."""
    return "application/json" if key.endswith(".json") else "application/octet-stream"


async def write_thumbnail(
    blobs: BlobReader,
    put: Put,
    collection: str,
    item: str,
    info: layout.CubeInfo,
    statistics: CubeStatistics,
    executor: Executor | None,
) -> None:
    """Write the thumbnail from the smallest overview: natural colour with a 2-98 % stretch, or
    the colours of the classes."""
    source = StoredCube(blobs, cube_prefix(collection, item), info, executor)
    bands = picture.natural_colour_bands(info)
    factor = max(layout.overview_factors(info.shape), default=1)
    shape = layout.overview_shape(info.shape, factor)
    values = await source.read(bands, (0, shape[1]), (0, shape[2]), factor)
    if info.classes:
        image = picture.class_colours(values[0], info.classes)
    else:
        image = picture.stretch(values, picture.band_limits(statistics, bands), info.nodata)
    content = picture.encode(image, "WEBP", picture.THUMBNAIL_PIXELS, mixed=not info.classes)
    await put(thumbnail_key(collection, item), content, "image/webp")
