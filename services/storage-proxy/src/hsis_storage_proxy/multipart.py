"""Several ranges of one blob in one answer: multipart/byteranges (RFC 9110, section 14.6)."""

import uuid
from collections.abc import AsyncIterator, Sequence

from hsis.contracts.blobs import Blob
from hsis.errors import Unavailable
from hsis_storage_proxy.objects import OpenBlob
from hsis_storage_proxy.ranges import Span, WantedRange
from hsis_storage_proxy.store import BlobStore

DEFAULT_TYPE = "application/octet-stream"


class OpenRanges:
    """Ranges whose bodies are still to be read, one after the other. `close` it in any case.

    `first` is the open body of the first of `spans`; each of the others is opened in its turn, and
    must be of the same blob.
    """

    def __init__(
        self, store: BlobStore, blob: Blob, spans: Sequence[Span], first: OpenBlob
    ) -> None:
        self.blob = blob
        self._store = store
        self._spans = spans
        self._open = first
        self.boundary = uuid.uuid4().hex
        self._heads = [
            (
                f"\r\n--{self.boundary}\r\n"
                f"Content-Type: {blob.content_type or DEFAULT_TYPE}\r\n"
                f"Content-Range: bytes {span.start}-{span.stop - 1}/{blob.size}\r\n\r\n"
            ).encode("latin-1")
            for span in spans
        ]
        self._end = f"\r\n--{self.boundary}--\r\n".encode()

    @property
    def settled(self) -> bool:
        """Whether what is told of the blob is true of it for certain."""
        return self._open.settled

    @property
    def length(self) -> int:
        """Bytes of the answer's body, what is between the ranges included."""
        return sum(map(len, self._heads)) + sum(s.length for s in self._spans) + len(self._end)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, a piece at a time; Unavailable where S3 sends fewer bytes, or others."""
        for number, (head, span) in enumerate(zip(self._heads, self._spans, strict=True)):
            if number:
                self._open.close()
                wanted = WantedRange(span.start, span.stop - 1)
                self._open = await self._store.open(self.blob.key, wanted)
                if self._open.blob.etag != self.blob.etag or not self._open.settled:
                    raise Unavailable(f"The blob {self.blob.key!r} was replaced meanwhile.")
            yield head
            async for piece in self._open.pieces():
                yield piece
        yield self._end

    def close(self) -> None:
        """Give the connection back, or drop it where bytes are still to come."""
        self._open.close()
