"""Ranges of stored cubes that were read lately, kept in memory.

Here and not in storage-proxy: what a cube's name says does not change while its item does not, so
nothing has to be asked of the object store, while storage-proxy would have to compare the entity
tag of every read. Whether a caller may see the cube was asked of catalog before.
"""

from cachetools import LRUCache

from hsis.cube.reader import BlobReader

LARGEST_SHARE = 16
"""A range is kept only where this many of its size would find room."""
ENTRY_BYTES = 512
"""What keeping a range costs beside its bytes, about."""

Ranges = LRUCache[tuple[object, str, int, int], bytes]


def keep_ranges(max_bytes: int) -> Ranges:
    """Room for ranges of `max_bytes` together; the least recently used ones are forgotten."""
    return LRUCache(max_bytes, getsizeof=_cost)


class RememberedBlobs:
    """Blobs of one state of an item: a range that was read is taken from `ranges`.

    A new object of this class never sees what was kept through another one.
    """

    def __init__(self, blobs: BlobReader, ranges: Ranges) -> None:
        self._blobs = blobs
        self._ranges = ranges
        self._state = object()

    async def get(self, key: str) -> bytes:
        """A whole blob, from storage-proxy."""
        return await self._blobs.get(key)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from offset `start`."""
        place = (self._state, key, start, length)
        content = self._ranges.get(place)
        if content is None:
            content = await self._blobs.get_range(key, start, length)
            if _cost(content) * LARGEST_SHARE <= self._ranges.maxsize:
                self._ranges[place] = content
        return content


def _cost(content: bytes) -> int:
    return len(content) + ENTRY_BYTES
