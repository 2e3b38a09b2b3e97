"""Many small pieces of a file, fetched in few requests."""

from collections.abc import Iterator, Sequence

from hsis_ingest.formats.source import ByteSource, Span, read_all_exactly, read_exactly
from hsis_ingest.formats.strided import MAX_GAP_BYTES

MAX_READ_BYTES = 2 * 1024 * 1024
MAX_AHEAD_BYTES = 8 * 1024 * 1024
"""A piece larger than this is fetched when its turn comes, not ahead."""


def read_spans(source: ByteSource, spans: Sequence[Span]) -> Iterator[bytes]:
    """The bytes of each span in turn. Sort them by offset: neighbours become one request.

    TruncatedFile where the file ends before.
    """
    if any(length > MAX_AHEAD_BYTES for _, length in spans):
        for offset, length in spans:
            yield read_exactly(source, offset, length)
        return
    groups = list(_grouped(spans))
    requests = [(start, stop - start) for start, stop, _ in groups]
    for (start, _, members), content in zip(
        groups, read_all_exactly(source, requests), strict=True
    ):
        for offset, length in members:
            yield content[offset - start : offset - start + length]


def _grouped(spans: Sequence[Span]) -> Iterator[tuple[int, int, list[Span]]]:
    """Start, stop and members of each request."""
    members: list[Span] = []
    start = stop = 0
    for offset, length in spans:
        near = start <= offset <= stop + MAX_GAP_BYTES
        if members and (not near or max(stop, offset + length) - start > MAX_READ_BYTES):
            yield start, stop, members
            members = []
        if not members:
            start = stop = offset
        members.append((offset, length))
        stop = max(stop, offset + length)
    if members:
        yield start, stop, members
