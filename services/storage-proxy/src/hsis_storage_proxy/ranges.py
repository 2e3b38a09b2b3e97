"""Arithmetic of byte ranges (RFC 9110, section 14). Offsets from 0; `stop` is exclusive."""

import re
from dataclasses import dataclass

_BYTES = re.compile(r"^bytes[ \t]*=[ \t,]*(\d*)-(\d*)[ \t,]*$", re.IGNORECASE | re.ASCII)
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+)$", re.IGNORECASE | re.ASCII)
MAX_DIGITS = 4000
FORWARDABLE = 1 << 53
"""Larger offsets are not sent on: servers read them into integers of various widths."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` to before `stop` of a blob."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class WantedRange:
    """A range as asked for: from `first` to `last`, both included; to the end without `last`;
    without `first` the last `last` bytes."""

    first: int | None
    last: int | None

    @property
    def forwardable(self) -> bool:
        """Whether any S3 server can be asked for it without knowing the blob's size."""
        if self.first is None or self.first >= FORWARDABLE:
            return False
        return self.last is None or self.last < FORWARDABLE

    def within(self, size: int) -> Span | None:
        """What it is of a blob of `size` bytes; None where that is not satisfiable.

        The last n > 0 bytes of an empty blob are satisfiable, and empty.
        """
        if self.first is None:
            length = self.last or 0
            return Span(max(0, size - length), size) if length else None
        if self.first >= size:
            return None
        return Span(self.first, size if self.last is None else min(self.last + 1, size))


def parse_range(header: str | None) -> WantedRange | None:
    """The single range that a Range header asks for.

    None for no header, a malformed one, another unit or several ranges: all of these are answered
    with the whole blob, as RFC 9110 allows.
    """
    match = _BYTES.match(header) if header else None
    if match is None or len(match[0]) > MAX_DIGITS or not (match[1] or match[2]):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        return None
    return WantedRange(first, last)


def parse_content_range(header: str | None) -> tuple[Span, int] | None:
    """The span and the whole size that a Content-Range header tells; None where it tells none."""
    match = _CONTENT_RANGE.match(header) if header else None
    if match is None:
        return None
    first, last, size = (int(number) for number in match.groups())
    return Span(first, last + 1), size
