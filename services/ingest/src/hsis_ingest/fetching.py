"""Fetches the files that ingest was told to fetch: from a URL, or from elsewhere in the store."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from uuid import UUID

from hsis.errors import (
    COMMON_PROBLEMS,
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
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import fetch_queue, quotas, repository, transfer_repository
from hsis_ingest.addresses import AddressRules
from hsis_ingest.errors import (
    PROBLEMS,
    LeaseLost,
    SourceChanged,
    SourceNotAllowed,
    SourceRefused,
    SourceUnavailable,
)
from hsis_ingest.fetch_queue import Fetch
from hsis_ingest.leases import while_leased
from hsis_ingest.loops import forever
from hsis_ingest.receiving import Receiver
from hsis_ingest.sources import Known, Opened, open_blob, open_url
from hsis_ingest.state import State

logger = logging.getLogger(__name__)

BLOB = "blob:"
FINAL = (SourceNotAllowed, SourceRefused, InvalidInput, TooLarge, NotFound)
AWAY = (Unavailable, Unauthenticated, Forbidden)
"""What is wrong with the platform and not with the source."""


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
        token, settings = uuid.uuid4(), self._settings
        async with transaction(self._state.pool) as db:
            fetch = await fetch_queue.claim(db, token, settings.lease_s, settings.upload_ttl_s)
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
        logger.info(
            "fetching",
            extra=extra | {"attempt": fetch.attempts, "received": fetch.transfer.received},
        )
        attempt = Attempt(self._state, self._rules, fetch, token)
        try:
            if fetch.attempts > self._settings.max_attempts:
                raise SourceRefused("Every attempt at fetching the file was interrupted.")
            await while_leased(attempt.run(), attempt.renew, self._settings.lease_s)
            async with transaction(self._state.pool) as db:
                # Should another file of the upload fail, nobody has to wait for this one.
                ttl_s = self._settings.upload_ttl_s
                await transfer_repository.release(db, fetch.transfer.id, token, ttl_s)
        except asyncio.CancelledError:
            await self._put_back(fetch, token, 0, counts=False)
            raise
        except LeaseLost:
            logger.warning("the lease of a fetch was lost, or its upload given up", extra=extra)
            # Of a given-up upload it is still held, and what removes that would wait for its end.
            await self._put_back(fetch, token, self._settings.retry_delay_s, counts=True)
        except AWAY as error:
            logger.warning("fetching waits: %s", error.detail, extra=extra)
            await self._put_back(fetch, token, self._settings.outage_delay_s, counts=False)
        except FINAL as error:
            await self._fail(fetch, token, error)
        except DomainError as error:
            await self._retry(attempt, error)
        except Exception:
            logger.exception("fetching failed unexpectedly", extra=extra)
            await self._retry(attempt, SourceUnavailable("An unexpected error of ingest."))

    async def _put_back(self, fetch: Fetch, token: UUID, delay_s: float, *, counts: bool) -> None:
        async with transaction(self._state.pool) as db:
            ttl_s = self._settings.upload_ttl_s
            await fetch_queue.put_back(db, fetch, token, delay_s, ttl_s, counts=counts)

    async def _retry(self, attempt: "Attempt", error: DomainError) -> None:
        fetch, token, attempts = attempt.fetch, attempt.token, await attempt.note()
        spent = attempt.left_s <= 0
        if spent or attempts >= self._settings.max_attempts:
            await self._fail(fetch, token, error)
            return
        logger.warning("fetching is tried again: %s", error.detail)
        await self._put_back(fetch, token, self._settings.retry_delay_s * attempts, counts=True)

    async def _fail(self, fetch: Fetch, token: UUID, error: DomainError) -> None:
        logger.warning("fetching failed: %s", error.detail)
        kind = problem_type({**COMMON_PROBLEMS, **PROBLEMS}, error)
        async with transaction(self._state.pool) as db:
            await fetch_queue.fail(db, fetch, token, Problem.of(kind, error.detail))


class Attempt:
    """One attempt at a file whose lease is held: `run` it while `renew` keeps the lease; `note`
    says at any time how far it is."""

    def __init__(self, state: State, rules: AddressRules, fetch: Fetch, token: UUID) -> None:
        self.fetch = fetch
        self.token = token
        self._state = state
        self._settings = state.settings
        self._rules = rules
        self._began = time.monotonic()
        self._size = fetch.transfer.length
        self._room = state.settings.max_upload_bytes
        row, most = fetch.transfer, state.settings.max_upload_bytes
        self._receiver = Receiver(
            state.pool, state.storage, state.settings, state.digests, row, token, most
        )

    @property
    def spent_s(self) -> float:
        """Time that the file took so far, earlier attempts included."""
        return self.fetch.spent_s + time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """Time that the file may still take."""
        return self._settings.fetch_max_s - self.spent_s

    async def run(self) -> None:
        """Fetch what is missing, and make the file of it; what came before an error stays.

        The source's errors (see `sources`), TooLarge, LeaseLost, and Conflict where the object
        store lost what had come.
        """
        try:
            await self._receiver.open()
            if not self.fetch.transfer.full:
                await self._take()
            if not await self._receiver.end():
                raise SourceUnavailable(
                    f"{self.fetch.file.name} ends after {self._receiver.received} of "
                    f"{self._size} bytes."
                )
            self._state.queue_filled.set()
        finally:
            await self._receiver.close()

    async def renew(self) -> bool:
        """Keep both leases, the file's and the transfer's; False where one is lost."""
        upload, name, lease_s = self.fetch.upload.id, self.fetch.file.name, self._settings.lease_s
        await self.note()
        async with transaction(self._state.pool) as db:
            if not await repository.renew_file(db, upload, name, self.token, lease_s):
                return False
            transfer = self.fetch.transfer.id
            return await transfer_repository.renew(db, transfer, self.token, lease_s) is not None

    async def note(self) -> int:
        """Tell how far it is; how many attempts count by now."""
        step = self._settings.transfer_part_bytes
        async with autocommit(self._state.pool) as db:
            return await fetch_queue.note_fetched(
                db, self.fetch, self.token, self._receiver.received, self.spent_s, step
            )

    async def _take(self) -> None:
        try:
            async with asyncio.timeout(max(0, self.left_s)), self._source() as opened:
                if opened.start != self._receiver.received:
                    await self._receiver.restart()
                await self._note_source(opened.size, opened.validator)
                async with aclosing(self._counted(opened)) as pieces:
                    await self._receiver.take(pieces)
                if opened.size is None:  # known now, at its end
                    await self._note_source(self._receiver.received, opened.validator)
        except SourceChanged:
            await self._receiver.restart()
            await self._note_source(None, None)
            raise
        except SourceUnavailable:
            if self._receiver.received != self._size:
                await self._receiver.end()
                raise
        except TimeoutError:
            raise SourceUnavailable(
                f"{self.fetch.file.name} did not come within {self._settings.fetch_max_s:.0f} s "
                "(setting fetch_max_s)."
            ) from None

    def _source(self) -> AbstractAsyncContextManager[Opened]:
        file, received = self.fetch.file, self._receiver.received
        source = file.source or ""
        if source.startswith(BLOB):
            key = source.removeprefix(BLOB)
            return open_blob(self._state.storage, key, file.source_etag, received)
        known = Known(received, self.fetch.transfer.length, self.fetch.validator)
        return open_url(self._settings, self._rules, source, known)

    async def _note_source(self, size: int | None, validator: str | None) -> None:
        """TooLarge where the file has no room beside the others of its upload, or in its
        collection's quota."""
        fetch = self.fetch
        async with transaction(self._state.pool) as db:
            upload = await repository.find(db, fetch.upload.id, lock=True)
            others = [file for file in upload.files if file.name != fetch.file.name]
            used = sum(file.size or file.declared_size or 0 for file in others)
            self._room = max(0, self._settings.max_upload_bytes - used)
            if size is not None and size > self._room:
                raise TooLarge(
                    f"{fetch.file.name} has {size} bytes; {self._room} are left to the upload "
                    "(setting max_upload_bytes)."
                )
            await fetch_queue.note_source(db, fetch, self.token, size, validator)
        if size is not None:
            holder = quotas.holder_of(upload.id)
            await quotas.reserve(self._state.own_catalog, upload.collection, holder, used + size)
        self._size = size
        self._receiver.expect(size)

    async def _counted(self, opened: Opened) -> AsyncGenerator[bytes, None]:
        async for piece in opened.pieces:
            if self._receiver.received + len(piece) > self._room:
                raise TooLarge(
                    f"With {self.fetch.file.name} the upload has more than "
                    f"{self._settings.max_upload_bytes} bytes (setting max_upload_bytes)."
                )
            yield piece
