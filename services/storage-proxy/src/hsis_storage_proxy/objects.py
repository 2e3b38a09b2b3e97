"""Objects of S3 as blobs: what an answer says of one, and its body."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from hsis.contracts.blobs import Blob
from hsis.errors import Unavailable
from hsis_storage_proxy.presigned import SHA256
from hsis_storage_proxy.ranges import Span
from hsis_storage_proxy.s3 import translated
from hsis_storage_proxy.tags import EntityTags

PIECE_BYTES = 256 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class OpenBlob:
    """A blob whose body is still to be read. `close` it in any case.

    `settled` unless this process was changing it: what is told of it may then be of the one before.
    """

    def __init__(
        self, blob: Blob, span: Span, skip: int, body: Any, *, settled: bool = True
    ) -> None:
        self.blob = blob
        self.span = span
        self.settled = settled
        self._skip = skip
        self._body = body

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of `span`, a piece at a time; Unavailable where S3 sends fewer."""
        skip, left = self._skip, self.span.length
        while left:
            with translated(self.blob.key):
                piece = await self._body.read(PIECE_BYTES)
            if not piece:
                raise Unavailable(f"The object store sent {left} bytes too few.")
            if skip:
                skip, piece = max(0, skip - len(piece)), piece[skip:]
            piece = piece[:left]
            left -= len(piece)
            if piece:
                yield piece

    async def whole(self) -> bytes:
        """All bytes of `span`, after which it is closed."""
        try:
            return b"".join([piece async for piece in self.pieces()])
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or drop it where bytes are still to come."""
        self._body.close()


class BodyInMemory:
    """A body that is here already."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    async def read(self, most: int) -> bytes:
        """The next bytes, `most` at most; none at the end."""
        piece, self._content = self._content[:most], self._content[most:]
        return bytes(piece)

    def close(self) -> None:
        """Nothing is held open."""


def blob_of(key: str, answer: Mapping[str, Any], size: int, tags: EntityTags) -> Blob:
    """What S3's answer says of an object of `size` bytes; Unavailable without an entity tag."""
    etag = tags.of(answer, size)
    if etag is None:
        raise Unavailable(f"The object store sent no entity tag of {key!r} (s3_entity_tags).")
    return Blob(
        key=key,
        size=size,
        etag=etag,
        last_modified=tags.changed(answer),
        content_type=answer.get("ContentType"),
        sha256=_told_digest(answer.get("Metadata", {}).get(SHA256)),
    )


def metadata_of(sha256: str | None) -> dict[str, str]:
    """What is kept with an object beside its type."""
    return {SHA256: sha256} if sha256 else {}


def _told_digest(text: str | None) -> str | None:
    """None also where another tool wrote something else there."""
    return text if text and _DIGEST.fullmatch(text) else None
