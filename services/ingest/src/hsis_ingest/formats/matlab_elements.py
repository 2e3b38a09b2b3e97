"""The outer structure of a MATLAB v5 file: elements of one variable each, many of them compressed.

Source: The MathWorks, MAT-File Format (R2008a and later), "Level 5 MAT-File Format".
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from hsis_ingest.errors import DecompressionBomb, TruncatedFile
from hsis_ingest.formats.inflated import InflatedSource
from hsis_ingest.formats.source import ByteSource, ReadOptions

HEADER_BYTES = 128
COMPRESSED = 15
MATRIX = 14
PIECE_BYTES = 256 * 1024
HEAD_BYTES = 1024
"""Of a compressed element, kept: the variable's description lies there, and small ones whole."""
RATIO_FLOOR_BYTES = 16 * 1024 * 1024
"""A part that stays smaller is never taken for a bomb: a picture of zeros is none."""
MAX_VARIABLE_BYTES = 8 + 2**32
"""With its tag, which has four bytes for the length."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What begins an element: the kind and number of its bytes, and where they lie."""

    kind: int
    length: int
    start: int
    next: int
    """Where the tag of the next element in the same variable is: elements are padded to 8 bytes."""

    @property
    def end(self) -> int:
        """The offset behind its bytes."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Matrix:
    """The bytes of one variable, from `start` to `end` of the plain `content`. `order` is `<` or
    `>`."""

    content: ByteSource
    start: int
    end: int
    order: str

    def tag(self, at: int) -> Tag:
        """The tag at an offset; TruncatedFile where there is none or it reaches too far."""
        return read_tag(self.content, at, self.end, self.order)


def read_tag(content: ByteSource, at: int, end: int, order: str) -> Tag:
    """The tag at an offset of a part that ends at `end`; TruncatedFile where its bytes do not fit.

    Elements of at most four bytes may lie in the tag itself.
    """
    head = content.read_at(at, 8) if at + 8 <= end else b""
    if len(head) < 8:
        raise TruncatedFile(f"{content.name} ends at byte {end}; {at + 8} are needed.")
    kind, length = struct.unpack(order + "II", head)
    tag = Tag(kind, length, at + 8, at + 8 + length + -length % 8)
    if kind >> 16:
        tag = Tag(kind & 0xFFFF, kind >> 16, at + 4, at + 8)
    if tag.end > min(end, tag.next):
        raise TruncatedFile(f"{content.name} ends at byte {end}; {tag.end} are needed.")
    return tag


def matrices(source: ByteSource, options: ReadOptions) -> Iterator[Matrix]:
    """The file's variables in order. Those that are compressed are decompressed without keeping it,
    before anything believes a size in them.

    DecompressionBomb where one grows over the limits, TruncatedFile where one is damaged or reaches
    behind the end of the file.
    """
    order = "<" if source.read_at(126, 2) == b"IM" else ">"
    at = HEADER_BYTES
    while at < source.size:
        element = read_tag(source, at, source.size, order)
        if element.kind == COMPRESSED:
            inflated = _checked(source, element, options)
            inner = read_tag(inflated, 0, inflated.size, order)
            yield _matrix(inflated, inner, order)
        else:
            yield _matrix(source, element, order)
        at = element.end  # the outer ones are not padded further


def _matrix(content: ByteSource, tag: Tag, order: str) -> Matrix:
    if tag.kind != MATRIX:
        raise TruncatedFile(
            f"{content.name} is damaged: an element of type {tag.kind} is where a variable should "
            "be."
        )
    return Matrix(content, tag.start, tag.end, order)


def _checked(source: ByteSource, element: Tag, options: ReadOptions) -> InflatedSource:
    """A compressed element once it was seen to inflate to the end."""
    ratio_limit = max(RATIO_FLOOR_BYTES, int(element.length * options.matlab_max_ratio))
    limit = min(ratio_limit, MAX_VARIABLE_BYTES)
    machine = zlib.decompressobj()
    grown, head = 0, b""
    for piece in _pieces(source, element):
        while piece and not machine.eof:
            try:
                plain = machine.decompress(piece, 4 * PIECE_BYTES)
            except zlib.error as error:
                raise TruncatedFile(
                    f"{source.name} has damaged compressed data in the element at byte "
                    f"{element.start}."
                ) from error
            piece = machine.unconsumed_tail
            head += plain[: HEAD_BYTES - len(head)]
            grown += len(plain)
            if grown > limit:
                raise _bomb(source, element, limit, options)
    if not machine.eof:
        raise TruncatedFile(f"{source.name} has compressed data that ends too soon.")
    return InflatedSource(source, element.start, element.length, grown, head)


def _bomb(source: ByteSource, element: Tag, limit: int, options: ReadOptions) -> DecompressionBomb:
    told = f"A variable in {source.name} grows from {element.length} to more than {limit} bytes"
    if limit == MAX_VARIABLE_BYTES:
        return DecompressionBomb(f"{told}, which are the most that the format allows.")
    return DecompressionBomb(
        f"{told}, over {options.matlab_max_ratio:g} times (setting matlab_max_ratio)."
    )


def _pieces(source: ByteSource, element: Tag) -> Iterator[bytes]:
    if element.length <= PIECE_BYTES:  # several small ones may come from one request
        return iter([source.read_at(element.start, element.length)])
    starts = range(element.start, element.end, PIECE_BYTES)
    return source.read_ahead((at, min(PIECE_BYTES, element.end - at)) for at in starts)
