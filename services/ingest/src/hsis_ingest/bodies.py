"""The body of a request that sends to a transfer: its pace, its size and its checksum."""

import asyncio
import base64
import binascii
import hashlib
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import ClientDisconnect

from hsis.errors import InvalidInput, TooLarge
from hsis_ingest.errors import UploadInterrupted

QUIET_S = 1.0
"""A body that brought nothing for so long gives way to another request that asks."""


class Silence(UploadInterrupted):
    """The client is there, or seems to be, and sends nothing."""


class Body:
    """The pieces of a request's body.

    UploadInterrupted where the client goes away, Silence where it pauses longer than `idle_s`;
    TooLarge as soon as there are more than `limit` bytes.
    """

    def __init__(self, stream: AsyncIterator[bytes], idle_s: float, limit: int) -> None:
        self._stream = stream
        self._idle_s = idle_s
        self._limit = limit
        self._patience: asyncio.Timeout | None = None
        self._quiet_since = 0.0
        self._count = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes as they come."""
        while True:
            self._quiet_since = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._idle_s) as self._patience:
                    piece = await anext(self._stream, None)
            except ClientDisconnect:
                raise UploadInterrupted("The connection broke off.") from None
            except TimeoutError:
                raise Silence("The client sent nothing for a while.") from None
            finally:
                self._patience = None
            if piece is None:
                return
            self._count += len(piece)
            if self._count > self._limit:
                raise TooLarge(f"There are more bytes than the {self._limit} that are left.")
            yield piece

    def give_way(self) -> None:
        """Another request waits: end this one where it brings nothing any more."""
        now = asyncio.get_running_loop().time()
        if self._patience is not None and now - self._quiet_since >= QUIET_S:
            self._patience.reschedule(now)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


ALGORITHMS: dict[str, Any] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": _Crc32,
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must have."""

    algorithm: str
    expected: bytes

    @classmethod
    def of(cls, header: str) -> "Checksum":
        """Of `<algorithm> <base64>`; InvalidInput for an algorithm that is not known."""
        algorithm, _, encoded = header.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise InvalidInput(f"Upload-Checksum is by {algorithm!r}; {known} are known.")
        try:
            expected = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("Upload-Checksum is not `<algorithm> <base64>`.") from None
        return cls(algorithm, expected)

    def start(self) -> _Hash:
        """An empty hash of the algorithm."""
        made: _Hash = ALGORITHMS[self.algorithm]()
        return made
