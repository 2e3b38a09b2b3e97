"""SHA-256 of transfers while they come in, as long as this process receives them."""

import hashlib
from typing import Any
from uuid import UUID

from cachetools import LRUCache

MAX_TRANSFERS = 1024


class Digests:
    """The hashes of transfers that wait for their next request.

    A hash cannot be handed to another process: what was begun elsewhere is hashed once it is whole.
    """

    def __init__(self) -> None:
        self._waiting: LRUCache[UUID, tuple[int, Any]] = LRUCache(MAX_TRANSFERS)

    def take(self, transfer: UUID, stored: int) -> Any | None:
        """The hash of the transfer's first `stored` bytes; None where it is not known here."""
        known, digest = self._waiting.pop(transfer, (0, None))
        if stored == 0:
            return hashlib.sha256()
        return digest if known == stored else None

    def keep(self, transfer: UUID, stored: int, digest: Any) -> None:
        """Keep the hash of the first `stored` bytes for the next request."""
        if stored > 0:
            self._waiting[transfer] = stored, digest
