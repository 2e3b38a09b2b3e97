"""The outer structure of a MATLAB v5 file, and how large its compressed parts become."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from hsis_ingest.errors import DecompressionBomb, TruncatedFile
from hsis_ingest.formats.source import ByteSource, ReadOptions

HEADER_BYTES = 128
COMPRESSED = 15
PIECE_BYTES = 256 * 1024
RATIO_FLOOR_BYTES = 16 * 1024 * 1024
"""A part that stays smaller is never taken for a bomb: a picture of zeros is none."""


@dataclass(frozen=True, slots=True)
class Element:
    """One variable's bytes in the file, the tag not included."""

    compressed: bool
    start: int
    length: int


def elements(source: ByteSource) -> Iterator[Element]:
    """The elements in order; TruncatedFile where one reaches behind the end of the file."""
    order = "<" if source.read_at(126, 2) == b"IM" else ">"
    at = HEADER_BYTES
    while at < source.size:
        tag = source.read_at(at, 8)
        if len(tag) < 8:
            raise TruncatedFile(f"{source.name} has {source.size} bytes; {at + 8} are needed.")
        kind, length = struct.unpack(order + "II", tag)
        end = at + 8 + length
        if end > source.size:
            raise TruncatedFile(f"{source.name} has {source.size} bytes; {end} are needed.")
        yield Element(kind == COMPRESSED, at + 8, length)
        at = end


def check_expansion(source: ByteSource, options: ReadOptions) -> None:
    """Decompress every part without keeping it, before anything believes a size in it.

    DecompressionBomb where one grows over the limits, TruncatedFile where one is damaged.
    """
    for element in elements(source):
        if element.compressed:
            _check_element(source, element, options)


def _check_element(source: ByteSource, element: Element, options: ReadOptions) -> None:
    ratio_limit = max(RATIO_FLOOR_BYTES, int(element.length * options.matlab_max_ratio))
    machine = zlib.decompressobj()
    grown = 0
    for at in range(0, element.length, PIECE_BYTES):
        piece = source.read_at(element.start + at, min(PIECE_BYTES, element.length - at))
        while piece and not machine.eof:
            try:
                grown += len(machine.decompress(piece, 4 * PIECE_BYTES))
            except zlib.error as error:
                raise TruncatedFile(
                    f"{source.name} has damaged compressed data at byte {element.start + at}."
                ) from error
            piece = machine.unconsumed_tail
            if grown > options.matlab_max_bytes:
                raise DecompressionBomb(
                    f"A variable in {source.name} grows from {element.length} to more than "
                    f"{options.matlab_max_bytes} bytes (setting matlab_max_bytes)."
                )
            if grown > ratio_limit:
                raise DecompressionBomb(
                    f"A variable in {source.name} grows from {element.length} to more than "
                    f"{ratio_limit} bytes, over {options.matlab_max_ratio:g} times "
                    "(setting matlab_max_ratio)."
                )
    if not machine.eof:
        raise TruncatedFile(f"{source.name} has compressed data that ends too soon.")
