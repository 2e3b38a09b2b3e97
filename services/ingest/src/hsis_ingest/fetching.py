"""Fetches the files that ingest was told to fetch: from a URL, or from elsewhere in the store."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from uuid import UUID

import httpx

from hsis.digits import natural
from hsis.errors import (
    COMMON_PROBLEMS,
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    Unavailable,
    problem_type,
)
from hsis.service.logs import new_request_id, request_id
from hsis.service.postgres import transaction
from hsis_ingest import fetch_queue, repository, uploads
from hsis_ingest.addresses import CONNECT_TIMEOUT_S, AddressRules, CheckedTransport
from hsis_ingest.errors import (
    PROBLEMS,
    LeaseLost,
    SourceNotAllowed,
    SourceRefused,
    SourceUnavailable,
)
from hsis_ingest.fetch_queue import Fetch
from hsis_ingest.leases import while_leased
from hsis_ingest.loops import forever
from hsis_ingest.state import State

logger = logging.getLogger(__name__)

BLOB = "blob:"
FINAL = (SourceNotAllowed, SourceRefused, InvalidInput, TooLarge, Conflict, NotFound)
AWAY = (Unavailable, Unauthenticated, Forbidden)
"""What is wrong with the platform and not with the source."""
PASSING_STATUSES = frozenset({408, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Takes files from the queue, some at a time."""

    def __init__(self, state: State, rules: AddressRules | None = None) -> None:
        self._state = state
        self._settings = state.settings
        self._rules = rules or AddressRules(state.settings)

    async def run(self) -> None:
        """Fetch for ever, whatever fails on the way."""
        poll_s = self._settings.worker_poll_s
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.concurrent_fetches):
                group.create_task(forever(self._fetch_all, poll_s, 0))

    async def fetch_next(self) -> bool:
        """Fetch the next file of the queue; False where there was none."""
        token = uuid.uuid4()
        async with transaction(self._state.pool) as db:
            fetch = await fetch_queue.claim(db, token, self._settings.lease_s)
        if fetch is None:
            return False
        mark = request_id.set(new_request_id())
        try:
            await self._attempt(fetch, token)
        finally:
            request_id.reset(mark)
        return True

    async def _fetch_all(self) -> None:
        while await self.fetch_next():
            pass

    async def _attempt(self, fetch: Fetch, token: UUID) -> None:
        extra = {"upload": str(fetch.upload.id), "file": fetch.file.name}
        logger.info("fetching", extra=extra | {"attempt": fetch.attempts})
        progress = _Progress()
        try:
            if fetch.attempts > self._settings.max_attempts:
                raise SourceRefused("Every attempt at fetching the file was interrupted.")
            await while_leased(
                self._store(fetch, token, progress),
                partial(self._renew, fetch, token, progress),
                self._settings.lease_s,
            )
        except asyncio.CancelledError:
            await self._put_back(fetch, token, 0, counts=False)
            raise
        except LeaseLost:
            logger.warning("the lease of a fetch was lost, or its upload given up", extra=extra)
        except AWAY as error:
            logger.warning("fetching waits: %s", error.detail, extra=extra)
            await self._put_back(fetch, token, self._settings.outage_delay_s, counts=False)
        except FINAL as error:
            await self._fail(fetch, token, error)
        except DomainError as error:
            await self._retry(fetch, token, error)
        except Exception:
            logger.exception("fetching failed unexpectedly", extra=extra)
            await self._retry(fetch, token, SourceUnavailable("An unexpected error of ingest."))

    async def _store(self, fetch: Fetch, token: UUID, progress: "_Progress") -> None:
        allowed = uploads.bytes_allowed(self._state, fetch.upload, fetch.file)
        try:
            async with (
                asyncio.timeout(self._settings.fetch_max_s),
                aclosing(self._pieces(fetch, token)) as pieces,
            ):
                await uploads.store_file(
                    self._state, fetch.upload, fetch.file, token, progress.of(pieces), allowed
                )
        except TimeoutError:
            raise SourceUnavailable(
                f"{fetch.file.name} did not come within {self._settings.fetch_max_s:.0f} s "
                "(setting fetch_max_s)."
            ) from None

    async def _pieces(self, fetch: Fetch, token: UUID) -> AsyncGenerator[bytes, None]:
        source = fetch.file.source or ""
        if source.startswith(BLOB):
            key = source.removeprefix(BLOB)
            try:
                found = await self._state.storage.head(key)
            except NotFound:
                raise SourceRefused(f"The blob {key!r} is not there any more.") from None
            if found.etag != fetch.file.source_etag:
                raise SourceRefused(f"The blob {key!r} was changed after it was asked for.")
            async for piece in self._state.storage.stream(key):
                yield piece
            return
        timeout = httpx.Timeout(self._settings.fetch_idle_s, connect=CONNECT_TIMEOUT_S)
        transport = CheckedTransport(self._rules)
        async with httpx.AsyncClient(
            transport=transport, timeout=timeout, trust_env=False
        ) as client:
            try:
                async with aclosing(self._body(client, fetch, token)) as body:
                    async for piece in body:
                        yield piece
            except (httpx.TransportError, httpx.DecodingError) as error:
                name = type(error).__name__
                raise SourceUnavailable(
                    f"{fetch.file.told_source()} cannot be fetched ({name})."
                ) from error

    async def _body(
        self, client: httpx.AsyncClient, fetch: Fetch, token: UUID
    ) -> AsyncGenerator[bytes, None]:
        url = self._rules.check_url(fetch.file.source or "")
        for _ in range(self._settings.fetch_max_redirects + 1):
            request = client.build_request("GET", url, headers={"Accept-Encoding": "identity"})
            response = await client.send(request, stream=True)
            try:
                if response.status_code not in REDIRECTS:
                    _check_answer(response)
                    await self._note_size(fetch, token, response)
                    async for piece in response.aiter_raw():
                        yield piece
                    return
                url = self._next(url, response)
            finally:
                await response.aclose()
        raise SourceRefused(
            f"{fetch.file.told_source()} redirects more than {self._settings.fetch_max_redirects} "
            "times (setting fetch_max_redirects)."
        )

    def _next(self, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        """Where a redirection leads; a secure one only to a secure one."""
        target = response.headers.get("Location", "")
        try:
            joined = url.join(target)
        except httpx.InvalidURL:
            raise SourceRefused(f"{url.host} redirects to what is no URL.") from None
        if url.scheme == "https" and joined.scheme == "http":
            raise SourceNotAllowed(f"{url.host} redirects from https to http.")
        return self._rules.check_url(str(joined))

    async def _note_size(self, fetch: Fetch, token: UUID, response: httpx.Response) -> None:
        length = natural(response.headers.get("Content-Length", ""))
        if length is None:
            return
        limit = uploads.bytes_allowed(self._state, fetch.upload, fetch.file)
        if length > limit:
            raise TooLarge(
                f"{fetch.file.name} has {length} bytes; {limit} are left to the upload "
                "(setting max_upload_bytes)."
            )
        async with transaction(self._state.pool) as db:
            await fetch_queue.note_size(db, fetch.upload.id, fetch.file.name, token, length)

    async def _renew(self, fetch: Fetch, token: UUID, progress: "_Progress") -> bool:
        upload, name = fetch.upload.id, fetch.file.name
        async with transaction(self._state.pool) as db:
            await fetch_queue.note_fetched(db, upload, name, token, progress.count)
            return await repository.renew_file(db, upload, name, token, self._settings.lease_s)

    async def _put_back(self, fetch: Fetch, token: UUID, delay_s: float, *, counts: bool) -> None:
        async with transaction(self._state.pool) as db:
            await fetch_queue.put_back(db, fetch, token, delay_s, counts=counts)

    async def _retry(self, fetch: Fetch, token: UUID, error: DomainError) -> None:
        if fetch.attempts >= self._settings.max_attempts:
            await self._fail(fetch, token, error)
            return
        logger.warning("fetching is tried again: %s", error.detail)
        await self._put_back(
            fetch, token, self._settings.retry_delay_s * fetch.attempts, counts=True
        )

    async def _fail(self, fetch: Fetch, token: UUID, error: DomainError) -> None:
        logger.warning("fetching failed: %s", error.detail)
        kind = problem_type({**COMMON_PROBLEMS, **PROBLEMS}, error)
        async with transaction(self._state.pool) as db:
            await fetch_queue.fail(db, fetch, token, Problem.of(kind, error.detail))


class _Progress:
    """How many bytes have come."""

    def __init__(self) -> None:
        self.count = 0

    async def of(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.count += len(piece)
            yield piece


def _check_answer(response: httpx.Response) -> None:
    """SourceUnavailable where trying again may help, SourceRefused where it does not."""
    host, status = response.url.host, response.status_code
    if status in PASSING_STATUSES or status >= 500:
        raise SourceUnavailable(f"{host} answers {status}.")
    if status != 200:
        raise SourceRefused(f"{host} answers {status}; 200 and the file is right.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceRefused(f"{host} sends the file encoded, though it was asked not to.")
