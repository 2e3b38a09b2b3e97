"""Small reads that were answered a moment ago, kept in memory for a moment.

What this process writes or removes is forgotten at once. Another replica's changes are not seen:
hence the moment, and hence never for the platform's own services, which decide by what they read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cachetools import LRUCache

from hsis.contracts.blobs import Blob
from hsis_storage_proxy.ranges import Span, WantedRange

LARGEST_SHARE = 16
"""A read is kept only where this many of its size would find room."""
ENTRY_BYTES = 1024
"""What keeping a read costs beside its bytes, about."""


class BlobState:
    """Of the blob of a key, from one change by this process to the next."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True)
class HotRead:
    """What a read of a blob, or of a range of it, brought."""

    blob: Blob
    span: Span
    content: bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    read: HotRead
    state: BlobState
    since_s: float


class HotReads:
    """Reads of at most `max_bytes` together, each for `age_s` seconds; 0 of either keeps none.

    The least recently used ones are forgotten first.
    """

    def __init__(
        self, max_bytes: int, age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._age_s = age_s
        self._clock = clock
        self._kept: LRUCache[tuple[str, WantedRange | None], _Kept] = LRUCache(
            max_bytes, getsizeof=_cost
        )
        # A key is in it as long as a read of it is kept or on its way.
        self._states: WeakValueDictionary[str, BlobState] = WeakValueDictionary()

    def find(self, key: str, wanted: WantedRange | None) -> HotRead | None:
        """What the same read brought, where that still holds."""
        kept = self._kept.get((key, wanted))
        if kept is None or kept.state is not self._states.get(key):
            return None
        return kept.read if self._clock() - kept.since_s < self._age_s else None

    def begin(self, key: str) -> tuple[BlobState, float]:
        """To be called before the object store is asked, for `keep`."""
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = BlobState()
        return state, self._clock()

    def keep(
        self, wanted: WantedRange | None, read: HotRead, begun: tuple[BlobState, float]
    ) -> None:
        """Keep a read, unless its blob was changed since it was begun."""
        kept = _Kept(read, *begun)
        if kept.state is self._states.get(read.blob.key) and self.fits(len(read.content)):
            self._kept[read.blob.key, wanted] = kept

    def fits(self, size: int) -> bool:
        """Whether a read of `size` bytes would be kept."""
        return self._age_s > 0 and (size + ENTRY_BYTES) * LARGEST_SHARE <= self._kept.maxsize

    def forget(self, key: str) -> None:
        """The blob was changed, or may have been."""
        self._states.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)


def _cost(kept: _Kept) -> int:
    return len(kept.read.content) + ENTRY_BYTES
