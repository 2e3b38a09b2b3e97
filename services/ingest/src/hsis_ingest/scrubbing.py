"""Reading everything that is stored for items, those in the trash too, and comparing it with the
checksums kept of it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import checksums_key, item_prefix, path_in
from hsis.contracts.scrub import (
    Fault,
    FaultKind,
    ScrubbedItem,
    ScrubLine,
    ScrubProgress,
    ScrubRequest,
    ScrubSummary,
)
from hsis.contracts.trash import TrashEntry
from hsis.cube.checksums import Checksums, ObjectChecksum
from hsis.errors import NotFound, Unavailable
from hsis_ingest.registration import SHA256_MULTIHASH

PAGE_ITEMS = 100
PROGRESS_S = 10.0
Item = dict[str, Any]


@dataclass
class Scrub:
    """One check. `catalog` is asked with the caller's token, `storage` acts as the service."""

    catalog: CatalogClient
    storage: StorageClient
    token: str
    bytes_per_s: float
    _read: int = 0
    _began: float = field(default_factory=time.monotonic)
    _originals: set[str] = field(default_factory=set)

    async def run(self, request: ScrubRequest) -> AsyncGenerator[ScrubLine, None]:
        """One line an item, those in the trash too, signs of life between them, the summary."""
        done: list[int] = [0, 0, 0, 0, 0]
        async with aclosing(self._items(request)) as items:
            async for item, entry in items:
                task = asyncio.create_task(self._checked(item, entry))
                try:
                    while not (await asyncio.wait({task}, timeout=PROGRESS_S))[0]:
                        yield ScrubProgress(
                            collection=item["collection"], item=item["id"], bytes=self._read
                        )
                    line = task.result()
                finally:
                    task.cancel()
                if line is not None:
                    counts = (1, not line.verified, line.objects, len(line.faults), bool(entry))
                    done = [a + b for a, b in zip(done, counts, strict=True)]
                    yield line
        yield ScrubSummary(
            items=done[0],
            unverified_items=done[1],
            objects=done[2],
            faults=done[3],
            trash_entries=done[4],
            bytes=self._read,
        )

    async def _items(
        self, request: ScrubRequest
    ) -> AsyncGenerator[tuple[Item, TrashEntry | None], None]:
        """The items, then what is in the trash, with its entry."""
        async with aclosing(self._living(request)) as living:
            async for item in living:
                yield item, None
        collections = [request.collection]
        if request.collection is None:
            known = await self.catalog.collections(token=self.token)
            collections = [collection["id"] for collection in known]
        for collection in filter(None, collections):
            async with aclosing(self._trash(collection, request.item)) as entries:
                async for entry in entries:
                    with suppress(NotFound):  # restored or purged meanwhile
                        yield await self._trashed(entry), entry

    async def _living(self, request: ScrubRequest) -> AsyncGenerator[Item, None]:
        if request.collection is not None and request.item is not None:
            with suppress(NotFound):  # it may be in the trash
                yield await self.catalog.item(request.collection, request.item, token=self.token)
            return
        query: dict[str, Any] = {"limit": PAGE_ITEMS}
        if request.collection is not None:
            query["collections"] = [request.collection]
        async with aclosing(self.catalog.search_all(query, token=self.token)) as found:
            async for item in found:
                yield item

    async def _trash(self, collection: str, item: str | None) -> AsyncGenerator[TrashEntry, None]:
        after = None
        while True:
            page = await self.catalog.trash(collection, item=item, after=after, token=self.token)
            for entry in page.entries:
                yield entry
            if not page.entries:
                return
            after = page.entries[-1].id

    async def _trashed(self, entry: TrashEntry) -> Item:
        return await self.catalog.trash_item(entry.collection, entry.id, token=self.token)

    async def _checked(self, item: Item, entry: TrashEntry | None) -> ScrubbedItem | None:
        """None for what was changed or removed while it was read: it is no fault then."""
        line = await self._check(item, entry)
        if not line.faults:
            return line
        try:
            if entry is not None:
                now = await self.catalog.trash_entry(entry.collection, entry.id, token=self.token)
                return line if now.cube_kept == entry.cube_kept else None
            found = await self.catalog.item(item["collection"], item["id"], token=self.token)
        except NotFound:
            return None
        return line if found["properties"] == item["properties"] else None

    async def _check(self, item: Item, entry: TrashEntry | None) -> ScrubbedItem:
        collection, name = item["collection"], item["id"]
        line = ScrubbedItem(
            collection=collection,
            item=name,
            trash_entry=entry.id if entry else None,
            objects=0,
            bytes=0,
            verified=True,
        )
        for key, expected in originals_of(item).items():
            if key not in self._originals:  # items may share them, with one in the trash too
                self._originals.add(key)
                await self._compare(line, key, expected)
        if has_own_cube(item) and (entry is None or entry.cube_kept):
            await self._check_cube(line, item_prefix(collection, name))
        return line

    async def _check_cube(self, line: ScrubbedItem, prefix: str) -> None:
        """Everything under the item's prefix."""
        manifest = checksums_key(line.collection, line.item)
        stored = {blob.key async for blob in self.storage.list(prefix)}
        if manifest not in stored:
            line.verified = False
            if f"{prefix}cube.zarr/zarr.json" not in stored:
                _add(line, f"{prefix}cube.zarr/zarr.json", FaultKind.MISSING, "It is not stored.")
            return
        try:
            checksums = Checksums.model_validate_json(await self.storage.get(manifest))
        except ValidationError:
            line.verified = False
            _add(line, manifest, FaultKind.DAMAGED, "It is no list of checksums.")
            return
        expected = {prefix + key: each for key, each in checksums.objects.items()}
        for key in sorted(stored - expected.keys() - {manifest}):
            _add(line, key, FaultKind.UNEXPECTED, "The item's checksums do not know it.")
        for key, each in expected.items():
            await self._compare(line, key, each)

    async def _compare(self, line: ScrubbedItem, key: str, expected: ObjectChecksum) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            async with aclosing(self.storage.stream(key)) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    await self._keep_pace(len(piece))
        except NotFound:
            _add(line, key, FaultKind.MISSING, f"{expected.size} bytes are not there.")
            return
        except Unavailable as error:
            _add(line, key, FaultKind.UNREADABLE, error.detail)
            return
        line.objects += 1
        line.bytes += size
        if size != expected.size:
            detail = f"It has {size} bytes; {expected.size} were stored."
            _add(line, key, FaultKind.DAMAGED, detail)
        elif digest.hexdigest() != expected.sha256:
            detail = f"Its SHA-256 is {digest.hexdigest()}; {expected.sha256} was stored."
            _add(line, key, FaultKind.DAMAGED, detail)

    async def _keep_pace(self, count: int) -> None:
        """Wait where more was read than `bytes_per_s` allows."""
        self._read += count
        if self.bytes_per_s:
            ahead_s = self._read / self.bytes_per_s - (time.monotonic() - self._began)
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)


def _add(line: ScrubbedItem, key: str, kind: FaultKind, detail: str) -> None:
    line.faults.append(Fault(key=key, kind=kind, detail=detail))


def originals_of(item: Item) -> dict[str, ObjectChecksum]:
    """The item's original files of its own collection, by key."""
    found = {}
    for asset in item["assets"].values():
        key = path_in(asset["href"]).removeprefix("/blobs/")
        checksum, size = str(asset.get("file:checksum", "")), asset.get("file:size")
        told = checksum.startswith(SHA256_MULTIHASH) and type(size) is int
        if key.startswith(f"raw/{item['collection']}/") and told:
            found[key] = ObjectChecksum(size=size, sha256=checksum.removeprefix(SHA256_MULTIHASH))
    return found


def has_own_cube(item: Item) -> bool:
    """Whether the item's cube lies under its own prefix."""
    path = path_in(item["assets"].get("cube", {}).get("href", ""))
    return path.startswith(f"/blobs/{item_prefix(item['collection'], item['id'])}")
