"""One GET: conditions, then the ranges, then the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from hsis.contracts.blobs import Blob
from hsis.errors import Unavailable
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.errors import RangeNotSatisfiable
from hsis_storage_proxy.multipart import OpenRanges
from hsis_storage_proxy.objects import OpenBlob
from hsis_storage_proxy.places import KeyTurns
from hsis_storage_proxy.ranges import Span, WantedRange
from hsis_storage_proxy.store import BlobStore

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

    @property
    def settled(self) -> bool:
        """Whether what is told of the bytes is true of them for certain."""
        return self.opened.settled

    def close(self) -> None:
        """Do not read them."""
        self.opened.close()


Answer = NotModified | Content | OpenRanges


async def read(
    store: BlobStore,
    turns: KeyTurns,
    key: str,
    conditions: Conditions,
    wanted: Sequence[WantedRange],
    *,
    fresh: bool,
) -> Answer:
    """What to answer. NotFound, PreconditionFailed, RangeNotSatisfiable as they apply.

    `fresh` where what was read a moment ago will not do.

    One request to S3 where that is enough. Where the size or the entity tag is needed first, the
    bytes are of the very blob that was looked at. What is changed meanwhile is read again when
    it is this reader's turn.
    """
    answer = await _read(store, key, conditions, wanted, fresh=fresh)
    if isinstance(answer, NotModified) or answer.settled:
        return answer
    answer.close()
    async with turns.of(key):
        return await _read(store, key, conditions, wanted, fresh=fresh, again=True)


async def look(store: BlobStore, turns: KeyTurns, key: str) -> Blob:
    """What is known of a blob, as `read` would tell it; NotFound."""
    blob, settled = await store.looked_at(key)
    if settled:
        return blob
    async with turns.of(key):
        return await store.head(key)


async def _read(
    store: BlobStore,
    key: str,
    conditions: Conditions,
    wanted: Sequence[WantedRange],
    *,
    fresh: bool,
    again: bool = False,
) -> Answer:
    if not conditions and (not wanted or (len(wanted) == 1 and wanted[0].forwardable)):
        one = wanted[0] if wanted else None
        opened = await (store.open(key, one) if fresh else store.open_hot(key, one))
        return Content(opened, partial=bool(wanted))
    for _ in range(ATTEMPTS):
        blob = await store.head(key)
        if conditions.not_modified(blob):
            return NotModified(blob)
        spans = _spans(blob, wanted if conditions.range_applies(blob) else ())
        asked = WantedRange(spans[0].start, spans[0].stop - 1) if spans else None
        opened = await store.open(key, asked)
        # What is not settled is read again, but once.
        if opened.blob.etag == blob.etag or not (opened.settled or again):
            if len(spans) > 1:
                return OpenRanges(store, blob, spans, opened)
            return Content(opened, partial=bool(spans))
        opened.close()
    raise Unavailable(f"The blob {key!r} is being replaced again and again.")


def _spans(blob: Blob, wanted: Sequence[WantedRange]) -> list[Span]:
    """The parts to be read, those left out that begin after the end; none where all of it is."""
    spans = [span for one in wanted if (span := one.within(blob.size)) is not None]
    if wanted and not spans:
        raise RangeNotSatisfiable(
            f"No range is within the {blob.size} bytes of {blob.key!r}.", blob.size
        )
    # Empty ones are of an empty blob. Ranges that together have more bytes than the blob overlap:
    # it is sent once instead.
    if not all(span.length for span in spans) or sum(span.length for span in spans) > blob.size:
        return []
    return spans
