"""Items made of the same original files: found by SHA-256, and their files stored once."""

from dataclasses import replace

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.access import Caller, Role
from hsis.contracts.blobs import raw_prefix
from hsis.contracts.uploads import OnDuplicate, OriginalItem
from hsis.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import duplicate_repository as repository
from hsis_ingest.errors import DuplicateOriginal
from hsis_ingest.locks import originals_lock
from hsis_ingest.registration import UPLOAD_PROPERTY
from hsis_ingest.rows import UploadRow
from hsis_ingest.state import State


class Duplicates:
    """What a worker does about an upload whose originals are stored already."""

    def __init__(self, pool: asyncpg.Pool, storage: StorageClient, catalog: CatalogClient) -> None:
        self._pool = pool
        self._storage = storage
        self._catalog = catalog

    async def resolve(self, upload: UploadRow) -> UploadRow:
        """The upload, which from now on refers to the originals of an earlier item of its
        collection where they are the same; its own copy is removed.

        DuplicateOriginal where the uploader wants no second item of them, Unavailable while another
        upload of the same files is on its way. Every attempt at a conversion begins with this: what
        one did not finish, the next one does.
        """
        if upload.trash_entry is not None:
            return upload
        if upload.originals is None:
            upload = await self._shared(upload)
        if upload.originals is not None:
            await self._storage.delete_prefix(raw_prefix(upload.collection, str(upload.id)))
        return upload

    async def _shared(self, upload: UploadRow) -> UploadRow:
        async with transaction(self._pool) as db:
            claimed = await repository.claim(db, upload)
        async with autocommit(self._pool) as db:  # those that have succeeded by now
            candidates = await repository.same_originals(db, upload)
        found = [other for other in candidates if await made_its_item(self._catalog, other)]
        shared = await self._referring(upload, found) if found else upload
        if shared.originals is None and not claimed:
            raise Unavailable(
                "The same files are just being converted; this upload waits for that."
            )
        return shared

    async def _referring(self, upload: UploadRow, found: list[UploadRow]) -> UploadRow:
        items = list(dict.fromkeys(other.item for other in found))
        if upload.on_duplicate is OnDuplicate.REFUSE:
            raise DuplicateOriginal(
                f"The same files are stored as the item {items[0]!r}: "
                f"{href_of(upload.collection, items[0])}"
            )
        async with autocommit(self._pool) as db:
            await repository.note_duplicates(db, upload.id, items)
        return await self._refer(upload, found)

    async def _refer(self, upload: UploadRow, found: list[UploadRow]) -> UploadRow:
        for other in found:
            source = other.originals or other.id
            # What removes originals looks, under this lock, whether an upload refers to them.
            async with originals_lock(self._pool, upload.collection, source):
                if not await self._is_whole(other):
                    continue
                names = _names_by_sha256(upload, other)
                async with transaction(self._pool) as db:
                    await repository.refer(db, upload.id, source, names)
            files = tuple(replace(file, stored_as=names[file.name]) for file in upload.files)
            return replace(upload, originals=source, files=files)
        return upload

    async def _is_whole(self, upload: UploadRow) -> bool:
        for file in upload.files:
            try:
                blob = await self._storage.head(upload.key_of(file))
            except NotFound:
                return False
            if blob.size != file.size:
                return False
        return True


async def made_its_item(
    catalog: CatalogClient, upload: UploadRow, token: str | None = None
) -> bool:
    """Whether the item of a successful upload is still there, and not another one."""
    try:
        item = await catalog.item(upload.collection, upload.item, token=token)
    except NotFound:
        return False
    made: bool = item["properties"].get(UPLOAD_PROPERTY) == str(upload.id)
    return made


async def items_with(
    state: State, caller: Caller | None, sha256: str, limit: int
) -> list[OriginalItem]:
    """The items that the caller may see and that have an original file with this SHA-256."""
    async with autocommit(state.pool) as db:
        candidates = await repository.with_file(db, sha256)
    found: list[OriginalItem] = []
    visible: dict[str, bool] = {}
    for upload in candidates:
        if len(found) == limit:
            break
        if upload.collection not in visible:
            visible[upload.collection] = await _may_see(state, caller, upload.collection)
        token = caller.token if caller else None
        if visible[upload.collection] and await made_its_item(state.catalog, upload, token):
            found.append(
                OriginalItem(
                    collection=upload.collection,
                    item=upload.item,
                    href=href_of(upload.collection, upload.item),
                    files=[file.name for file in upload.files if file.sha256 == sha256],
                )
            )
    return found


def href_of(collection: str, item: str) -> str:
    """Where an item is, from the edge's origin."""
    return f"/stac/collections/{collection}/items/{item}"


async def _may_see(state: State, caller: Caller | None, collection: str) -> bool:
    try:
        await state.access.require(caller, collection, Role.VIEWER)
    except (NotFound, Forbidden, Unauthenticated):
        return False
    return True


def _names_by_sha256(upload: UploadRow, other: UploadRow) -> dict[str, str]:
    """What each file of `upload` is stored as among those of `other`, whose bytes are the same."""
    left: dict[str | None, list[str]] = {}
    for file in other.files:
        left.setdefault(file.sha256, []).append(file.stored_as or file.name)
    return {file.name: left[file.sha256].pop(0) for file in upload.files}
