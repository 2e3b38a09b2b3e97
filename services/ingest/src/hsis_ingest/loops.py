"""Work that goes on as long as the process does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hsis.errors import Unavailable
from hsis.service.ending import end_if_told

logger = logging.getLogger(__name__)


async def forever(
    step: Callable[[], Awaitable[None]], pause_s: float, failure_pause_s: float
) -> None:
    """Do a step again and again until cancelled, `pause_s` apart.

    This is the outermost place of its task: whatever a step raises is logged and does not end the
    others; `failure_pause_s` more pass before the next one.
    """
    while True:
        try:
            await step()
        except Unavailable as error:
            end_if_told()
            logger.warning("waiting for another part: %s", error.detail)
            await asyncio.sleep(failure_pause_s)
        except Exception:
            end_if_told()
            logger.exception("a step failed; the work goes on")
            await asyncio.sleep(failure_pause_s)
        await asyncio.sleep(pause_s)
