"""What is stored and nobody knows of, and what is known and not stored."""

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import cube_prefix, staging_prefix
from hsis.contracts.ids import ID_PATTERN
from hsis.contracts.sweep import (
    MAX_PREFIXES,
    IncompleteItem,
    Kept,
    Orphan,
    RemovalAnswer,
    SweepLine,
    SweepProgress,
    SweepSummary,
)
from hsis.errors import NotFound
from hsis.service.postgres import autocommit
from hsis_ingest import orphan_repository as repository
from hsis_ingest.locks import item_lock, originals_lock
from hsis_ingest.scrubbing import Item, has_own_cube, originals_of

PAGE_ITEMS = 100
PROGRESS_S = 10.0
TRANSFERS = staging_prefix("").rstrip("/")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class OrphanSweep:
    """One look. `catalog` and `storage` act as ingest itself."""

    pool: asyncpg.Pool
    catalog: CatalogClient
    storage: StorageClient
    grace_s: float
    _told: float = field(default_factory=time.monotonic)

    async def report(self) -> AsyncGenerator[SweepLine, None]:
        """The orphans, the items that are not whole, signs of life, the summary. Nothing is
        changed."""
        prefixes = items = orphans = orphaned_bytes = incomplete = 0
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                prefixes += len(batch)
                for prefix in await self._unknown(batch):
                    orphan = await self._orphan(prefix)
                    if orphan is not None:
                        orphans, orphaned_bytes = orphans + 1, orphaned_bytes + orphan.bytes
                        yield orphan
                if self._is_due():
                    yield SweepProgress(looked_at=prefixes)
        async with aclosing(self.catalog.search_all({"limit": PAGE_ITEMS})) as found:
            async for item in found:
                items += 1
                missing = await self._missing(item)
                if missing:
                    incomplete += 1
                    yield IncompleteItem(
                        collection=item["collection"], item=item["id"], missing=missing
                    )
                if self._is_due():
                    yield SweepProgress(looked_at=prefixes + items)
        yield SweepSummary(
            prefixes=prefixes,
            items=items,
            orphans=orphans,
            orphaned_bytes=orphaned_bytes,
            incomplete_items=incomplete,
        )

    async def remove(self, prefixes: list[str]) -> RemovalAnswer:
        """Remove those prefixes that still are orphans; nothing else."""
        answer = RemovalAnswer(removed=[], objects=0, kept=[])
        for prefix in dict.fromkeys(prefixes):
            if not is_candidate(prefix):
                reason = "Only prefixes of the report can be removed."
                answer.kept.append(Kept(prefix=prefix, reason=reason))
                continue
            async with self._lock(prefix):
                orphan = await self._orphan(prefix) if await self._unknown([prefix]) else None
                if orphan is None:
                    reason = "It is in use, too new, or gone."
                    answer.kept.append(Kept(prefix=prefix, reason=reason))
                    continue
                answer.objects += await self.storage.delete_prefix(prefix)
                await self.catalog.forget_removed_prefixes([prefix])
            answer.removed.append(prefix)
        return answer

    def _lock(self, prefix: str) -> AbstractAsyncContextManager[None]:
        """Who begins to use the prefix waits, or is seen."""
        kind, collection, name = prefix.split("/")[:3]
        if kind == "cubes":
            return item_lock(self.pool, collection, name)
        if kind == "raw":
            return originals_lock(self.pool, collection, UUID(name))
        return nullcontext()

    async def _batches(self) -> AsyncGenerator[list[str], None]:
        batch: list[str] = []
        async for prefix in self._candidates():
            batch.append(prefix)
            if len(batch) == MAX_PREFIXES:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _candidates(self) -> AsyncIterator[str]:
        """The prefixes that ingest and jobs write under, in their order."""
        for kind in ("cubes/", "raw/"):
            async for collection in self.storage.folders(kind):
                async for prefix in self.storage.folders(collection):
                    if is_candidate(prefix):
                        yield prefix
        async for prefix in self.storage.folders(TRANSFERS + "/"):
            if is_candidate(prefix):
                yield prefix

    async def _unknown(self, prefixes: list[str]) -> list[str]:
        """Those that neither catalog nor ingest knows."""
        unknown = await self.catalog.unknown_prefixes(prefixes)
        async with autocommit(self.pool) as db:
            return await repository.unknown(db, unknown) if unknown else []

    async def _orphan(self, prefix: str) -> Orphan | None:
        """What lies there; None where nothing does, or something that is newer than the grace."""
        objects = size = 0
        newest: datetime | None = None
        limit = datetime.now(UTC) - timedelta(seconds=self.grace_s)
        async for blob in self.storage.list(prefix):
            objects, size = objects + 1, size + blob.size
            modified = blob.last_modified
            if modified is None or modified > limit:
                return None
            newest = modified if newest is None else max(newest, modified)
        if not objects:
            return None
        return Orphan(prefix=prefix, objects=objects, bytes=size, last_modified=newest)

    async def _missing(self, item: Item) -> list[str]:
        """The keys of an item's originals, and its cube's root, that are not there."""
        keys = [*originals_of(item)]
        if has_own_cube(item):
            keys.append(cube_prefix(item["collection"], item["id"]) + "zarr.json")
        missing = [key for key in keys if not await self._is_there(key)]
        if missing:
            try:  # it may have been removed meanwhile
                await self.catalog.item(item["collection"], item["id"])
            except NotFound:
                return []
        return missing

    async def _is_there(self, key: str) -> bool:
        try:
            await self.storage.head(key)
        except NotFound:
            return False
        return True

    def _is_due(self) -> bool:
        if time.monotonic() - self._told < PROGRESS_S:
            return False
        self._told = time.monotonic()
        return True


async def remove_unneeded(
    pool: asyncpg.Pool, catalog: CatalogClient, storage: StorageClient, prefix: str
) -> None:
    """Remove what lies under `raw/<collection>/<UUID>/` unless something needs it; nothing under
    any other prefix. Both clients act as ingest itself."""
    kind, collection, name = prefix.split("/")[:3]
    if kind != "raw" or not is_candidate(prefix):
        return
    async with originals_lock(pool, collection, UUID(name)):
        unknown = await catalog.unknown_prefixes([prefix])
        async with autocommit(pool) as db:
            unknown = await repository.unknown(db, unknown)
        for found in unknown:
            await storage.delete_prefix(found)


def is_candidate(prefix: str) -> bool:
    """Whether ingest or a job writes under a prefix: `cubes/<collection>/<item>/`,
    `raw/<collection>/<upload>/` or `staging/transfers/<transfer>/`. All else is its users'."""
    parts = prefix.split("/")
    if len(parts) != 4 or parts[3]:
        return False
    kind, middle, name = parts[:3]
    if kind == "cubes":
        return all(re.fullmatch(ID_PATTERN, part) for part in (middle, name))
    owned = re.fullmatch(ID_PATTERN, middle) if kind == "raw" else f"{kind}/{middle}" == TRANSFERS
    return bool(owned) and _UUID.fullmatch(name) is not None
