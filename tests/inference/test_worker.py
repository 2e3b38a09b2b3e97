"""Workers driven step by step over the real platform and a queue of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import numpy as np
import pytest

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.access import Caller, Scope
from hsis.contracts.jobs import JobStatus
from hsis.errors import NotFound
from hsis.service.access import CollectionAccess
from hsis.service.http import ServiceAuth, open_http
from hsis.service.postgres import migrate, open_pool, transaction
from hsis.service.secret_files import SigningKeys
from hsis_embedded.readiness import free_port
from hsis_inference import queue
from hsis_inference.device import Device
from hsis_inference.execution import Execution
from hsis_inference.jobs import Job, Phase
from hsis_inference.repository import jobs
from hsis_inference.settings import Settings
from hsis_inference.steps import Steps
from hsis_inference.sweep import sweep_one
from hsis_inference.worker import Worker
from tests.inference.conftest import LAB
from tests.inference.platform import Bench
from tests.support.platform import SERVICE_SECRET

CUBE = np.random.default_rng(9).normal(500, 90, (5, 300, 600)).astype(np.float32)


class Crew:
    """Workers of one queue, and what makes jobs for it."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, exits: AsyncExitStack) -> None:
        self.settings, self.pool = settings, pool
        self._exits = exits
        self.http = open_http(settings, ServiceAuth("inference", settings))
        self.catalog = CatalogClient(self.http, settings.catalog_url)
        self.storage = StorageClient(self.http, settings.storage_proxy_url)

    def worker(self, **changes: Any) -> Worker:
        settings = self.settings.model_copy(update=changes)
        executor = self._exits.enter_context(ThreadPoolExecutor(2))
        storage = StorageClient(self.http, settings.storage_proxy_url)
        return Worker(settings, self.pool, Steps(self.pool, self.catalog, storage, executor))

    async def execute(self, bench: Bench, process: str, **inputs: Any) -> Job:
        access = CollectionAccess(bench.catalog, 0)
        execution = Execution(self.pool, access, bench.catalog, self.catalog, self.storage)
        scopes = frozenset({Scope.READ, Scope.WRITE})
        caller = Caller(subject="me", name="me", scopes=scopes, token=bench.token)
        return await execution.start(caller, process, {"collection": LAB} | inputs)

    async def current(self, job: Job) -> Job:
        async with transaction(self.pool) as connection:
            found = await jobs.get(connection, job.id)
        assert found is not None
        return found

    async def work_until(self, worker: Worker, job: Job, phase: Phase, device: Device) -> None:
        """Until a block of that phase is next."""
        while (await self.current(job)).current_phase is not phase:
            assert await worker.work_once(device)

    async def end_every_lease(self) -> None:
        await self.pool.execute("UPDATE blocks SET lease_until = now() WHERE state = 'open'")

    async def dismiss_and_sweep(self, job: Job) -> None:
        async with transaction(self.pool) as connection:
            assert await jobs.end(connection, job.id, JobStatus.DISMISSED)
        await self.pool.execute("UPDATE jobs SET finished_at = now() - interval '1 minute'")
        swept = await sweep_one(self.pool, self.catalog, self.storage)
        assert swept is not None
        assert swept.id == job.id


@pytest.fixture
async def crew(
    bench: Bench, database: Callable[[str], Awaitable[dict[str, Any]]], keys: SigningKeys
) -> AsyncIterator[Crew]:
    settings = Settings(
        token_public_key=keys.public_pem,
        catalog_url=bench.platform.catalog_url,
        storage_proxy_url=bench.platform.storage_url,
        service_secret=SERVICE_SECRET + "inference",
        retry_delay_s=0,
        **await database("inference"),
    )
    await migrate(settings, "inference", "hsis_inference")
    async with AsyncExitStack() as exits, open_pool(settings, "inference") as pool:
        made = Crew(settings, pool, exits)
        exits.push_async_callback(made.http.aclose)
        yield made


@pytest.fixture(scope="module", autouse=True)
async def _source(bench: Bench) -> None:
    await bench.store(LAB, "scene", CUBE)


async def test_the_result_is_the_same_whoever_worked(bench: Bench, crew: Crew, cpu: Device) -> None:
    async def stored(job: Job) -> bytes:
        cube = await bench.cube(LAB, job.result_item)
        return (await cube.read(None, (0, 300), (0, 600))).tobytes()

    alone = await crew.execute(bench, "rx", item="scene")
    one, two = crew.worker(), crew.worker()
    while await one.work_once(cpu):
        pass
    shared = await crew.execute(bench, "rx", item="scene")
    # The blocks of the first pass are finished in the order 1, 0, 3, 2.
    while not (await crew.current(shared)).status.final:
        first = await queue.claim(crew.pool, "one", 600, 3)
        if not await two.work_once(cpu) and first is None:
            break
        if first is not None:
            lease, job = first
            await queue.finish(
                crew.pool, lease, cpu.label, await one.steps.perform(job, lease, cpu)
            )
    assert (await crew.current(shared)).status is JobStatus.SUCCESSFUL
    assert await stored(alone) == await stored(shared)


async def test_publishing_again_after_a_crash_meets_its_own_item(
    bench: Bench, crew: Crew, cpu: Device
) -> None:
    worker = crew.worker()
    job = await crew.execute(bench, "rx", item="scene", id="published")
    await crew.work_until(worker, job, Phase.PUBLISH, cpu)
    claimed = await queue.claim(crew.pool, "killed", 600, 3)
    assert claimed is not None
    lease, running = claimed
    await worker.steps.perform(running, lease, cpu)  # and is killed before it says so
    before = await bench.keys(LAB, "published")
    assert not await worker.work_once(cpu)
    await crew.end_every_lease()
    assert await worker.work_once(cpu)
    assert (await crew.current(job)).status is JobStatus.SUCCESSFUL
    assert await bench.keys(LAB, "published") == before
    found = await bench.catalog.search({"ids": ["published"]}, token=bench.token)
    assert len(found["features"]) == 1


async def test_an_item_of_another_that_took_the_id_is_left_alone(
    bench: Bench, crew: Crew, cpu: Device
) -> None:
    worker = crew.worker()
    job = await crew.execute(bench, "rx", item="scene", id="taken")
    await crew.work_until(worker, job, Phase.PUBLISH, cpu)
    await bench.store(LAB, "taken", CUBE[:1, :4, :4])
    assert await worker.work_once(cpu)
    failed = await crew.current(job)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error.slug == "conflict"
    await crew.pool.execute("UPDATE jobs SET finished_at = now() - interval '1 minute'")
    await sweep_one(crew.pool, crew.catalog, crew.storage)
    assert await bench.keys(LAB, "taken") != []


async def test_a_dismissed_job_leaves_no_objects(bench: Bench, crew: Crew, cpu: Device) -> None:
    worker = crew.worker()
    job = await crew.execute(bench, "rx", item="scene", id="half")
    await crew.work_until(worker, job, Phase.MAP, cpu)
    assert await worker.work_once(cpu)
    assert len(await bench.keys(LAB, "half")) == 1
    await crew.dismiss_and_sweep(job)
    assert await bench.keys(LAB, "half") == []
    assert await crew.pool.fetchval("SELECT count(*) FROM blocks") == 0


async def test_a_job_dismissed_after_its_item_was_registered_leaves_no_item(
    bench: Bench, crew: Crew, cpu: Device
) -> None:
    worker = crew.worker()
    job = await crew.execute(bench, "rx", item="scene", id="late")
    await crew.work_until(worker, job, Phase.PUBLISH, cpu)
    claimed = await queue.claim(crew.pool, "killed", 600, 3)
    assert claimed is not None
    await worker.steps.perform(claimed[1], claimed[0], cpu)
    await crew.end_every_lease()
    await crew.dismiss_and_sweep(job)
    with pytest.raises(NotFound):
        await bench.catalog.item(LAB, "late", token=bench.token)
    assert await bench.keys(LAB, "late") == []


async def test_a_source_that_was_replaced_fails_the_job(
    bench: Bench, crew: Crew, cpu: Device
) -> None:
    await bench.store(LAB, "replaced", CUBE[:, :30, :40])
    worker = crew.worker()
    job = await crew.execute(bench, "rx", item="replaced")
    await crew.work_until(worker, job, Phase.PUBLISH, cpu)
    await bench.catalog.delete_item(LAB, "replaced", token=bench.token)
    assert await worker.work_once(cpu)
    failed = await crew.current(job)
    assert failed.error is not None
    assert failed.error.slug == "source-changed"


async def test_a_storage_that_is_away_is_tried_again_so_many_times(
    bench: Bench, crew: Crew, cpu: Device
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    worker = crew.worker(storage_proxy_url=nowhere, max_attempts=2)
    job = await crew.execute(bench, "rx", item="scene", id="away")
    assert await worker.work_once(cpu)
    assert (await crew.current(job)).status is JobStatus.RUNNING
    blocks = await crew.pool.fetch("SELECT attempts, error FROM blocks WHERE error IS NOT NULL")
    assert [block["attempts"] for block in blocks] == [1]
    assert await worker.work_once(cpu)
    failed = await crew.current(job)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert "tried 2 times" in failed.error.detail
