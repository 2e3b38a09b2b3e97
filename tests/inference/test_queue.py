"""Leases and their fencing in a real Postgres."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import numpy as np
import pytest

from hsis.contracts.jobs import JobStatus
from hsis.errors import Conflict
from hsis.service.postgres import open_pool, transaction
from hsis.service.secret_files import SigningKeys
from hsis_inference import leases, queue
from hsis_inference.errors import LeaseLost, NotEnoughPixels
from hsis_inference.jobs import Job, NewJob, Phase, phases_of
from hsis_inference.processes.rx import Rx
from hsis_inference.repository import jobs
from hsis_inference.repository.blocks import Lease
from hsis_inference.settings import Settings
from tests.inference.scenes import info_of, plan_of

LEASE_S = 600
PLAN = plan_of(Rx(), info_of(np.ones((2, 300, 600))))


@pytest.fixture
async def pool(
    database: Callable[[str], Awaitable[dict[str, Any]]], keys: SigningKeys
) -> AsyncIterator[asyncpg.Pool]:
    settings = Settings(token_public_key=keys.public_pem, **await database("inference"))
    async with open_pool(settings, "inference") as made:
        yield made


async def add_job(pool: asyncpg.Pool, result: str = "result", blocks: int = 2) -> Job:
    new = NewJob(
        id=uuid.uuid4(),
        process="rx",
        owner="somebody",
        collection="lab",
        source_item="cube",
        result_item=result,
        parameters={},
        plan=PLAN,
        source={"geometry": None, "bbox": None, "properties": {}},
        phases=phases_of(Rx()),
        block_count=blocks,
    )
    async with transaction(pool) as connection:
        return await jobs.create(connection, new)


async def claim(pool: asyncpg.Pool, lease_s: float = LEASE_S, max_attempts: int = 3) -> Lease:
    claimed = await queue.claim(pool, "worker", lease_s, max_attempts)
    assert claimed is not None
    return claimed[0]


async def nothing_to_claim(pool: asyncpg.Pool, max_attempts: int = 3) -> bool:
    return await queue.claim(pool, "worker", LEASE_S, max_attempts) is None


async def current(pool: asyncpg.Pool, job: Job) -> Job:
    async with transaction(pool) as connection:
        found = await jobs.get(connection, job.id)
    assert found is not None
    return found


async def expire(pool: asyncpg.Pool) -> None:
    """End every lease now, by the database's clock."""
    await pool.execute(
        "UPDATE blocks SET lease_until = now() - interval '1 ms' WHERE lease_until IS NOT NULL"
    )


async def test_a_job_goes_through_its_phases(pool: asyncpg.Pool) -> None:
    job = await add_job(pool)
    assert job.status is JobStatus.ACCEPTED
    assert await pool.fetchval("SELECT total_blocks FROM jobs") == 2 + 1 + 2 + 1
    seen = []
    progress = []
    while not (now := await current(pool, job)).status.final:
        lease = await claim(pool)
        seen.append((now.phases[lease.phase], lease.index))
        progress.append((await current(pool, job)).progress)
        content = f"{lease.phase}-{lease.index}".encode()
        await queue.finish(pool, lease, f"device {lease.index}", content)
        if now.phases[lease.phase] is Phase.REDUCE:
            async with transaction(pool) as connection:
                assert await jobs.model(connection, job.id) == b"1-0"
    expected = [(Phase.GATHER, 0), (Phase.GATHER, 1), (Phase.REDUCE, 0), (Phase.MAP, 0)]
    assert seen == [*expected, (Phase.MAP, 1), (Phase.PUBLISH, 0)]
    assert progress == [0, 16, 33, 50, 66, 83]
    done = await current(pool, job)
    assert (done.status, done.progress) == (JobStatus.SUCCESSFUL, 100)
    assert set(done.devices) == {"device 0", "device 1"}
    assert await pool.fetchval("SELECT count(*) FROM blocks") == 0
    assert await nothing_to_claim(pool)


async def test_many_workers_never_share_a_block(pool: asyncpg.Pool) -> None:
    await add_job(pool, blocks=20)
    claims = await asyncio.gather(*(queue.claim(pool, "w", LEASE_S, 3) for _ in range(30)))
    got = [claimed[0] for claimed in claims if claimed is not None]
    assert sorted(lease.index for lease in got) == list(range(20))
    await asyncio.gather(*(queue.finish(pool, lease, "cpu", b"") for lease in got))
    assert (await claim(pool)).phase == 1


async def test_an_expired_lease_is_taken_over_and_its_token_is_worth_nothing(
    pool: asyncpg.Pool,
) -> None:
    job = await add_job(pool, blocks=1)
    stale = await claim(pool)
    assert await nothing_to_claim(pool)
    await expire(pool)
    fresh = await claim(pool)
    assert (fresh.index, fresh.attempts) == (stale.index, 2)
    with pytest.raises(LeaseLost):
        await queue.finish(pool, stale, "cpu", b"stale")
    with pytest.raises(LeaseLost):
        await queue.fail(pool, stale, NotEnoughPixels("stale"))
    await queue.hand_back(pool, stale)
    await queue.retry_later(pool, stale, "stale", 0)
    assert (await current(pool, job)).status is JobStatus.RUNNING
    await queue.finish(pool, fresh, "cpu", b"fresh")
    assert await pool.fetchval("SELECT result FROM blocks WHERE phase = 0") == b"fresh"
    with pytest.raises(LeaseLost):
        await queue.finish(pool, fresh, "cpu", b"twice")
    assert (await current(pool, job)).done_blocks == 1


async def test_the_number_of_attempts_is_limited(pool: asyncpg.Pool) -> None:
    job = await add_job(pool, blocks=1)
    for _ in range(2):
        await claim(pool, max_attempts=2)
        await expire(pool)
    assert await nothing_to_claim(pool, max_attempts=2)
    assert (await current(pool, job)).status is JobStatus.RUNNING
    assert await queue.fail_exhausted(pool, 2) == 1
    failed = await current(pool, job)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error.slug == "job-failed"
    assert "tried 2 times" in failed.error.detail
    assert await queue.fail_exhausted(pool, 2) == 0


async def test_a_block_handed_back_does_not_count_as_an_attempt(pool: asyncpg.Pool) -> None:
    await add_job(pool, blocks=1)
    for _ in range(5):
        lease = await claim(pool)
        assert lease.attempts == 1
        await queue.hand_back(pool, lease)


async def test_a_retry_waits(pool: asyncpg.Pool) -> None:
    await add_job(pool, blocks=1)
    await queue.retry_later(pool, await claim(pool), "storage away", 60)
    assert await nothing_to_claim(pool)
    await expire(pool)
    assert (await claim(pool)).attempts == 2


async def test_a_dismissed_job_takes_no_more(pool: asyncpg.Pool) -> None:
    job = await add_job(pool)
    lease = await claim(pool)
    async with transaction(pool) as connection:
        assert await jobs.end(connection, job.id, JobStatus.DISMISSED)
        assert not await jobs.end(connection, job.id, JobStatus.FAILED)
    assert await nothing_to_claim(pool)
    with pytest.raises(LeaseLost):
        await queue.finish(pool, lease, "cpu", b"")
    assert (await current(pool, job)).done_blocks == 0


async def test_one_job_at_a_time_writes_to_a_result(pool: asyncpg.Pool) -> None:
    job = await add_job(pool)
    with pytest.raises(Conflict):
        await add_job(pool)
    await add_job(pool, result="another")
    async with transaction(pool) as connection:
        await jobs.end(connection, job.id, JobStatus.DISMISSED)
    with pytest.raises(Conflict):  # what it stored is not removed yet
        await add_job(pool)


async def test_a_sweep_waits_for_leases_and_frees_the_result(pool: asyncpg.Pool) -> None:
    job = await add_job(pool)
    lease = await claim(pool)
    async with transaction(pool) as connection:
        await jobs.end(connection, job.id, JobStatus.DISMISSED)
    await pool.execute("UPDATE jobs SET finished_at = now() - interval '1 minute'")
    token = uuid.uuid4()

    async def sweepable() -> Job | None:
        async with transaction(pool) as connection:
            return await jobs.claim_sweep(connection, token)

    assert await sweepable() is None
    await queue.hand_back(pool, lease)
    assert (await sweepable() or job).status is JobStatus.DISMISSED
    assert await sweepable() is None  # somebody does it
    async with transaction(pool) as connection:
        await jobs.finish_sweep(connection, job.id, uuid.uuid4())
    with pytest.raises(Conflict):
        await add_job(pool)
    async with transaction(pool) as connection:
        await jobs.finish_sweep(connection, job.id, token)
    await add_job(pool)
    assert (await current(pool, job)).status is JobStatus.DISMISSED


@pytest.fixture
def _renewed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long leases, as a busy machine needs, and a renewal each tenth of a second."""
    monkeypatch.setattr(leases, "RENEWALS_PER_LEASE", LEASE_S * 10)


@pytest.mark.usefixtures("_renewed_often")
async def test_a_kept_lease_does_not_end(pool: asyncpg.Pool) -> None:
    await add_job(pool, blocks=1)
    lease = await claim(pool)
    until = "SELECT lease_until FROM blocks WHERE lease_until IS NOT NULL"
    first = await pool.fetchval(until)
    async with leases.kept(pool, lease, LEASE_S), asyncio.timeout(60):
        while await pool.fetchval(until) <= first:
            await asyncio.sleep(0.02)
    await queue.finish(pool, lease, "cpu", b"")


@pytest.mark.usefixtures("_renewed_often")
async def test_losing_the_lease_stops_the_work(pool: asyncpg.Pool) -> None:
    job = await add_job(pool, blocks=1)
    lease = await claim(pool)

    async def work() -> None:
        async with leases.kept(pool, lease, LEASE_S):
            async with transaction(pool) as connection:
                await jobs.end(connection, job.id, JobStatus.DISMISSED)
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost, match="not this worker's"):
        await asyncio.wait_for(work(), 60)


async def test_the_works_own_error_comes_out_as_it_is(pool: asyncpg.Pool) -> None:
    await add_job(pool, blocks=1)
    lease = await claim(pool)
    with pytest.raises(NotEnoughPixels):
        async with leases.kept(pool, lease, LEASE_S):
            raise NotEnoughPixels("none")
