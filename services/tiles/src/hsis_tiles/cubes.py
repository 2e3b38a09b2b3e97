"""Opened cubes: who may see one is asked of catalog, what was opened is kept for a while."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from cachetools import LRUCache, TTLCache
from pydantic import ValidationError

from hsis.clients.catalog import CatalogClient
from hsis.contracts.access import Caller, Role
from hsis.contracts.blobs import cube_prefix, statistics_key
from hsis.cube.reader import BlobReader, StoredCube, read_document
from hsis.cube.shard import DamagedShard
from hsis.cube.statistics import CubeStatistics
from hsis.errors import NotFound
from hsis.service.access import check_token_limits
from hsis_tiles.errors import DamagedCube
from hsis_tiles.remembered import RememberedBlobs, keep_ranges

MAX_ANSWERS = 10_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class CubeName:
    """One state of an item: `updated` changes when the item does."""

    collection: str
    item: str
    updated: str


class OpenCubes:
    """Cubes by name, opened on demand; the least recently used ones are forgotten, and of what was
    read of them the least recently used beyond `max_bytes`.

    `catalog` acts for the caller of a request (its HTTP client has no authentication of its own),
    `blobs` for the service. An answer of catalog is reused for `access_cache_s` seconds.
    """

    def __init__(
        self,
        catalog: CatalogClient,
        blobs: BlobReader,
        executor: Executor,
        *,
        max_cubes: int,
        max_bytes: int,
        access_cache_s: float,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._executor = executor
        self._names: TTLCache[tuple[str | None, str, str], CubeName] = TTLCache(
            MAX_ANSWERS, access_cache_s
        )
        self._cubes: LRUCache[CubeName, StoredCube] = LRUCache(max_cubes)
        self._statistics: LRUCache[CubeName, CubeStatistics] = LRUCache(max_cubes)
        self._ranges = keep_ranges(max_bytes)

    async def name(self, caller: Caller | None, collection: str, item: str) -> CubeName:
        """The item's present state; NotFound or Unauthenticated where the caller may not see it.

        Anonymous callers see what is public; Forbidden where the token itself is limited to other
        collections.
        """
        check_token_limits(caller, collection, Role.VIEWER)
        token = caller.token if caller else None
        key = (token, collection, item)
        name = self._names.get(key)
        if name is None:
            document = await self._catalog.item(collection, item, token=token)
            properties = document.get("properties", {})
            updated = properties.get("updated") or properties.get("created") or ""
            name = CubeName(collection, item, str(updated))
            self._names[key] = name
        return name

    async def document(self, caller: Caller | None, name: CubeName) -> dict[str, Any]:
        """The STAC Item as catalog has it now."""
        token = caller.token if caller else None
        return await self._catalog.item(name.collection, name.item, token=token)

    async def use(
        self,
        caller: Caller | None,
        name: CubeName,
        work: Callable[[StoredCube, CubeName], Awaitable[Result]],
    ) -> Result:
        """The result of `work` with the opened cube; done once more where the item was replaced
        since catalog was asked. DamagedCube where what is stored contradicts itself."""
        try:
            return await work(await self._open(name), name)
        except (DamagedShard, NotFound):
            self._forget(caller, name)
        name = await self.name(caller, name.collection, name.item)
        try:
            return await work(await self._open(name), name)
        except DamagedShard as error:
            raise DamagedCube(
                f"The stored cube of {name.collection}/{name.item} is damaged: {error}."
            ) from error

    async def statistics(self, name: CubeName) -> CubeStatistics:
        """The statistics stored with the cube."""
        found = self._statistics.get(name)
        if found is None:
            try:
                content = await read_document(
                    self._blobs, statistics_key(name.collection, name.item)
                )
                found = CubeStatistics.model_validate_json(content)
            except (DamagedShard, ValidationError) as error:
                raise DamagedCube(
                    f"The statistics of {name.collection}/{name.item} cannot be read."
                ) from error
            self._statistics[name] = found
        return found

    async def _open(self, name: CubeName) -> StoredCube:
        cube = self._cubes.get(name)
        if cube is None:
            prefix = cube_prefix(name.collection, name.item)
            blobs = RememberedBlobs(self._blobs, self._ranges)
            try:
                cube = await StoredCube.open(blobs, prefix, self._executor)
            except DamagedShard as error:
                raise DamagedCube(
                    f"The description of the cube {name.collection}/{name.item} cannot be read."
                ) from error
            self._cubes[name] = cube
        return cube

    def _forget(self, caller: Caller | None, name: CubeName) -> None:
        token = caller.token if caller else None
        self._names.pop((token, name.collection, name.item), None)
        self._cubes.pop(name, None)
        self._statistics.pop(name, None)
