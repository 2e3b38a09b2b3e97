"""One export: from what a request asks for to the bytes of its answer."""

import asyncio
import functools
import math
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from hsis.clients.fetching import original_blobs
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import collection_of_key, cube_prefix, statistics_key
from hsis.contracts.exports import ArrayAxes, BboxCrs, ExportFormat, Interleave
from hsis.cube.layout import CubeInfo
from hsis.cube.reader import StoredCube, read_document
from hsis.errors import InvalidInput, NotFound, TooLarge, Unavailable
from hsis_tiles.cubes import CubeName
from hsis_tiles.export import envi, matlab, matlab73, netcdf, npy, tiff, zipped
from hsis_tiles.export.answer import Export, archive_of, moment_of, plain
from hsis_tiles.export.attributes import as_texts, scene_attributes
from hsis_tiles.export.blocks import Blob, ExportFile
from hsis_tiles.export.selection import Selection, describe, select
from hsis_tiles.export.stream import (
    Bytes,
    one_ahead,
    small_parts,
    when_unchanged,
)
from hsis_tiles.export.zarr_store import store_of_part

READS_AT_ONCE = 4
"""Ranges of one export, of 8 MiB at most each: as much as a block of the default size."""
BLOCKS_IN_MEMORY = 4
"""The block that is sent, the next one as it is read and as it is written, and what was read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    format: ExportFormat
    bands: str | None = None
    window: str | None = None
    bbox: str | None = None
    bbox_crs: BboxCrs | None = None
    interleave: Interleave | None = None
    axes: ArrayAxes | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of exports."""

    max_bytes: int
    memory_bytes: int

    @property
    def block_bytes(self) -> int:
        """Of one block."""
        return self.memory_bytes // BLOCKS_IN_MEMORY


def check(wanted: Wanted) -> None:
    """InvalidInput where parts of a request do not go together."""
    parts = [name for name in ("bands", "window", "bbox") if getattr(wanted, name)]
    if wanted.format is ExportFormat.ORIGINAL and parts:
        raise InvalidInput(
            f"`{parts[0]}` with format=original: the uploaded files come as they are; another "
            "format is right for a part of the cube."
        )
    if wanted.interleave is not None and wanted.format is not ExportFormat.ENVI:
        raise InvalidInput("`interleave` is for format=envi.")
    if wanted.axes is not None and wanted.format not in {ExportFormat.NPY, ExportFormat.MAT}:
        raise InvalidInput("`axes` is for format=npy and format=mat.")
    if wanted.bbox_crs is not None and not wanted.bbox:
        raise InvalidInput("`bbox_crs` is for `bbox`.")


async def originals(
    item: dict[str, Any], name: CubeName, storage: StorageClient, executor: Executor, limits: Limits
) -> Export:
    """The uploaded files of a STAC Item: one as it is, several in an archive."""
    expected = original_blobs(item)
    if not expected:
        raise NotFound(
            f"{name.collection}/{name.item} has no original files: it was computed, not uploaded."
        )
    files = []
    for each in expected:
        # Anyone may write an address into an item of theirs; what is read here is read for them.
        if collection_of_key(each.key) != name.collection:
            raise NotFound(f"{each.filename} is not of the collection {name.collection}.")
        blob = Blob(each.key, (await storage.head(each.key)).size)
        pieces = functools.partial(iter, (blob,))
        files.append(ExportFile(each.filename, "application/octet-stream", blob.length, pieces))
    _check_size(sum(file.length for file in files), limits)
    if len(files) == 1:
        return plain(files[0], None, storage, executor)
    return archive_of(f"{name.item}.original.zip", files, name, None, storage, executor)


async def of_cube(
    wanted: Wanted,
    name: CubeName,
    storage: StorageClient,
    executor: Executor,
    limits: Limits,
) -> Export:
    """A cube, or a part of it, in another format or as its Zarr store.

    InvalidInput where the cube has no such part, UnsupportedExport where the format cannot hold
    it, TooLarge where it is over the limit.
    """
    prefix = cube_prefix(name.collection, name.item)
    before = await _documents(storage, name)
    cube = await StoredCube.open(storage, prefix, executor, concurrent_reads=READS_AT_ONCE)
    choose = functools.partial(  # PROJ reads its database
        select,
        cube.info,
        bands=wanted.bands,
        window=wanted.window,
        bbox=wanted.bbox,
        lonlat=wanted.bbox_crs is BboxCrs.LONLAT,
    )
    loop = asyncio.get_running_loop()
    chosen = await loop.run_in_executor(executor, choose)
    info = describe(cube.info, chosen)
    attributes = scene_attributes(before[0], whole=chosen.is_whole(cube.info))
    _check_size(math.prod(info.shape) * info.dtype.itemsize, limits)
    if wanted.format is ExportFormat.ZARR:
        export = await _zarr(name, cube, info, chosen, attributes, storage, executor, limits)
    else:
        files = await loop.run_in_executor(
            executor, _files, wanted, name.item, cube.info, info, chosen, attributes, limits
        )
        if len(files) == 1:
            export = plain(files[0], cube, storage, executor)
        else:
            title = f"{name.item}.{wanted.format}.zip"
            export = archive_of(title, files, name, cube, storage, executor)

    async def unchanged() -> None:
        if await _documents(storage, name) != before:
            raise Unavailable(f"{name.collection}/{name.item} was replaced while it was exported.")

    def content(start: int, stop: int | None) -> AsyncGenerator[Bytes, None]:
        return when_unchanged(small_parts(export.content(start, stop)), unchanged)

    return Export(export.filename, export.media_type, export.length, export.seekable, content)


async def _documents(storage: StorageClient, name: CubeName) -> tuple[bytes, bytes]:
    """What tells one state of a cube from another: its description, and what its values are."""
    description = cube_prefix(name.collection, name.item) + "zarr.json"
    return (
        await read_document(storage, description),
        await read_document(storage, statistics_key(name.collection, name.item)),
    )


def _check_size(count: int, limits: Limits) -> None:
    if count > limits.max_bytes:
        raise TooLarge(
            f"The export has {count} bytes; at most {limits.max_bytes} are sent "
            "(HSIS_EXPORT_MAX_BYTES). Choose fewer bands or a window."
        )


def _files(
    wanted: Wanted,
    title: str,
    whole: CubeInfo,
    info: CubeInfo,
    chosen: Selection,
    attributes: Mapping[str, Any],
    limits: Limits,
) -> list[ExportFile]:
    """The files of a format: laid out, and not read yet."""
    most = limits.block_bytes
    axes = wanted.axes or ArrayAxes.YXB
    texts = as_texts(attributes)
    match wanted.format:
        case ExportFormat.ENVI:
            interleave = wanted.interleave or Interleave.BSQ
            return envi.envi_files(
                title, info, chosen, interleave=interleave, max_bytes=most, attributes=texts
            )
        case ExportFormat.GEOTIFF | ExportFormat.COG:
            overviews = wanted.format is ExportFormat.COG
            return [
                tiff.tiff_file(
                    title,
                    whole,
                    info,
                    chosen,
                    overviews=overviews,
                    max_bytes=most,
                    attributes=texts,
                )
            ]
        case ExportFormat.NETCDF:
            return [netcdf.netcdf_file(title, info, chosen, max_bytes=most, attributes=attributes)]
        case ExportFormat.NPY:
            return [npy.npy_file(title, info, chosen, axes=axes, max_bytes=most)]
        case ExportFormat.MAT:
            write = matlab.mat_file if matlab.fits(info) else matlab73.mat73_file
            return [write(title, info, chosen, axes=axes, max_bytes=most, attributes=texts)]
    raise AssertionError(f"{wanted.format} is no format of files")


async def _zarr(
    name: CubeName,
    cube: StoredCube,
    info: CubeInfo,
    chosen: Selection,
    attributes: Mapping[str, Any],
    storage: StorageClient,
    executor: Executor,
    limits: Limits,
) -> Export:
    """The stored objects as they are, or a store of the selection made of them."""
    title = f"{name.item}.zarr.zip"
    if chosen.is_whole(cube.info):
        prefix = cube_prefix(name.collection, name.item)
        files = [
            ExportFile(
                blob.key.removeprefix(prefix),
                "",
                blob.size,
                functools.partial(iter, (Blob(blob.key, blob.size),)),
            )
            async for blob in storage.list(prefix)
        ]
        return archive_of(title, files, name, cube, storage, executor)

    async def members() -> AsyncGenerator[zipped.Member, None]:
        objects = store_of_part(
            cube, info, chosen, executor, max_bytes=limits.block_bytes, attributes=attributes
        )
        async for key, content in one_ahead(objects):
            yield zipped.Member(key, len(content), functools.partial(_once, content))

    return Export(
        title,
        zipped.MEDIA_TYPE,
        None,
        False,
        lambda *_: zipped.archive(members(), executor, moment_of(name)),
    )


async def _once(content: bytes) -> AsyncGenerator[Bytes, None]:
    yield content
