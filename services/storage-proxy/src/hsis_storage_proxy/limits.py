"""How much one client, and all together, may ask of a process at once.

A client is the bearer of a token, else the address that the edge saw. The services' own requests
are not counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cachetools import LRUCache
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from hsis.errors import Unavailable
from hsis.service.tokens import optional_caller
from hsis_storage_proxy.errors import TooManyRequests
from hsis_storage_proxy.settings import Settings

MAX_PACES = 10_000
BURST_S = 1.0
"""What a client that was quiet may send or get at once, in seconds of its rate."""


@dataclass(slots=True)
class _Client:
    places: asyncio.Semaphore
    requests: int = 0


@dataclass(slots=True)
class _Pace:
    paid_until: float = field(default=0.0)


class ClientLimits:
    """Places of clients in one process. What is over a client's share waits, for a while."""

    def __init__(self, settings: Settings) -> None:
        self._each = settings.client_requests
        self._wait_s = settings.client_wait_s
        self._together = settings.max_requests
        self.bytes_per_s = settings.client_bytes_per_s
        self._requests = 0
        self._clients: dict[str, _Client] = {}
        self._paces: LRUCache[str, _Pace] = LRUCache(MAX_PACES)

    @asynccontextmanager
    async def taken(self, name: str) -> AsyncIterator[None]:
        """Wait for a place of the client's and hold it.

        TooManyRequests where none was free for `client_wait_s`, Unavailable at once where all
        clients together have too many requests here, waiting ones included.
        """
        if self._requests >= self._together:
            raise Unavailable(f"There are {self._together} requests already (max_requests).")
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = _Client(asyncio.Semaphore(self._each))
        self._requests += 1
        client.requests += 1
        try:
            if client.places.locked():
                await self._wait(client)
            else:
                await client.places.acquire()
            try:
                yield
            finally:
                client.places.release()
        finally:
            self._requests -= 1
            client.requests -= 1
            if client.requests == 0:
                del self._clients[name]

    async def _wait(self, client: _Client) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await client.places.acquire()
        except TimeoutError:
            raise TooManyRequests(
                f"{self._each} requests of yours are being answered (client_requests); none came "
                f"to its end for {self._wait_s:g} s."
            ) from None

    async def pace(self, name: str, size: int) -> None:
        """Wait until the client may have sent or got `size` bytes more."""
        assert self.bytes_per_s is not None
        pace = self._paces.setdefault(name, _Pace())
        now = asyncio.get_running_loop().time()
        pace.paid_until = max(pace.paid_until, now - BURST_S) + size / self.bytes_per_s
        if pace.paid_until > now:
            await asyncio.sleep(pace.paid_until - now)

    def __len__(self) -> int:
        return len(self._clients)


class LimitedRoute(APIRoute):
    """Answers while the client has a place, to the end of the answer's body."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        caller = await optional_caller(request)
        if caller is not None and caller.is_service:
            await self.answer(scope, receive, send)
            return
        limits: ClientLimits = request.state.state.limits
        name = f"token {caller.subject}" if caller else address_of(request)
        async with limits.taken(name):
            if limits.bytes_per_s is not None:
                receive, send = _paced(limits, name, receive, send)
            await self.answer(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it, whatever the client may ask at once."""
        await super().handle(scope, receive, send)


def address_of(request: Request) -> str:
    """The client's address: as the edge wrote it, at the end of what came before."""
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded:
        return forwarded.rpartition(",")[2].strip()
    return request.client.host if request.client else ""


def _paced(limits: ClientLimits, name: str, receive: Receive, send: Send) -> tuple[Receive, Send]:
    async def paced_receive() -> Message:
        message = await receive()
        if message.get("body"):
            await limits.pace(name, len(message["body"]))
        return message

    async def paced_send(message: Message) -> None:
        if message.get("body"):
            await limits.pace(name, len(message["body"]))
        await send(message)

    return paced_receive, paced_send
