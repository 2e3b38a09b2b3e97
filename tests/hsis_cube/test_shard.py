"""Shards and byte ranges."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import blosc

from hsis.cube import layout
from hsis.cube.shard import (
    ByteRange,
    DamagedShard,
    chunk_range,
    coalesce,
    decode_chunk,
    decode_index,
    encode_shard,
)

SHARD = (16, 128, 256)


def test_a_changed_index_is_noticed() -> None:
    content = bytearray(encode_shard(np.ones((1, 1, 1), np.int16), SHARD))
    assert decode_index(bytes(content), SHARD).shape == (1, 1, 2, 2)
    content[3] ^= 1
    with pytest.raises(DamagedShard, match="checksum"):
        decode_index(bytes(content), SHARD)
    with pytest.raises(DamagedShard, match="bytes"):
        decode_index(bytes(content[:20]), SHARD)


def test_a_chunk_of_another_dtype_is_noticed() -> None:
    content = encode_shard(np.ones((1, 1, 1), np.int16), SHARD)
    offset, length = decode_index(content, SHARD)[0, 0, 0].tolist()
    with pytest.raises(DamagedShard, match="bytes"):
        decode_chunk(content[offset : offset + length], np.dtype(np.int32))
    with pytest.raises(DamagedShard, match="bytes"):
        decode_chunk(b"\0" * 40, np.dtype(np.int16))
    with pytest.raises(DamagedShard, match="15 bytes"):
        decode_chunk(b"\0" * 15, np.dtype(np.int16))


def test_a_chunk_of_an_unknown_compressor_is_noticed() -> None:
    content = encode_shard(np.ones((1, 1, 1), np.int16), SHARD)
    offset, length = decode_index(content, SHARD)[0, 0, 0].tolist()
    chunk = bytearray(content[offset : offset + length])
    chunk[2] |= 7 << 5  # the compressor's number, in blosc's flags
    with pytest.raises(DamagedShard, match="decompress"):
        decode_chunk(bytes(chunk), np.dtype(np.int16))
    with pytest.raises(DamagedShard, match="are there"):
        decode_chunk(content[offset : offset + length - 1], np.dtype(np.int16))


def test_a_chunk_that_would_fill_the_memory_is_refused_unopened() -> None:
    bomb = blosc.compress(bytes(64 << 20), b"lz4", 5, blosc.BITSHUFFLE, 0, None)
    tracemalloc.start()
    with pytest.raises(DamagedShard, match=f"{64 << 20} bytes; 524288 are right"):
        decode_chunk(bytes(bomb), np.dtype(np.int16))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_an_index_with_chunks_longer_than_there_can_be_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (16, 128, 128), np.uint8)
    index = decode_index(encode_shard(noise, SHARD), SHARD).copy()
    place = chunk_range(index, (0, 0, 0), noise.dtype)
    assert place is not None
    assert place.stop - place.start == 16 * 128 * 128 + 16  # the longest: nothing is to be saved
    index[0, 0, 0, 1] += 1
    with pytest.raises(DamagedShard, match="at most"):
        chunk_range(index, (0, 0, 0), noise.dtype)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60)), max_size=20),
    st.integers(0, 40),
    st.integers(60, 300),
)
def test_merged_ranges_cover_the_given_ones(
    pairs: list[tuple[int, int]], max_gap: int, max_bytes: int
) -> None:
    ranges = [ByteRange(start, start + length) for start, length in pairs]
    merged = coalesce(ranges, max_gap, max_bytes)
    for wanted in ranges:
        assert any(m.start <= wanted.start and wanted.stop <= m.stop for m in merged)
    assert all(m.stop - m.start <= max_bytes for m in merged)
    assert [m.start for m in merged] == sorted(m.start for m in merged)


@given(st.tuples(st.integers(1, 600), st.integers(1, 3000), st.integers(1, 3000)))
def test_shards_are_whole_chunks_and_tile_the_cube(shape: layout.Shape) -> None:
    size = layout.shard_shape(shape)
    assert all(s % c == 0 for s, c in zip(size, layout.INNER_CHUNK, strict=True))
    assert size[0] <= 128
    assert size[1] <= 256
    assert size[2] <= 512
    volume = 0
    for index in layout.shard_indices(shape):
        parts = layout.shard_slices(shape, index)
        volume += int(np.prod([part.stop - part.start for part in parts]))
    assert volume == int(np.prod(shape))
