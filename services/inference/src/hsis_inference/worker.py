"""The loops that compute blocks and clean up, beside the HTTP server in the same process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import asyncpg

from hsis.errors import Conflict, DomainError, InvalidInput, NotFound, TooLarge, Unavailable
from hsis.service.ending import end_if_told
from hsis.service.logs import new_request_id, request_id
from hsis_inference import leases, queue
from hsis_inference.device import Device
from hsis_inference.errors import JobFailed, LeaseLost
from hsis_inference.jobs import Job
from hsis_inference.repository.blocks import Lease
from hsis_inference.settings import Settings
from hsis_inference.steps import Steps
from hsis_inference.sweep import sweep_one

logger = logging.getLogger(__name__)

LASTING = (InvalidInput, NotFound, Conflict, TooLarge)
"""Errors that another attempt would meet again."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One replica's share of the work; any number of replicas share a database."""

    settings: Settings
    pool: asyncpg.Pool
    steps: Steps

    async def run(self, device: Device) -> None:
        """Work until cancelled."""
        poll_s = self.settings.worker_poll_s
        async with asyncio.TaskGroup() as group:
            for _ in range(self.settings.worker_concurrency):
                group.create_task(self._repeat(partial(self.work_once, device), poll_s))
            group.create_task(self._repeat(self._clean_up, self.settings.sweep_s))

    async def work_once(self, device: Device) -> bool:
        """Claim and work on one block; False where there was none."""
        settings = self.settings
        claimed = await queue.claim(
            self.pool, settings.worker_id, settings.lease_s, settings.max_attempts
        )
        if claimed is None:
            return False
        await self._work(*claimed, device)
        return True

    async def _work(self, lease: Lease, job: Job, device: Device) -> None:
        about = {"job": str(job.id), "phase": job.phases[lease.phase], "block": lease.index}
        try:
            async with leases.kept(self.pool, lease, self.settings.lease_s):
                result = await self.steps.perform(job, lease, device)
                await queue.finish(self.pool, lease, device.label, result)
        except LeaseLost as error:
            logger.info("block given up: %s", error.detail, extra=about)
            await queue.hand_back(self.pool, lease)
        except LASTING as error:
            logger.info("job failed: %s", error.detail, extra=about)
            await self._fail(lease, error)
        except asyncio.CancelledError:
            await queue.hand_back(self.pool, lease)
            raise
        except Unavailable as error:
            logger.warning("block failed: %s", error.detail, extra=about)
            await self._retry(lease, error.detail)
        except Exception:
            logger.exception("block failed", extra=about)
            await self._retry(lease, "an unexpected error; the job's id finds it in the logs")

    async def _retry(self, lease: Lease, reason: str) -> None:
        if lease.attempts < self.settings.max_attempts:
            delay_s = self.settings.retry_delay_s * lease.attempts
            await queue.retry_later(self.pool, lease, reason, delay_s)
            return
        await self._fail(
            lease,
            JobFailed(
                f"Block {lease.index} was tried {lease.attempts} times (HSIS_MAX_ATTEMPTS): "
                f"{reason}"
            ),
        )

    async def _fail(self, lease: Lease, error: DomainError) -> None:
        try:
            await queue.fail(self.pool, lease, error)
        except LeaseLost:
            logger.info("the job goes on with another worker", extra={"job": str(lease.job)})

    async def _clean_up(self) -> bool:
        await queue.fail_exhausted(self.pool, self.settings.max_attempts)
        steps = self.steps
        return await sweep_one(self.pool, steps.catalog, steps.storage) is not None

    async def _repeat(self, step: Callable[[], Awaitable[bool]], wait_s: float) -> None:
        """Do a step again and again, with a wait after one that found nothing to do or failed."""
        while True:
            request_id.set(new_request_id())
            try:
                found = await step()
            except (DomainError, TimeoutError) as error:
                end_if_told()
                logger.warning("the worker goes on after: %s", error)
                found = False
            except Exception:
                end_if_told()
                logger.exception("the worker goes on after an unexpected error")
                found = False
            if not found:
                await asyncio.sleep(wait_s)
