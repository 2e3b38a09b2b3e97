"""A limit to the bodies of requests that are read whole."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The most bytes of a body, and the variable that says so. Bodies of the `streamed` methods,
    and of requests that `streams` says so of, are not held, so they are not limited here."""

    max_bytes: int
    setting: str
    streamed: frozenset[str] = frozenset()
    streams: Callable[[Scope], bool] = lambda _: False


class LimitBodies:
    """ASGI middleware: refuses a request whose body is over the limit, once it is.

    The framework reads a body before it looks at the token, so without a limit anyone could fill
    the memory.
    """

    def __init__(
        self, app: ASGIApp, limit: BodyLimit, refuse: Callable[[Request, str], Response]
    ) -> None:
        self._app = app
        self._limit = limit
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body of one HTTP request; everything else passes through."""
        if (
            scope["type"] != "http"
            or scope["method"] in self._limit.streamed
            or self._limit.streams(scope)
        ):
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit.max_bytes:
                # The only kind of error that FastAPI lets through while it reads a body.
                raise HTTPException(413)
            return message

        async def send_own(message: Message) -> None:
            if received <= self._limit.max_bytes:
                await send(message)

        await self._app(scope, counted, send_own)
        if received > self._limit.max_bytes:
            detail = f"A body may have {self._limit.max_bytes} bytes ({self._limit.setting})."
            await self._refuse(Request(scope), detail)(scope, receive, send)
