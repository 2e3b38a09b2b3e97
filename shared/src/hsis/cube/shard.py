"""One shard: inner chunks compressed by themselves behind an index (Zarr's sharding codec).

The index stands at the start: for each inner chunk, in C order, its offset and length as
little-endian uint64 (both 2**64 - 1 for a chunk that is all fill value), then a CRC32C of those.
"""

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from hsis.cube.layout import INNER_CHUNK, Shape

MISSING = np.uint64(2**64 - 1)
COMPRESSION_LEVEL = 5
BLOSC_HEADER_BYTES = 16
"""Also the most that blosc adds to values that it cannot compress."""


class DamagedShard(ValueError):
    """The bytes of a shard contradict its checksum or its metadata."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start`, inclusive, to `stop`, exclusive, of one object."""

    start: int
    stop: int


def chunk_counts(shard: Shape) -> Shape:
    """How many inner chunks a shard has along (band, y, x)."""
    b, y, x = (math.ceil(size / step) for size, step in zip(shard, INNER_CHUNK, strict=True))
    return b, y, x


def index_bytes(shard: Shape) -> int:
    """The length in bytes of a shard's index, its checksum included."""
    return 16 * math.prod(chunk_counts(shard)) + 4


def encode_shard(block: NDArray[Any], shard: Shape) -> bytes:
    """The bytes of a shard of shape `shard` that holds `block` (band, y, x) in its first corner.

    `block` is smaller than the shard at the cube's far edges; the rest is fill value (0).
    """
    return join_chunks(compress_chunks(block), shard)


def compress_chunks(block: NDArray[Any]) -> dict[Shape, bytes]:
    """The inner chunks of `block` (band, y, x) compressed, by their place (band, y, x) in it.

    A chunk that is all fill value (0) is left out; one at a far edge is filled up with it.
    """
    packed: dict[Shape, bytes] = {}
    for b, y, x in product(*map(range, chunk_counts(_shape_of(block)))):
        corner = [i * step for i, step in zip((b, y, x), INNER_CHUNK, strict=True)]
        piece = block[tuple(slice(c, c + s) for c, s in zip(corner, INNER_CHUNK, strict=True))]
        chunk = _chunk_of(piece)
        if chunk.view(np.uint64).any():  # by bytes: -0.0 is not the fill value
            packed[b, y, x] = bytes(
                blosc.compress(chunk, b"lz4", COMPRESSION_LEVEL, blosc.BITSHUFFLE, 0, None)
            )
    return packed


def join_chunks(packed: Mapping[Shape, bytes], shard: Shape) -> bytes:
    """The bytes of a shard of compressed inner chunks, given by their place (band, y, x)."""
    return b"".join(in_pieces(packed, shard))


def in_pieces(packed: Mapping[Shape, bytes], shard: Shape) -> list[bytes]:
    """The same in pieces: its index, then its chunks as they are."""
    index = np.full((*chunk_counts(shard), 2), MISSING, dtype="<u8")
    places = sorted(packed)
    offset = index_bytes(shard)
    for place in places:
        index[place] = offset, len(packed[place])
        offset += len(packed[place])
    head = index.tobytes()
    checksum = google_crc32c.value(head).to_bytes(4, "little")
    return [head + checksum, *(packed[place] for place in places)]


def _shape_of(block: NDArray[Any]) -> Shape:
    bands, rows, columns = block.shape
    return bands, rows, columns


def _chunk_of(piece: NDArray[Any]) -> NDArray[Any]:
    """A whole inner chunk, little-endian and in C order, with `piece` in its first corner."""
    dtype = piece.dtype.newbyteorder("<")
    if piece.shape == INNER_CHUNK:
        return np.ascontiguousarray(piece, dtype)
    chunk = np.zeros(INNER_CHUNK, dtype)
    chunk[tuple(map(slice, piece.shape))] = piece
    return chunk


def decode_index(content: bytes, shard: Shape) -> NDArray[np.uint64]:
    """Offsets and lengths, shape (*chunk_counts, 2); DamagedShard when the checksum is wrong."""
    length = index_bytes(shard)
    if len(content) < length:
        raise DamagedShard(f"the index has {len(content)} bytes; {length} are right")
    head, tail = content[: length - 4], content[length - 4 : length]
    if google_crc32c.value(head) != int.from_bytes(tail, "little"):
        raise DamagedShard("the checksum of the index is wrong")
    return np.frombuffer(head, "<u8").reshape(*chunk_counts(shard), 2)


def chunk_range(
    index: NDArray[np.uint64], position: Shape, dtype: np.dtype[Any]
) -> ByteRange | None:
    """Where an inner chunk lies in its shard; None where it is all fill value.

    DamagedShard when it is longer than blosc makes chunks of `dtype`.
    """
    offset, length = map(int, index[position])
    if offset == MISSING:
        return None
    longest = _plain_bytes(dtype) + BLOSC_HEADER_BYTES
    if length > longest:
        raise DamagedShard(f"a chunk is said to take {length} bytes; it has {longest} at most")
    return ByteRange(offset, offset + length)


def decode_chunk(packed: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An inner chunk's values; DamagedShard when they are not what the metadata says.

    The lengths that the chunk tells of itself are compared first: blosc believes them, and would
    take as much memory as they say.
    """
    expected = _plain_bytes(dtype)
    if len(packed) < BLOSC_HEADER_BYTES:
        raise DamagedShard(f"a chunk is only {len(packed)} bytes long")
    plain_bytes, _, packed_bytes = struct.unpack_from("<3I", packed, 4)
    if plain_bytes != expected:
        raise DamagedShard(f"a chunk has {plain_bytes} bytes; {expected} are right")
    if packed_bytes != len(packed):
        raise DamagedShard(f"a chunk should take {packed_bytes} bytes; {len(packed)} are there")
    try:
        plain = blosc.decompress(packed)
    except (RuntimeError, ValueError) as error:
        raise DamagedShard("a chunk does not decompress") from error
    return np.frombuffer(plain, dtype.newbyteorder("<")).reshape(INNER_CHUNK)


def _plain_bytes(dtype: np.dtype[Any]) -> int:
    """The length in bytes of an inner chunk's values."""
    return math.prod(INNER_CHUNK) * dtype.itemsize


def coalesce(ranges: Iterable[ByteRange], max_gap: int, max_bytes: int) -> list[ByteRange]:
    """Fewer, larger ranges that cover the given ones: neighbours up to `max_gap` bytes apart are
    read as one, up to `max_bytes` together."""
    merged: list[ByteRange] = []
    for current in sorted(ranges, key=lambda r: r.start):
        last = merged[-1] if merged else None
        stop = max(last.stop, current.stop) if last else current.stop
        if last and current.start - last.stop <= max_gap and stop - last.start <= max_bytes:
            merged[-1] = ByteRange(last.start, stop)
        else:
            merged.append(current)
    return merged
