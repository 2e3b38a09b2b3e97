"""Work that may go on only while a lease is kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from hsis.errors import Unavailable
from hsis_ingest.errors import LeaseLost

logger = logging.getLogger(__name__)

T = TypeVar("T")

RENEWALS_PER_LEASE = 4


async def while_leased(
    work: Coroutine[None, None, T], renew: Callable[[], Awaitable[bool]], lease_s: float
) -> T:
    """The result of `work`, which is cancelled as soon as `renew` says that the lease is lost, or
    could not be asked in time. LeaseLost then."""
    working = asyncio.ensure_future(work)
    renewing = asyncio.ensure_future(_keep(renew, lease_s))
    try:
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        renewing.result()  # what no lease explains is raised as what it is
        raise LeaseLost
    finally:
        for task in (renewing, working):
            task.cancel()
        await asyncio.gather(renewing, working, return_exceptions=True)


async def _keep(renew: Callable[[], Awaitable[bool]], lease_s: float) -> None:
    """Return once the lease is lost."""
    clock = asyncio.get_running_loop().time
    until = clock() + lease_s
    while clock() < until:
        await asyncio.sleep(min(lease_s / RENEWALS_PER_LEASE, until - clock()))
        asked = clock()
        try:
            async with asyncio.timeout(max(0.1, until - asked)):
                if not await renew():
                    return
        except (Unavailable, TimeoutError) as error:
            logger.warning("a lease could not be renewed: %s", error)
        else:
            until = asked + lease_s
