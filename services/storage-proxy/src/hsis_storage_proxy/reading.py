"""One GET: conditions, then the range, then the bytes."""

from dataclasses import dataclass

from hsis.contracts.blobs import Blob
from hsis.errors import Unavailable
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.errors import RangeNotSatisfiable
from hsis_storage_proxy.ranges import Span, WantedRange
from hsis_storage_proxy.store import BlobStore, OpenBlob

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class NotModified:
    """The reader has this already."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class Content:
    """An answer with bytes; `partial` where they are the range that was asked for."""

    opened: OpenBlob
    partial: bool


async def read(
    store: BlobStore, key: str, conditions: Conditions, wanted: WantedRange | None
) -> NotModified | Content:
    """What to answer. NotFound, PreconditionFailed, RangeNotSatisfiable as they apply.

    One request to S3 where that is enough. Where the size or the entity tag is needed first, the
    bytes are of the very blob that was looked at.
    """
    if not conditions and (wanted is None or wanted.forwardable):
        return Content(await store.open(key, wanted), partial=wanted is not None)
    for _ in range(ATTEMPTS):
        blob = await store.head(key)
        if conditions.not_modified(blob):
            return NotModified(blob)
        span = _span(blob, wanted if conditions.range_applies(blob) else None)
        asked = WantedRange(span.start, span.stop - 1) if span else None
        opened = await store.open(key, asked)
        if opened.blob.etag == blob.etag:
            return Content(opened, partial=span is not None)
        opened.close()
    raise Unavailable(f"The blob {key!r} is being replaced again and again.")


def _span(blob: Blob, wanted: WantedRange | None) -> Span | None:
    """The part to be read; None for all of it."""
    if wanted is None:
        return None
    span = wanted.within(blob.size)
    if span is None:
        raise RangeNotSatisfiable(
            f"The range is not within the {blob.size} bytes of {blob.key!r}.", blob.size
        )
    return span if span.length else None
