"""Removing what is stored for nothing: failed uploads, given-up ones, transfers, removed items."""

import logging
from uuid import UUID

import asyncpg

from hsis.clients.base import problem_of
from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import item_prefix, raw_prefix, staging_prefix
from hsis.errors import Conflict, DomainError, Problem, Unavailable
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import queue, repository, restoring, transfer_sweep, upload_sweep
from hsis_ingest.locks import item_lock, originals_lock
from hsis_ingest.orphans import remove_unneeded
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings
from hsis_ingest.transfer_sweep import Leftover

logger = logging.getLogger(__name__)

BATCH = 100
IN_TRASH = "item-in-trash"
ABANDONED = Problem(
    type="urn:hsis:problem:conversion-interrupted",
    title="The conversion did not end",
    status=500,
    detail="Every attempt at the conversion was interrupted. The files are kept for a while: "
    "POST to the upload's /retry converts them again.",
)


class Cleaner:
    """Removes objects as ingest itself; every step can be repeated after a crash."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        storage: StorageClient,
        catalog: CatalogClient,
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._catalog = catalog
        self._settings = settings

    async def sweep(self) -> None:
        """One round over everything."""
        async with transaction(self._pool) as db:
            await upload_sweep.expire(db)
            await transfer_sweep.expire(db)
            abandoned = await queue.fail_abandoned(
                db, self._settings.max_attempts, ABANDONED, self._settings.upload_ttl_s
            )
            leftovers = await transfer_sweep.to_purge(db, BATCH)
        for row in abandoned:
            await self.release_item(row)
        for leftover in leftovers:
            await self._purge_transfer(leftover)
        async with autocommit(self._pool) as db:
            rows = await upload_sweep.to_purge(db, BATCH)
        for row in rows:
            await self.purge(row)
        for removed in await self._catalog.removed_items():
            try:
                await self._remove_item(removed)
            except DomainError as error:  # the others are not to wait for this one
                logger.warning(
                    "a removed item cannot be cleaned up: %s",
                    error.detail,
                    extra={"collection": removed["collection"], "item": removed["item"]},
                )

    async def purge(self, upload: UploadRow) -> None:
        """Remove the originals of a failed upload, and what its conversion wrote; not those of one
        that became an item at the moment it was given up."""
        originals = upload.originals_prefix
        source = upload.originals or upload.id
        async with originals_lock(self._pool, upload.collection, source):
            used = await self._is_converted(upload.collection, source, upload.id)
            if not used and not await self._catalog.uses(originals):
                await self._storage.delete_prefix(originals)
        if source != upload.id:
            await self._storage.delete_prefix(raw_prefix(upload.collection, str(upload.id)))
        if upload.attempts > 0 and not upload.unpacked:
            await self._remove_cube(upload)
        await self.release_item(upload)
        async with transaction(self._pool) as db:
            await upload_sweep.purged(db, upload.id)
        for prefix in upload.kept_prefixes:  # such as label maps, whose entry was purged meanwhile
            await remove_unneeded(self._pool, self._catalog, self._storage, prefix)

    async def _remove_cube(self, upload: UploadRow) -> None:
        """Remove what its conversion wrote, unless another makes the item now."""
        collection, item = upload.collection, upload.item
        try:
            await self._catalog.reserve(collection, item, _holder(upload))
        except Conflict:  # also where the trash keeps a cube there
            return
        async with item_lock(self._pool, collection, item):
            if not await self._in_use(collection, item, upload.id):
                await self._storage.delete_prefix(item_prefix(collection, item))

    async def _purge_transfer(self, leftover: Leftover) -> None:
        """Remove what a transfer has beside the file that it made."""
        if leftover.parts_upload is not None:
            await self._storage.abort_parts(leftover.key, leftover.parts_upload)
        elif leftover.discarded and not leftover.shared:
            # One may have been begun by a process that was killed before it could note it.
            await self._storage.abort_parts(leftover.key)
        await self._storage.delete_prefix(staging_prefix(str(leftover.id)))
        async with transaction(self._pool) as db:
            await transfer_sweep.purged(db, leftover.id)

    async def release_item(self, upload: UploadRow) -> None:
        """The upload does not make its item any more."""
        await self._catalog.release(upload.collection, upload.item, _holder(upload))

    async def prepare_item(self, upload: UploadRow) -> None:
        """Before a conversion writes: reserve the item, and remove what an earlier item or attempt
        left.

        Unavailable while a job is making the item. Conflict where an item of another id uses what
        is stored under this one, or where it is the only copy of what is in the trash.
        """
        collection, item = upload.collection, upload.item
        try:
            await self._catalog.reserve(collection, item, _holder(upload), replaces_trash=True)
        except Conflict as error:
            problem = problem_of(error)
            if problem is not None and problem.slug == IN_TRASH:
                raise
            raise Unavailable(error.detail) from error
        async with item_lock(self._pool, collection, item):
            if await self._catalog.uses(item_prefix(collection, item)):
                raise Conflict(
                    f"What is stored for an earlier item {item!r} is used by an item in "
                    f"{collection!r}; upload with another id."
                )
            for removed in await self._catalog.removed_items(collection, item):
                await self._remove_originals(removed)
            await self._storage.delete_prefix(item_prefix(collection, item))

    async def _remove_item(self, removed: dict[str, object]) -> None:
        collection, item = str(removed["collection"]), str(removed["item"])
        async with item_lock(self._pool, collection, item):
            if removed["cube"] and not await self._in_use(collection, item):
                await self._storage.delete_prefix(item_prefix(collection, item))
            await self._remove_originals(removed)

    async def _remove_originals(self, removed: dict[str, object]) -> None:
        prefixes = removed["prefixes"]
        assert isinstance(prefixes, list)
        for prefix in prefixes:
            kind, collection, name, _ = prefix.split("/")
            # The same document may have been stored again, or under another id.
            if kind == "cubes" and await self._in_use(collection, name):
                continue
            if kind == "raw":
                async with originals_lock(self._pool, collection, UUID(name)):
                    converted = await self._is_converted(collection, UUID(name))
                    if not converted and not await self._catalog.uses(prefix):
                        await self._storage.delete_prefix(prefix)
            elif not await self._catalog.uses(prefix):
                await self._storage.delete_prefix(prefix)
        await self._catalog.forget_removed_item(int(str(removed["seq"])))

    async def _is_converted(self, collection: str, upload: UUID, but: UUID | None = None) -> bool:
        """Whether an upload, `but` this one, converts the original files of `upload` once more."""
        async with autocommit(self._pool) as db:
            return await restoring.converts(db, collection, upload, but)

    async def _in_use(self, collection: str, item: str, but: UUID | None = None) -> bool:
        """Whether an upload `but` this one makes the item, or what is stored for it is used."""
        async with autocommit(self._pool) as db:
            if await repository.is_active(db, collection, item, but):
                return True
        return await self._catalog.uses(item_prefix(collection, item))


def _holder(upload: UploadRow) -> str:
    return f"upload:{upload.id}"
