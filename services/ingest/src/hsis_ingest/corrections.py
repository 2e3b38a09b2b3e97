"""Correcting the metadata of stored cubes and of their items, the values left as they are.

A correction is noted before anything is changed, and applied in an order that can be begun anew at
any point: the thumbnail, the store's documents with the root's `zarr.json` last, the checksums, the
item, the note that it is done. See docs/decisions/0013-correcting-metadata.md.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.access import Caller
from hsis.contracts.blobs import (
    checksums_key,
    cube_prefix,
    item_prefix,
    statistics_key,
    thumbnail_key,
)
from hsis.contracts.metadata import CubeMetadata, ItemMetadata
from hsis.cube import layout, picture, writer
from hsis.cube.acquisition import store_attributes
from hsis.cube.checksums import Checksums, checksum_of
from hsis.cube.layout import BAND_COORDINATES, CubeInfo
from hsis.cube.reader import StoredCube
from hsis.cube.shard import DamagedShard
from hsis.cube.statistics import CubeStatistics
from hsis.errors import Conflict, DomainError, NotFound
from hsis.service.postgres import autocommit
from hsis_ingest import correction_repository as repository
from hsis_ingest.convert import with_empty_bands
from hsis_ingest.corrected import (
    Item,
    acquisition_of,
    check_changes,
    corrected_info,
    corrected_item,
    metadata_of,
)
from hsis_ingest.correction_repository import CorrectionRow
from hsis_ingest.given import SOURCES_PROPERTY
from hsis_ingest.locks import item_lock

logger = logging.getLogger(__name__)

BATCH = 20
ROOT_ATTRIBUTES = frozenset({"Conventions"})


@dataclass(frozen=True, slots=True)
class _Store:
    """A stored cube's description: the root's own attributes, and of each coordinate on `band` the
    separator in the key of its values."""

    info: CubeInfo
    attributes: Mapping[str, Any]
    separators: Mapping[str, str]

    def documents(self) -> dict[str, bytes]:
        return layout.store_documents(self.info, self.attributes, self.separators)


class Corrector:
    """Corrects as ingest itself; `catalog` and `storage` act as the service."""

    def __init__(self, pool: asyncpg.Pool, storage: StorageClient, catalog: CatalogClient) -> None:
        self._pool = pool
        self._storage = storage
        self._catalog = catalog

    async def known(self, item: Item, limit: int) -> ItemMetadata:
        """What is known of an item's cube, and its last corrections."""
        store = await self._open(item)
        async with autocommit(self._pool) as db:
            rows = await repository.history(db, item, limit)
        return ItemMetadata(
            metadata=metadata_of(item, store.info),
            sources=item["properties"].get(SOURCES_PROPERTY, {}),
            corrections=[row.told() for row in rows],
        )

    async def correct(self, collection: str, item: str, by: Caller, changes: CubeMetadata) -> Item:
        """Correct an item; as it is then.

        Raises as check_changes does, NotFound where the item is gone. Where another part is away
        in the middle (Unavailable), the correction is completed later.
        """
        async with item_lock(self._pool, collection, item):
            await self._finish(collection, item)
            document = await self._catalog.item(collection, item)
            store = await self._open(document)
            check_changes(store.info, changes)
            wanted = changes.model_dump(mode="json", include=changes.model_fields_set)
            before = metadata_of(document, store.info)
            async with autocommit(self._pool) as db:
                row = await repository.note(
                    db,
                    uuid.uuid4(),
                    document,
                    by,
                    wanted,
                    {name: before.get(name) for name in wanted},
                )
            return await self._apply(row, document, store)

    async def finish_open(self) -> None:
        """Apply what was begun and not completed."""
        last = ("", "")
        while True:
            async with autocommit(self._pool) as db:
                items = await repository.open_items(db, last, BATCH)
            if not items:
                return
            for collection, item in items:
                await self._try_to_finish(collection, item)
            last = items[-1]

    async def _try_to_finish(self, collection: str, item: str) -> None:
        try:
            async with item_lock(self._pool, collection, item):
                await self._finish(collection, item)
        except DomainError as error:  # the others are not to wait for this one
            logger.warning(
                "a correction cannot be completed: %s",
                error.detail,
                extra={"collection": collection, "item": item},
            )

    async def _finish(self, collection: str, item: str) -> None:
        async with autocommit(self._pool) as db:
            rows = await repository.open_of(db, collection, item)
        for row in rows:
            document = await self._find(collection, item)
            if document is None:
                if await self._may_come_back(collection, item):
                    continue
                document = await self._find(collection, item)  # it may just have come back
            if document is None or document["properties"].get("created", "") != row.item_created:
                async with autocommit(self._pool) as db:
                    await repository.forget(db, row.id)
            else:
                await self._apply(row, document, await self._open(document))

    async def _find(self, collection: str, item: str) -> Item | None:
        try:
            return await self._catalog.item(collection, item)
        except NotFound:
            return None

    async def _may_come_back(self, collection: str, item: str) -> bool:
        """Whether the trash keeps a cube of that id: what was begun then waits for it."""
        page = await self._catalog.trash(collection, item=item)
        return any(entry.cube_kept for entry in page.entries)

    async def _apply(self, row: CorrectionRow, item: Item, store: _Store) -> Item:
        changes = row.metadata
        info = corrected_info(store.info, changes)
        statistics = await self._statistics(row)
        if "good_bands" in changes.model_fields_set:
            info = with_empty_bands(info, statistics)
        corrected = corrected_item(item, info, changes, row.created_at)
        if picture.natural_colour_bands(info) != picture.natural_colour_bands(store.info):
            await writer.write_thumbnail(
                self._storage, self._put, row.collection, row.item, info, statistics, None
            )
        attributes = store_attributes(acquisition_of(corrected, info))
        after = _Store(info, attributes, _separators(store, info))
        await self._write(cube_prefix(row.collection, row.item), store, after)
        await self._note_checksums(row, store, after)

        def changed(now: Item) -> Item:
            if now["properties"].get("created", "") != row.item_created:
                raise Conflict(f"{row.item!r} in {row.collection!r} was replaced meanwhile.")
            return corrected_item(now, info, changes, row.created_at)

        made = await self._catalog.change_item(row.collection, row.item, changed)
        async with autocommit(self._pool) as db:
            await repository.applied(db, row.id)
        return made

    async def _write(self, prefix: str, before: _Store, after: _Store) -> None:
        """Store the documents that are others now. The values of coordinates go beside those in
        use, and the root says at last which count: who reads it sees all of this or nothing."""
        old, new = before.documents(), after.documents()
        for key, content in new.items():
            if old.get(key) != content:
                await self._put(prefix + key, content, writer.media_type(key))
        kept = {*old, *new}  # whoever has just read the old root may still ask for the old values
        for name in BAND_COORDINATES:
            if f"{name}/zarr.json" not in new:
                await self._storage.delete(f"{prefix}{name}/zarr.json")
        for key in _coordinate_keys():
            if key not in kept:
                await self._storage.delete(prefix + key)

    async def _note_checksums(self, row: CorrectionRow, before: _Store, after: _Store) -> None:
        """Keep the checksums of what is stored for the item true, where there are any."""
        try:
            content = await self._storage.get(checksums_key(row.collection, row.item))
        except NotFound:
            return
        prefix = item_prefix(row.collection, row.item)
        store = cube_prefix(row.collection, row.item).removeprefix(prefix)
        thumbnail = thumbnail_key(row.collection, row.item)
        new, old = after.documents(), before.documents()
        gone = {store + key for key in _coordinate_keys() if key not in new and key not in old}
        gone |= {f"{store}{name}/zarr.json" for name in BAND_COORDINATES} - {store + k for k in new}
        objects = {
            key: each
            for key, each in Checksums.model_validate_json(content).objects.items()
            if key not in gone
        }
        objects |= {store + key: checksum_of(content) for key, content in new.items()}
        objects[thumbnail.removeprefix(prefix)] = checksum_of(await self._storage.get(thumbnail))
        checksums = Checksums(objects=dict(sorted(objects.items())))
        await writer.write_checksums(self._put, row.collection, row.item, checksums)

    async def _open(self, item: Item) -> _Store:
        collection, name = item["collection"], item["id"]
        prefix = cube_prefix(collection, name)
        href = str(item["assets"].get("cube", {}).get("href", ""))
        if not href.endswith("/blobs/" + prefix.rstrip("/")):
            raise Conflict(
                f"The item {name!r} in {collection!r} has no cube of its own that is stored here; "
                "change its document with PUT."
            )
        try:
            root, cube = await asyncio.gather(
                self._storage.get(prefix + "zarr.json"), StoredCube.open(self._storage, prefix)
            )
        except DamagedShard as error:
            raise Conflict(
                f"The stored cube of {collection}/{name} is damaged: {error}."
            ) from error
        document = json.loads(root)
        nodes = document["consolidated_metadata"]["metadata"]
        return _Store(
            info=cube.info,
            attributes={
                key: value
                for key, value in document["attributes"].items()
                if key not in ROOT_ATTRIBUTES
            },
            separators={
                key: layout.coordinate_key(key, nodes[key])[-2]
                for key in layout.coordinate_names(document)
            },
        )

    async def _statistics(self, row: CorrectionRow) -> CubeStatistics:
        content = await self._storage.get(statistics_key(row.collection, row.item))
        return CubeStatistics.model_validate_json(content)

    async def _put(self, key: str, content: bytes, content_type: str) -> object:
        return await self._storage.put(key, content, content_type=content_type)


def _coordinate_keys() -> list[str]:
    """Every key that the values of a coordinate on `band` may have."""
    return [f"{name}/c{separator}0" for name in BAND_COORDINATES for separator in "/."]


def _separators(store: _Store, info: CubeInfo) -> dict[str, str]:
    """Of the coordinates of `info`: where values in use are to be others, the key not in use."""
    same = layout.store_documents(info, {}, store.separators)
    old = store.documents()
    chosen = {}
    for name in BAND_COORDINATES:
        separator = store.separators.get(name, "/")
        key = f"{name}/c{separator}0"
        changed = key in old and old[key] != same.get(key)
        chosen[name] = {"/": ".", ".": "/"}[separator] if changed else separator
    return chosen
