"""What a worker does with a block in each phase. Nothing here is in a transaction."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
from cachetools import LRUCache
from numpy.typing import NDArray

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix
from hsis.cube.checksums import ChecksumRecorder, Checksums
from hsis.cube.layout import CubeInfo, shard_indices, shard_key, shard_shape
from hsis.cube.reader import StoredCube
from hsis.cube.shard import encode_shard
from hsis.errors import NotFound
from hsis.service.postgres import autocommit
from hsis_inference.device import Device
from hsis_inference.errors import LeaseLost, SourceChanged
from hsis_inference.jobs import Job, Phase
from hsis_inference.processes import process_of
from hsis_inference.processes.base import TwoPassProcess
from hsis_inference.publication import publish, result_info
from hsis_inference.repository import blocks, jobs
from hsis_inference.repository.blocks import Lease
from hsis_inference.scene import Footprint, band_shards, footprints

Result = TypeVar("Result")

OPEN_SOURCES = 8


@dataclass(frozen=True, slots=True)
class Steps:
    """Reads sources and writes results with the service's own token."""

    pool: asyncpg.Pool
    catalog: CatalogClient
    storage: StorageClient
    executor: Executor
    _sources: LRUCache[object, StoredCube] = field(default_factory=lambda: LRUCache(OPEN_SOURCES))

    async def perform(self, job: Job, lease: Lease, device: Device) -> bytes | None:
        """Do the block's work; what the queue is to keep of it."""
        match job.phases[lease.phase]:
            case Phase.GATHER:
                return await self._gather(job, lease, device)
            case Phase.REDUCE:
                return await self._reduce(job, lease)
            case Phase.MAP:
                return await self._map(job, lease, device)
            case Phase.PUBLISH:
                info = result_info(job, (await self._source(job)).info)
                software = {"torch": device.version}
                checksums = await self._checksums(job, lease, info)
                await publish(
                    job, info, self.catalog, self.storage, self.executor, software, checksums
                )
        return None

    async def _gather(self, job: Job, lease: Lease, device: Device) -> bytes:
        process = _two_pass(job)
        block, _ = await self._block(job, lease)
        return await self._run(process.gather, job.plan, block, device)

    async def _reduce(self, job: Job, lease: Lease) -> bytes:
        """The partial results combined two by two in the order of the blocks, one in memory."""
        process = _two_pass(job)
        total: bytes | None = None
        for index in range(job.block_count):
            async with autocommit(self.pool) as connection:
                part = await blocks.result(connection, job.id, lease.phase - 1, index)
            if part is None:
                raise LeaseLost(f"Job {job.id} is past this phase.")
            total = part if total is None else await self._run(process.merge, total, part)
        assert total is not None
        return await self._run(process.conclude, total)

    async def _map(self, job: Job, lease: Lease, device: Device) -> bytes:
        """The checksums of the shards that were stored."""
        process = process_of(job.process)
        block, where = await self._block(job, lease)
        if isinstance(process, TwoPassProcess):
            model = await self._model(job)
            result = await self._run(process.compute, job.plan, model, block, device)
        else:
            result = await self._run(process.compute, job.plan, block, device)
        info = result_info(job, (await self._source(job)).info)
        prefix = cube_prefix(job.collection, job.result_item)
        checksums = ChecksumRecorder(job.collection, job.result_item)
        for index, bands in band_shards(info.shape, where.grid):
            key = prefix + shard_key(index)
            content = await self._run(_encoded, result[bands], info)
            await self._run(checksums.note, key, content)
            await self.storage.put(key, content)
        return checksums.result().model_dump_json().encode()

    async def _checksums(self, job: Job, lease: Lease, info: CubeInfo) -> ChecksumRecorder:
        """Those that the phase before has left, of every shard of the result."""
        async with autocommit(self.pool) as connection:
            found = await blocks.results(connection, job.id, lease.phase - 1)
        checksums = ChecksumRecorder(job.collection, job.result_item)
        for content in found:
            checksums.extend(Checksums.model_validate_json(content))
        for index in shard_indices(info.shape):
            key = cube_prefix(job.collection, job.result_item) + shard_key(index)
            if not checksums.knows(key):  # stored by a worker of an earlier version
                await self._run(checksums.note, key, await self.storage.get(key))
        return checksums

    async def _model(self, job: Job) -> bytes:
        """What the first pass made; LeaseLost where the job ended, which removes it."""
        async with autocommit(self.pool) as connection:
            model = await jobs.model(connection, job.id)
        if model is None:
            raise LeaseLost(f"Job {job.id} has ended.")
        return model

    async def _block(self, job: Job, lease: Lease) -> tuple[NDArray[Any], Footprint]:
        """Stored values (band, y, x) of the plan's bands in the block, and where it lies."""
        source = await self._source(job)
        places = footprints(*source.info.shape[1:])
        if len(places) != job.block_count:
            raise SourceChanged(f"The cube {job.source_item!r} changed while the job ran.")
        where = places[lease.index]
        try:
            values = await source.read(job.plan.bands, where.rows, where.columns)
        except (NotFound, IndexError) as error:
            raise SourceChanged(
                f"The cube {job.source_item!r} was removed or changed while the job ran."
            ) from error
        return values, where

    async def _source(self, job: Job) -> StoredCube:
        cube = self._sources.get(job.id)
        if cube is None:
            prefix = cube_prefix(job.collection, job.source_item)
            try:
                cube = await StoredCube.open(self.storage, prefix, self.executor)
            except NotFound as error:
                raise SourceChanged(
                    f"The cube {job.source_item!r} was removed while the job ran."
                ) from error
            self._sources[job.id] = cube
        return cube

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's answer, computed in the executor."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, function, *arguments)


def _two_pass(job: Job) -> TwoPassProcess:
    """The job's process; only jobs of two passes have phases that ask for this."""
    process = process_of(job.process)
    assert isinstance(process, TwoPassProcess)
    return process


def _encoded(bands: NDArray[Any], info: CubeInfo) -> bytes:
    return encode_shard(bands, shard_shape(info.shape))
