"""Arithmetic of byte ranges (RFC 9110, section 14). Offsets from 0; `stop` is exclusive."""

import re
from dataclasses import dataclass

_BYTES = re.compile(r"^bytes[ \t]*=[ \t,]*(\d*)-(\d*)[ \t,]*$", re.IGNORECASE | re.ASCII)
_SEVERAL = re.compile(r"^bytes[ \t]*=(.*)$", re.IGNORECASE | re.ASCII)
_ONE = re.compile(r"^[ \t]*(\d*)-(\d*)[ \t]*$", re.ASCII)
_CONTENT_RANGE = re.compile(r"^bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$", re.IGNORECASE | re.ASCII)
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


def parse_ranges(header: str | None, most: int) -> tuple[WantedRange, ...]:
    """The ranges that a Range header asks for, in its order.

    Empty for no header, a malformed one, another unit or more than `most` ranges: all of these are
    answered with the whole blob, as RFC 9110 allows.
    """
    if not header or len(header) > MAX_DIGITS:
        return ()
    match = _BYTES.match(header)
    if match is not None:
        wanted = _wanted(match[1], match[2])
        return (wanted,) if wanted is not None and most else ()
    several = _SEVERAL.match(header)
    if several is None:
        return ()
    named = [text for text in several[1].split(",") if text.strip(" \t")]
    if len(named) > most:
        return ()
    found: list[WantedRange] = []
    for text in named:
        one = _ONE.match(text)
        wanted = _wanted(one[1], one[2]) if one else None
        if wanted is None:  # one that is wrong makes all of the header so
            return ()
        found.append(wanted)
    return tuple(found)


def _wanted(first_digits: str, last_digits: str) -> WantedRange | None:
    if not (first_digits or last_digits):
        return None
    first = int(first_digits) if first_digits else None
    last = int(last_digits) if last_digits else None
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
