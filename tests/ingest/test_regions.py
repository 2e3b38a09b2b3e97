"""Windows cover the cube once, in whole inner chunks, a group of shards after the other."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsis.cube.layout import INNER_CHUNK, shard_shape
from hsis_ingest.regions import group_edges, plan, region_shape


@given(
    shape=st.tuples(st.integers(1, 400), st.integers(1, 1500), st.integers(1, 2500)),
    itemsize=st.sampled_from([1, 2, 8, 16]),
    axes=st.sampled_from(["byx", "ybx", "yxb", "bxy", "xyb"]),
    max_bytes=st.integers(1, 2**28),
)
def test_every_inner_chunk_is_in_one_window(shape, itemsize, axes, max_bytes):
    seen = np.zeros([math.ceil(n / c) for n, c in zip(shape, INNER_CHUNK, strict=True)], int)
    group = region_shape(shape, itemsize, axes, max_bytes)
    one_shard = math.prod(np.minimum(shard_shape(shape), shape).tolist()) * itemsize
    assert math.prod(group) * itemsize <= max(max_bytes, one_shard)
    steps = [np.diff(edges).max() for edges in group_edges(shape, itemsize, axes, max_bytes)]
    assert math.prod(map(int, steps)) * itemsize <= max(max_bytes, one_shard)
    cut = "byx".index(axes[0])
    cuts_of_bands: dict[tuple[int, int], set[int]] = {}
    for window in plan(shape, itemsize, axes, max_bytes):
        cuts_of_bands.setdefault((window[1].start, window[2].start), set()).add(window[0].start)
        for part, size, chunk in zip(window, shape, INNER_CHUNK, strict=True):
            assert part.start % chunk == 0
            assert part.stop % chunk == 0 or part.stop == size
        chunks = (
            slice(p.start // c, math.ceil(p.stop / c))
            for p, c in zip(window, INNER_CHUNK, strict=True)
        )
        seen[tuple(chunks)] += 1
        thickness = window[cut].stop - window[cut].start
        others = math.prod(p.stop - p.start for i, p in enumerate(window) if i != cut)
        assert thickness <= max(max_bytes / 6 / others / itemsize, INNER_CHUNK[cut])
    assert (seen == 1).all()
    # Neighbours share pixels of overviews, which are made of the same bands of each.
    assert len(set(map(frozenset, cuts_of_bands.values()))) == 1


def test_a_group_of_shards_is_whole_before_the_next_begins():
    windows = plan((224, 1000, 3000), 2, "byx", 128 * 1024**2)
    groups = [(w[0].start // 112, w[1].start // 256, w[2].start // 2048) for w in windows]
    # Rows 0 and 1 of both columns, then rows 2 and 3: what an overview's shard is made of is near.
    places = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1)]
    assert list(dict.fromkeys(groups)) == [(b, *at) for b in (0, 1) for at in places]
    assert groups == sorted(groups, key=groups.index)


def test_a_thin_rest_joins_the_group_before_it_where_the_memory_is_enough():
    memory = 2 * 224 * 256 * 1170
    columns = {(w[2].start, w[2].stop) for w in plan((224, 2100, 2100), 2, "yxb", memory)}
    assert columns == {(0, 1024), (1024, 2100)}
    columns = {(w[2].start, w[2].stop) for w in plan((224, 2100, 2300), 2, "yxb", memory)}
    assert columns == {(0, 1024), (1024, 2048), (2048, 2300)}
    # Of 64 MiB 285 x 256 x 512 are 56 %, with the rest of the columns 95 %, with both rests 165 %.
    _, rows, columns = group_edges((285, 5563, 3438), 1, "yxb", 64 * 1024**2)
    assert rows[-3:] == [5120, 5376, 5563]
    assert columns[-3:] == [2048, 2560, 3438]


def test_windows_follow_the_file():
    shape, memory = (448, 2048, 2048), 2 * 112 * 256 * 512 * 4
    assert region_shape(shape, 2, "yxb", memory) == (448, 256, 512)  # all bands of a pixel first
    assert region_shape(shape, 2, "byx", memory) == (112, 256, 2048)  # whole rows first
    first, second = plan(shape, 2, "yxb", memory)[:2]
    assert first == (slice(0, 448), slice(0, 128), slice(0, 512))
    assert second == (slice(0, 448), slice(128, 256), slice(0, 512))
    first, second = plan(shape, 2, "byx", memory)[:2]
    assert first == (slice(0, 16), slice(0, 256), slice(0, 2048))
    assert second == (slice(16, 32), slice(0, 256), slice(0, 2048))
