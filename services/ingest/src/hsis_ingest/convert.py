"""From uploaded files to a stored cube, window by window in bounded memory."""

import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from numpy.typing import NDArray

from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix
from hsis.contracts.metadata import CubeMetadata
from hsis.cube import layout, writer
from hsis.cube.band_table import MAX_BYTES
from hsis.cube.checksums import ChecksumRecorder
from hsis.cube.layout import CubeInfo
from hsis.cube.panel_table import parse_panel_table
from hsis.cube.pyramid import FinishedShard, Pyramid
from hsis.cube.statistics import Counted, CubeStatistics, StatisticsCollector
from hsis.errors import InvalidInput
from hsis_ingest.allocation import give_back_rest
from hsis_ingest.as_it_was import Before
from hsis_ingest.corrected import acquisition_of
from hsis_ingest.detect import open_source
from hsis_ingest.errors import MetadataMismatch, NoValidData
from hsis_ingest.formats.blob import BlobSource
from hsis_ingest.formats.panels import WhitePanel
from hsis_ingest.formats.source import ReadOptions, Source
from hsis_ingest.given import Described, describe, gridded, with_table
from hsis_ingest.regions import Window, plan
from hsis_ingest.registration import item_of
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings

GROUPS_IN_MEMORY = 2
"""Of the memory: a group of shards, compressed, and its slices in hand and on their way."""
CONCURRENT_PUTS = 2
BATCH_BYTES = 2 * 1024 * 1024
"""Tiles that one thread takes in one after the other: to hand each over would cost too much."""
TRIM_BYTES = 16 * 1024 * 1024
"""Taken in between two times that freed memory is given back: fresh pages cost time."""
PROGRESS_OF_SHARDS = 0.9

Tile = tuple[NDArray[Any], layout.Shape]
"""A part of the cube and its first corner."""
Progress = Callable[[float], Awaitable[None]]
"""Is told how far the conversion is, 0 to 1; raises LeaseLost to stop it."""


class Conversion:
    """One upload's conversion. `run` may be cancelled at any point and begun anew."""

    def __init__(
        self,
        upload: UploadRow,
        storage: StorageClient,
        executor: Executor,
        settings: Settings,
        progress: Progress,
        template: CubeMetadata | None = None,
        before: Before | None = None,
    ) -> None:
        self._upload = upload
        self._storage = storage
        self._executor = executor
        self._settings = settings
        self._progress = progress
        self._template = template or CubeMetadata()
        self._before = before
        self._prefix = cube_prefix(upload.collection, upload.item)
        self._checksums = ChecksumRecorder(upload.collection, upload.item)
        self._group_bytes = settings.conversion_memory_bytes // GROUPS_IN_MEMORY
        self._encoders = asyncio.Semaphore(settings.conversion_threads)
        self._putters = asyncio.Semaphore(CONCURRENT_PUTS)
        self._room = asyncio.Condition()
        self._room_bytes = self._group_bytes // 2
        self._waiting_bytes = 0
        """Of finished shards that are not stored yet."""

    async def run(self) -> dict[str, Any]:
        """Write everything stored for the item, and answer its STAC Item, not yet registered.

        Raises an InputFault where the files are at fault, Unavailable where storage is away.
        """
        loop = asyncio.get_running_loop()
        files = self._files()
        source: Source | None = None
        try:
            given, panel = await loop.run_in_executor(self._executor, self._said, files)
            cube, options = self._without_tables(files), self._options(panel)
            source = await loop.run_in_executor(self._executor, open_source, cube, options)
            described = await loop.run_in_executor(self._executor, self._describe, source, given)
            statistics = await self._write_shards(source, described.info)
            described, document = await loop.run_in_executor(
                self._executor, self._item, source, described, statistics
            )
            await self._write_rest(described, statistics)
            document["assets"]["cube"]["file:size"] = self._checksums.result().total_bytes
            return document
        finally:
            for file in files:
                file.close()
            if source is not None:  # in a thread, since it waits for a read that is not over
                await asyncio.shield(loop.run_in_executor(self._executor, source.close))

    def _files(self) -> list[BlobSource]:
        return [
            BlobSource(self._storage, self._upload.key_of(file), file.name, file.size or 0)
            for file in self._upload.files
        ]

    def _said(self, files: list[BlobSource]) -> tuple[CubeMetadata, WhitePanel | None]:
        """What the uploader says of the cube and of its white panel, by files of the upload too."""
        given = self._upload.metadata or CubeMetadata()
        table = given.wavelengths_file
        if table is not None and given.wavelengths is None:
            content = _content(files, table, "wavelengths_file")
            given = with_table(given, content, table)
        told = self._upload.white_reflectance
        if told is None:
            return given, None
        own, others = given.wavelengths_nm, self._template.wavelengths_nm
        if not isinstance(told, str):
            return given, WhitePanel(told)
        content = _content(files, told, "white_reflectance")
        try:
            panel = parse_panel_table(content, told)
        except InvalidInput as error:
            raise MetadataMismatch(f"`white_reflectance`: {error.detail}") from None
        return given, WhitePanel(panel, told, own, others)

    def _without_tables(self, files: list[BlobSource]) -> list[BlobSource]:
        """The files of the cube, without those that the uploader names as tables."""
        said = self._upload.metadata
        tables = {said and said.wavelengths_file, self._upload.white_reflectance}
        return [file for file in files if file.name not in tables]

    def _describe(self, source: Source, given: CubeMetadata) -> Described:
        located = gridded(source.info) or source.outline is not None
        return describe(
            source.info,
            source.acquired_at,
            given,
            self._template,
            located=located,
            properties=source.properties,
        )

    def _item(
        self, source: Source, described: Described, statistics: CubeStatistics
    ) -> tuple[Described, dict[str, Any]]:
        """What is at last said of the cube, and the Item: where it is made again, as it was."""
        info, before = described.info, self._before
        info = with_empty_bands(before.corrected(info) if before else info, statistics)
        described = dataclasses.replace(described, info=info)
        made = item_of(
            self._upload, described, source.format_name, source.outline, source.properties
        )
        if before is None:
            return described, made
        item = before.restored(made)
        return dataclasses.replace(described, acquisition=acquisition_of(item, info)), item

    def _options(self, panel: WhitePanel | None) -> ReadOptions:
        return ReadOptions(
            axes=self._upload.axes,
            variable=self._upload.variable,
            rows=self._upload.rows,
            columns=self._upload.columns,
            calibration=self._upload.calibration,
            panel=panel,
            matlab_max_ratio=self._settings.matlab_max_ratio,
            max_chunk_bytes=self._settings.max_chunk_bytes,
            max_expansion=self._settings.max_expansion,
            hdf5_max_objects=self._settings.hdf5_max_objects,
            hdf5_check_cpu_s=self._settings.hdf5_check_cpu_s,
            hdf5_check_memory_bytes=self._settings.hdf5_check_memory_bytes,
            tiff_max_images=self._settings.tiff_max_images,
            zarr_max_members=self._settings.zarr_max_members,
        )

    async def _write_shards(self, source: Source, info: CubeInfo) -> CubeStatistics:
        """Store every shard, of the overviews too, reading the next window meanwhile; the cube's
        statistics."""
        collector = StatisticsCollector(info.shape, info.dtype, info.nodata)
        pyramid = Pyramid(info)
        windows = plan(info.shape, info.dtype.itemsize, source.axes, self._group_bytes)
        largest = max(map(_pixels, windows)) * info.dtype.itemsize
        # Two windows are there as they are. Of the rest half, since this is not all that is held.
        self._room_bytes = max(0, self._settings.conversion_memory_bytes - 2 * largest) // 2
        loop = asyncio.get_running_loop()
        taken_bytes = 0
        reading = self._start_reading(source, windows[0])
        try:
            async with asyncio.TaskGroup() as puts:
                for number, window in enumerate(windows, start=1):
                    block = await reading
                    if number < len(windows):
                        reading = self._start_reading(source, windows[number])
                    await self._take_in(block, window, pyramid, collector, puts)
                    taken_bytes += block.nbytes
                    del block
                    if taken_bytes >= TRIM_BYTES:
                        taken_bytes = 0
                        await loop.run_in_executor(self._executor, give_back_rest)
                    await self._progress(PROGRESS_OF_SHARDS * number / len(windows))
        finally:
            reading.cancel()
        return await loop.run_in_executor(self._executor, collector.result)

    def _start_reading(self, source: Source, window: Window) -> asyncio.Future[NDArray[Any]]:
        return asyncio.get_running_loop().run_in_executor(self._executor, source.read, *window)

    async def _take_in(
        self,
        block: NDArray[Any],
        window: Window,
        pyramid: Pyramid,
        collector: StatisticsCollector,
        puts: asyncio.TaskGroup,
    ) -> None:
        """Compress and count a window; the shards that it completes are stored in `puts`."""
        batches: list[list[Tile]] = [[]]
        for part, corner in pyramid.tiles_in(window):
            if sum(tile.nbytes for tile, _ in batches[-1]) >= BATCH_BYTES:
                batches.append([])
            batches[-1].append((block[part], corner))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._add_tiles(pyramid, collector, batch, puts))
                for batch in batches
            ]
        for task in tasks:  # in their order: sums are then rounded as in any other run
            for counted in task.result():
                collector.merge(counted)

    async def _add_tiles(
        self,
        pyramid: Pyramid,
        collector: StatisticsCollector,
        tiles: list[Tile],
        puts: asyncio.TaskGroup,
    ) -> list[Counted]:
        counted: list[Counted] = []
        finished: list[FinishedShard] = []

        def work() -> None:
            while tiles:  # the thread may hold the list for a moment after all else is done
                tile, corner = tiles.pop(0)
                values = pyramid.laid_out(tile)
                counted.append(collector.count(values, *corner))
                finished.extend(pyramid.add(values, corner))

        async with self._encoders:
            await self._wait_for_room(pyramid)
            await asyncio.get_running_loop().run_in_executor(self._executor, work)
            for shard in finished:
                self._waiting_bytes += shard.packed_bytes
                puts.create_task(self._put_shard(shard, shard.packed_bytes))
        return counted

    async def _wait_for_room(self, pyramid: Pyramid) -> None:
        """Hold back the encoders while much is compressed, and some of it on its way out of the
        memory: a group that is whole and compresses badly must not meet another one."""
        async with self._room:
            await self._room.wait_for(
                lambda: (
                    not self._waiting_bytes
                    or self._waiting_bytes + pyramid.packed_bytes < self._room_bytes
                )
            )

    async def _put_shard(self, shard: FinishedShard, size: int) -> None:
        async with self._putters:
            key = self._prefix + shard.key
            pieces = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._noted_pieces, shard, key
            )
            await self._storage.put(key, pieces)
            del pieces
        async with self._room:
            self._waiting_bytes -= size
            self._room.notify_all()

    def _noted_pieces(self, shard: FinishedShard, key: str) -> list[bytes]:
        pieces = shard.take_pieces()
        self._checksums.note(key, pieces)
        return pieces

    async def _write_rest(self, described: Described, statistics: CubeStatistics) -> None:
        """Thumbnail, statistics and at last the documents that make the cube whole."""
        collection, item = self._upload.collection, self._upload.item
        info = described.info
        await writer.write_thumbnail(
            self._storage, self._put, collection, item, info, statistics, self._executor
        )
        await self._progress(0.98)
        await writer.write_documents(
            self._put, collection, item, info, statistics, described.acquisition
        )
        await writer.write_checksums(self._store, collection, item, self._checksums.result())

    async def _put(self, key: str, content: bytes, content_type: str) -> object:
        self._checksums.note(key, content)
        return await self._store(key, content, content_type)

    async def _store(self, key: str, content: bytes, content_type: str) -> object:
        return await self._storage.put(key, content, content_type=content_type)


def _pixels(window: Window) -> int:
    return math.prod(part.stop - part.start for part in window)


def _content(files: Sequence[BlobSource], name: str, field: str) -> bytes:
    for file in files:
        if file.name == name:
            return file.read_at(0, MAX_BYTES + 1)
    raise MetadataMismatch(f"`{field}` is {name!r}; no file of the upload is it.")


def with_empty_bands(info: CubeInfo, statistics: CubeStatistics) -> CubeInfo:
    """The description with bands of no valid pixel marked unfit; NoValidData where all are so."""
    filled = [band.valid_count > 0 for band in statistics.bands]
    if not any(filled):
        raise NoValidData(
            "Not one pixel of any band is valid: all are NaN, infinite or the nodata value."
        )
    if all(filled):
        return info
    good = tuple(fit and has for fit, has in zip(info.good, filled, strict=True))
    return dataclasses.replace(info, good_bands=good)
