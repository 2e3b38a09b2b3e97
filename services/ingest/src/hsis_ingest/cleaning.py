"""Removing what is stored for nothing: failed uploads, given-up ones, removed items."""

from uuid import UUID

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import item_prefix, raw_prefix
from hsis.errors import NotFound, Problem
from hsis.service.postgres import transaction
from hsis_ingest import queue, repository
from hsis_ingest.locks import item_lock
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings

BATCH = 100
ABANDONED = Problem(
    type="urn:hsis:problem:conversion-interrupted",
    title="The conversion did not end",
    status=500,
    detail="Every attempt at the conversion was interrupted; upload the files again.",
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
            await repository.expire(db)
            await queue.fail_abandoned(db, self._settings.max_attempts, ABANDONED)
            rows = await repository.to_purge(db, BATCH)
        for row in rows:
            await self.purge(row)
        for removed in await self._catalog.removed_items():
            await self._remove_item(removed)

    async def purge(self, upload: UploadRow) -> None:
        """Remove the originals of a failed upload, and what its conversion wrote."""
        await self._storage.delete_prefix(raw_prefix(upload.collection, str(upload.id)))
        if upload.attempts > 0:
            async with item_lock(self._pool, upload.collection, upload.item):
                if not await self._in_use(upload.collection, upload.item, upload.id):
                    await self._storage.delete_prefix(item_prefix(upload.collection, upload.item))
        async with transaction(self._pool) as db:
            await repository.purged(db, upload.id)

    async def prepare_item(self, collection: str, item: str) -> None:
        """Before a conversion writes: remove what an earlier item or attempt left."""
        async with item_lock(self._pool, collection, item):
            for removed in await self._catalog.removed_items(collection, item):
                await self._remove_originals(removed)
            await self._storage.delete_prefix(item_prefix(collection, item))

    async def _remove_item(self, removed: dict[str, object]) -> None:
        collection, item = str(removed["collection"]), str(removed["item"])
        async with item_lock(self._pool, collection, item):
            if not await self._in_use(collection, item):
                await self._storage.delete_prefix(item_prefix(collection, item))
            await self._remove_originals(removed)

    async def _remove_originals(self, removed: dict[str, object]) -> None:
        prefixes = removed["raw_prefixes"]
        assert isinstance(prefixes, list)
        for prefix in prefixes:
            await self._storage.delete_prefix(prefix)
        await self._catalog.forget_removed_item(int(str(removed["seq"])))

    async def _in_use(self, collection: str, item: str, but: UUID | None = None) -> bool:
        """Whether an upload `but` this one makes the item, or it is (again) in the catalog."""
        async with transaction(self._pool) as db:
            if await repository.is_active(db, collection, item, but):
                return True
        try:
            await self._catalog.item(collection, item)
        except NotFound:
            return False
        return True
