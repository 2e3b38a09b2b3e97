"""SHA-256 of every object that is stored for an item, kept beside its cube."""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hsis.contracts.blobs import item_prefix


class ObjectChecksum(BaseModel):
    """Of one object."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0, description="Bytes")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Hexadecimal")


class Checksums(BaseModel):
    """The content of `checksums.json`: of everything else under the item's prefix, by the key below
    that."""

    algorithm: Literal["sha256"] = "sha256"
    objects: dict[str, ObjectChecksum]

    @property
    def total_bytes(self) -> int:
        """Of all objects together."""
        return sum(each.size for each in self.objects.values())


class ChecksumRecorder:
    """Takes the checksums of what is stored for an item. `note` may be called from several threads
    at once; what is noted again counts as it was last."""

    def __init__(self, collection: str, item: str) -> None:
        self._prefix = item_prefix(collection, item)
        self._objects: dict[str, ObjectChecksum] = {}

    def note(self, key: str, content: bytes | list[bytes]) -> None:
        """The content of the object of that key, which lies under the item's prefix, or its
        pieces."""
        self._objects[key.removeprefix(self._prefix)] = checksum_of(content)

    def knows(self, key: str) -> bool:
        """Whether the object of that key was noted."""
        return key.removeprefix(self._prefix) in self._objects

    def extend(self, others: Checksums) -> None:
        """Those that were taken elsewhere."""
        self._objects |= others.objects

    def result(self) -> Checksums:
        """What was noted so far, in the order of the keys."""
        return Checksums(objects=dict(sorted(self._objects.items())))


def checksum_of(content: bytes | list[bytes]) -> ObjectChecksum:
    """Of the bytes of an object, or of its pieces."""
    pieces = content if isinstance(content, list) else [content]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return ObjectChecksum(size=sum(map(len, pieces)), sha256=digest.hexdigest())
