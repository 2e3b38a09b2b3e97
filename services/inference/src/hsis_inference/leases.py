"""Keeping a lease while its block is worked on."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from hsis.errors import Unavailable
from hsis.service.postgres import autocommit
from hsis_inference.errors import LeaseLost
from hsis_inference.repository import blocks
from hsis_inference.repository.blocks import Lease

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4


@asynccontextmanager
async def kept(pool: asyncpg.Pool, lease: Lease, lease_s: float) -> AsyncIterator[None]:
    """Renew the lease while the body runs; the body is cancelled and LeaseLost raised when the
    lease is lost or cannot be renewed before its end."""
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(_renew(pool, lease, lease_s))
            yield
            keeper.cancel()
    except BaseExceptionGroup as errors:
        # The body's own error is raised as it is, not as one of a group.
        first, *others = errors.exceptions
        raise next((error for error in others if isinstance(error, LeaseLost)), first) from None


async def _renew(pool: asyncpg.Pool, lease: Lease, lease_s: float) -> None:
    ends = time.monotonic() + lease_s
    while True:
        await asyncio.sleep(lease_s / RENEWALS_PER_LEASE)
        asked = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, ends - asked)):
                async with autocommit(pool) as connection:
                    held = await blocks.renew(connection, lease, lease_s)
        except Unavailable as error:
            logger.warning("a lease was not renewed: %s", error.detail)
            if time.monotonic() + lease_s / RENEWALS_PER_LEASE >= ends:
                raise LeaseLost("The lease could not be renewed in time.") from error
            continue
        except TimeoutError as error:
            raise LeaseLost("The lease could not be renewed in time.") from error
        if not held:
            raise LeaseLost(f"Block {lease.index} of job {lease.job} is not this worker's.")
        ends = asked + lease_s
