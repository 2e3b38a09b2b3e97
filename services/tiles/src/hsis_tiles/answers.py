"""Answers that are long: told by entity tag and range, sent at the client's pace."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping

from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from hsis_tiles.export.stream import Bytes

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"^bytes=(\d{0,19})-(\d{0,19})$")


class UnsatisfiableRange(ValueError):
    """No byte of the range is in the file."""


def parse_range(text: str | None, length: int) -> tuple[int, int] | None:
    """The half-open interval of bytes of a `Range` header; None where all of them are to be sent,
    as for several ranges at once (RFC 9110 allows that). UnsatisfiableRange where none is there."""
    found = _RANGE.match(text.strip()) if text else None
    if found is None or found[0] == "bytes=-":
        return None
    if not found[1]:  # the last bytes
        start, stop = max(0, length - int(found[2])), length
    else:
        start = int(found[1])
        stop = min(int(found[2]) + 1, length) if found[2] else length
        if found[2] and int(found[2]) < start:
            return None
    if start >= stop:
        raise UnsatisfiableRange(text)
    return start, stop


class LongAnswer(StreamingResponse):
    """A body that is made while it is sent. `finished` is called once, however it ends.

    A client that takes nothing for `idle_s` is left.
    """

    def __init__(
        self,
        content: AsyncGenerator[Bytes, None],
        *,
        status_code: int,
        media_type: str,
        headers: Mapping[str, str],
        idle_s: float,
        finished: Callable[[], None],
    ) -> None:
        super().__init__(content, status_code, headers, media_type)
        self._content = content
        self._idle_s = idle_s
        self._finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, and stop what is under way for it where it ends before its end."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._idle_s):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except (TimeoutError, ClientDisconnect):
            # The server closes the connection, as the answer is not whole.
            logger.warning("a client left, or took nothing of its export for %s s", self._idle_s)
        finally:
            try:
                await self._content.aclose()
            finally:
                self._finished()
