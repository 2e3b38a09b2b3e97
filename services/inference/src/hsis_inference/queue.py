"""The steps of a job, each one transaction."""

import asyncpg

from hsis.contracts.jobs import JobStatus
from hsis.errors import COMMON_PROBLEMS, DomainError, Problem, problem_type
from hsis.service.postgres import autocommit, transaction
from hsis_inference.errors import PROBLEMS, JobFailed, LeaseLost
from hsis_inference.jobs import Job, Phase
from hsis_inference.repository import blocks, jobs
from hsis_inference.repository.blocks import Lease

ALL_PROBLEMS = {**COMMON_PROBLEMS, **PROBLEMS}


async def claim(
    pool: asyncpg.Pool, worker: str, lease_s: float, max_attempts: int
) -> tuple[Lease, Job] | None:
    """A leased block and its job, now running; None where nothing is to be done."""
    async with autocommit(pool) as connection:
        lease = await blocks.claim(connection, worker, lease_s, max_attempts)
    if lease is None:
        return None
    # In a transaction of its own: elsewhere the job's row is locked before the block's.
    async with transaction(pool) as connection:
        job = await jobs.start(connection, lease.job)
        if job is None:
            await blocks.hand_back(connection, lease)
            return None
    return lease, job


async def finish(
    pool: asyncpg.Pool, lease: Lease, device: str, result: bytes | None = None
) -> JobStatus:
    """Mark the block done with its result, and open the next phase after the last of its phase.

    LeaseLost where another has the block by now, or where the job ended: nothing is changed then.
    """
    async with transaction(pool) as connection:
        job = await jobs.lock(connection, lease.job)
        if job is None or job.status.final:
            raise LeaseLost(f"Job {lease.job} has ended.")
        if job.phases[lease.phase] is Phase.REDUCE:
            kept, model = None, result
        else:
            kept, model = result, None
        if not await blocks.finish(connection, lease, kept):
            raise LeaseLost(f"Block {lease.index} of job {lease.job} is another worker's by now.")
        if model is not None:
            await jobs.keep_model(connection, job.id, model)
        await jobs.count_block(connection, job.id, device)
        if await blocks.open_blocks(connection, job.id, lease.phase):
            return JobStatus.RUNNING
        await jobs.advance(connection, job)
        last = lease.phase + 1 == len(job.phases)
        return JobStatus.SUCCESSFUL if last else JobStatus.RUNNING


async def fail(pool: asyncpg.Pool, lease: Lease, error: DomainError) -> None:
    """End the job as failed for that reason; LeaseLost where the block is another's by now."""
    async with transaction(pool) as connection:
        await jobs.lock(connection, lease.job)
        if not await blocks.give_up(connection, lease, error.detail, 0.0):
            raise LeaseLost(f"Block {lease.index} of job {lease.job} is another worker's by now.")
        await jobs.end(connection, lease.job, JobStatus.FAILED, problem(error))


async def retry_later(pool: asyncpg.Pool, lease: Lease, error: str, delay_s: float) -> None:
    """Leave the block to another attempt."""
    async with autocommit(pool) as connection:
        await blocks.give_up(connection, lease, error, delay_s)


async def hand_back(pool: asyncpg.Pool, lease: Lease) -> None:
    """Leave the block to others at once, without counting this attempt."""
    async with autocommit(pool) as connection:
        await blocks.hand_back(connection, lease)


async def fail_exhausted(pool: asyncpg.Pool, max_attempts: int) -> int:
    """Fail the jobs that have a block with no attempt left; how many there were."""
    failed = 0
    async with transaction(pool) as connection:
        for block in await blocks.exhausted(connection, max_attempts):
            reason = block.error or "each of its workers went away"
            error = JobFailed(
                f"Block {block.index} was tried {block.attempts} times (HSIS_MAX_ATTEMPTS): "
                f"{reason}"
            )
            failed += await jobs.end(connection, block.job, JobStatus.FAILED, problem(error))
    return failed


def problem(error: DomainError) -> Problem:
    """The problem document that a job keeps of its failure."""
    return Problem.of(problem_type(ALL_PROBLEMS, error), error.detail)
