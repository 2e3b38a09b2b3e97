"""Takes conversions from the queue, one at a time, and sweeps."""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import UUID

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.metadata import CubeMetadata
from hsis.errors import (
    COMMON_PROBLEMS,
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    ProblemType,
    TooLarge,
    Unauthenticated,
    Unavailable,
    problem_type,
)
from hsis.service.logs import new_request_id, request_id
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import queue, quotas, repository, restoring
from hsis_ingest.allocation import give_back_rest
from hsis_ingest.cleaning import Cleaner
from hsis_ingest.convert import Conversion
from hsis_ingest.duplicates import Duplicates
from hsis_ingest.errors import PROBLEMS, DuplicateOriginal, InputFault, LeaseLost, MetadataMismatch
from hsis_ingest.leases import while_leased
from hsis_ingest.loops import forever
from hsis_ingest.registration import UPLOAD_PROPERTY, stored_assets
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings
from hsis_ingest.unpacking import Unpacking

logger = logging.getLogger(__name__)

FINAL = (InputFault, InvalidInput, TooLarge, Conflict, DuplicateOriginal)
"""Faults that another attempt does not cure."""
AWAY = (Unavailable, Unauthenticated, Forbidden)
"""What is wrong with the platform and not with the upload."""
KEPT = (
    "The files are kept for a while: POST /uploads/{upload}/retry with other `metadata` or "
    "`white_reflectance` (or `hsis retry {upload}`) tries again."
)
INTERNAL = ProblemType(500, "internal", "Something failed inside")


class Worker:
    """`run` until cancelled. `queue_filled` wakes it before its next look at the queue; `chore` is
    done beside the sweeps, as often."""

    def __init__(
        self,
        settings: Settings,
        pool: asyncpg.Pool,
        storage: StorageClient,
        catalog: CatalogClient,
        executor: Executor,
        queue_filled: asyncio.Event,
        chore: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._storage = storage
        self._catalog = catalog
        self._executor = executor
        self._queue_filled = queue_filled
        self._chore = chore
        self._duplicates = Duplicates(pool, storage, catalog)
        self._cleaner = Cleaner(pool, storage, catalog, settings)

    async def run(self) -> None:
        """Convert and sweep, whatever fails on the way."""
        sweep_s, failure_pause_s = self._settings.sweep_s, self._settings.worker_poll_s
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(self._work, 0, failure_pause_s))
            group.create_task(forever(self._cleaner.sweep, sweep_s, failure_pause_s))
            if self._chore is not None:
                group.create_task(forever(self._chore, sweep_s, failure_pause_s))

    async def convert_next(self) -> bool:
        """Convert the next upload in the queue; False where there was none."""
        token = uuid.uuid4()
        settings = self._settings
        async with transaction(self._pool) as db:
            upload = await queue.claim(db, token, settings.lease_s, settings.max_attempts)
        if upload is None:
            return False
        mark = request_id.set(new_request_id())
        try:
            await self._attempt(upload, token)
        finally:
            request_id.reset(mark)
        # What it held must not be there beside the next one's.
        await asyncio.get_running_loop().run_in_executor(self._executor, give_back_rest)
        return True

    async def _work(self) -> None:
        """Convert until the queue is empty, then wait a moment for it to be filled."""
        while await self.convert_next():
            pass
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.worker_poll_s):
                await self._queue_filled.wait()
        self._queue_filled.clear()

    async def _attempt(self, upload: UploadRow, token: UUID) -> None:
        logger.info("converting", extra={"upload": str(upload.id), "attempt": upload.attempts})
        try:
            await while_leased(
                self._convert(upload, token),
                partial(self._renew, token),
                self._settings.lease_s,
            )
        except asyncio.CancelledError:
            async with autocommit(self._pool) as db:
                await queue.give_back(db, token)
            raise
        except Exception as raised:
            error = _only(raised)
            if isinstance(error, LeaseLost):
                logger.warning("the lease was lost; another worker goes on")
            else:
                await self._end_badly(upload, token, error)
            return
        logger.info("converted", extra={"upload": str(upload.id), "item": upload.item})

    async def _convert(self, upload: UploadRow, token: UUID) -> None:
        if not await self._registered(upload):
            holder = quotas.holder_of(upload.id)
            unpacking = Unpacking(
                self._pool,
                self._storage,
                self._executor,
                self._settings,
                token,
                partial(self._progress, token),
                partial(quotas.reserve, self._catalog, upload.collection, holder),
            )
            if upload.trash_entry is None and await unpacking.run(upload):
                await self._catalog.release_bytes(holder)  # its scenes count by themselves
                return
            upload = await self._duplicates.resolve(await self._with_checksums(upload))
            originals = quotas.own_bytes(upload)
            await quotas.reserve(self._catalog, upload.collection, holder, originals)
            await self._cleaner.prepare_item(upload)
            template = await self._template(upload, token)
            async with autocommit(self._pool) as db:
                before = await restoring.before_of(db, upload)
            conversion = Conversion(
                upload,
                self._storage,
                self._executor,
                self._settings,
                partial(self._progress, token),
                template,
                before,
            )
            document = await conversion.run()
            stored = document["assets"]["cube"]["file:size"] + originals
            await quotas.reserve(self._catalog, upload.collection, holder, stored)
            await self._progress(token, 0.99)
            try:
                await self._catalog.create_item(
                    upload.collection, document, counted=stored_assets(upload)
                )
            except Conflict:
                # An answer that was lost on its way makes our own item look like another's.
                if not await self._registered(upload):
                    raise
        if upload.trash_entry is not None:
            await self._catalog.forget_converted(upload.collection, upload.trash_entry)
        async with autocommit(self._pool) as db:
            if not await queue.succeed(db, token):
                raise LeaseLost

    async def _template(self, upload: UploadRow, token: UUID) -> CubeMetadata:
        """What the collection's template says; of an item that is made again, what it said when
        that was made at first."""
        if upload.trash_entry is not None and upload.template is not None:
            return upload.template
        template = await self._catalog.template(upload.collection) or CubeMetadata()
        async with autocommit(self._pool) as db:
            if not await queue.note_template(db, token, template):
                raise LeaseLost
        return template

    async def _with_checksums(self, upload: UploadRow) -> UploadRow:
        """The upload with the SHA-256 of every file: of those that more than one process received
        it is only known now, from what the store has."""
        files = []
        for file in upload.files:
            sha256 = file.sha256
            if sha256 is None:
                digest = hashlib.sha256()
                key = upload.key_of(file)
                async for piece in self._storage.stream(key):
                    await asyncio.to_thread(digest.update, piece)
                sha256 = digest.hexdigest()
                async with autocommit(self._pool) as db:
                    await repository.note_sha256(db, upload.id, file.name, sha256)
            files.append(replace(file, sha256=sha256))
        return replace(upload, files=tuple(files))

    async def _registered(self, upload: UploadRow) -> bool:
        """Whether an earlier attempt made the item; Conflict where somebody else did."""
        try:
            item = await self._catalog.item(upload.collection, upload.item)
        except NotFound:
            return False
        if item["properties"].get(UPLOAD_PROPERTY) != str(upload.id):
            raise Conflict(
                f"The item {upload.item!r} was made in {upload.collection!r} in the meantime; "
                "upload with another id."
            )
        return True

    async def _progress(self, token: UUID, progress: float) -> None:
        async with autocommit(self._pool) as db:
            if not await queue.note_progress(db, token, progress):
                raise LeaseLost

    async def _renew(self, token: UUID) -> bool:
        async with autocommit(self._pool) as db:
            return await queue.renew(db, token, self._settings.lease_s)

    async def _end_badly(self, upload: UploadRow, token: UUID, error: Exception) -> None:
        """Fail for good where trying again is useless, else put the job back. Originals are only
        removed at once where they are at fault."""
        settings, extra = self._settings, {"upload": str(upload.id)}
        if isinstance(error, AWAY):
            logger.warning("the conversion waits: %s", error.detail, extra=extra)
            async with autocommit(self._pool) as db:
                await queue.give_back(db, token, settings.outage_delay_s)
            return
        if isinstance(error, MetadataMismatch):  # the files are not at fault, and are kept
            logger.warning("the metadata do not fit the cube", extra=extra)
            detail = f"{error.detail} {KEPT.format(upload=upload.id)}"
            told = problem_for(MetadataMismatch(detail))
            async with autocommit(self._pool) as db:
                await queue.fail(db, token, told, settings.upload_ttl_s)
            await self._cleaner.release_item(upload)
            return
        if isinstance(error, FINAL):
            logger.warning("the conversion failed", extra=extra)
            async with autocommit(self._pool) as db:
                condemned = await queue.condemn(db, token, problem_for(error))
            if condemned:
                await self._cleaner.purge(upload)
            return
        logger.error("a conversion failed unexpectedly", exc_info=error, extra=extra)
        last = upload.attempts >= settings.max_attempts
        async with autocommit(self._pool) as db:
            if last:
                await queue.fail(db, token, problem_for(error), settings.upload_ttl_s)
            else:
                await queue.retry(db, token, settings.retry_delay_s * upload.attempts)
        if last:
            await self._cleaner.release_item(upload)


def problem_for(error: Exception) -> Problem:
    """The problem document kept with a failed upload; an unexpected error tells nothing of it."""
    if not isinstance(error, DomainError):
        return Problem.of(
            INTERNAL,
            "An unexpected error; the logs of ingest say more. The files are kept for a while: "
            "POST to the upload's /retry converts them again.",
        )
    return Problem.of(problem_type({**COMMON_PROBLEMS, **PROBLEMS}, error), error.detail)


def _only(error: Exception) -> Exception:
    """The first error of a group of tasks that failed together."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
